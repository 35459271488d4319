"""Questions of users' own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import phasescope as ps
from phasescope.analyses import registry
from phasescope.reports.answers import answer_named
from phasescope.reports.kit.answer import Scope

COLUMNS = {"size": "str", "seed": "int64", "step": "int64", "count": "float64", "low": "float64", "high": "float64"}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    registry.drop("shards")


def made(count: float) -> Any:
    table = ps.Table("shard_counts", "how many", COLUMNS, units={"shards": "count"})

    @ps.analysis("How many shards are there?", [table], name="shards")
    def analyse(reader: Any, options: Any) -> dict[str, pd.DataFrame]:
        rows = [(key.size, key.seed, key.step, count, count - 1, count + 1) for key in reader.keys]
        return {"shard_counts": pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)}

    return analyse


def test_it_is_a_question_as_ours_are(captured: Path, tmp_path: Path) -> None:
    asked = made(2.0)
    run = ps.open_run(captured, out=tmp_path / "made")
    assert registry.questions()["shards"] is asked
    assert set(run.table("shard_counts")["count"]) == {2.0}
    answer = answer_named("shards")
    assert answer is not None
    (part,) = answer.sections[0].parts(Scope(run, None))  # type: ignore[arg-type]
    assert part.panels[0].figure.layout["yaxis"]["title"]["text"] == "count (shards)"
    assert [trace["name"] for trace in part.panels[0].figure.data if "name" in trace] == ["tiny", "small"]


def test_defined_again_it_takes_the_place_of_the_first(captured: Path, tmp_path: Path) -> None:
    made(2.0)
    made(3.0)
    assert set(ps.open_run(captured, out=tmp_path / "made").table("shard_counts")["count"]) == {3.0}


def test_two_packages_with_one_name_are_told(captured: Path) -> None:
    registry.register(replace(made(2.0), name="shards_of_others", tables=(), package="others"))
    try:
        with pytest.raises(ps.PhasescopeError, match=r"two analyses .shards_of_others., of .*others.* and of"):
            ps.analysis("What?", [ps.Table("mine", "", {})], name="shards_of_others")(lambda reader, options: {})
    finally:
        registry.drop("shards_of_others")


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"name": "rank"}, "two analyses 'rank', of rank .phasescope. and of"),
        ({"name": "mine", "tables": [ps.Table("surprisal", "", {})]}, "two tables 'surprisal'"),
        ({"name": "a b"}, "An analysis is kept under its name, and 'a b' is none"),
        ({"name": "mine", "interface": 2}, "The analysis mine is written for plug-in interface 2"),
    ],
)
def test_what_cannot_be_is_one_sentence(how: dict[str, Any], said: str) -> None:
    tables = how.pop("tables", [ps.Table("mine", "", {})])
    with pytest.raises(ps.PhasescopeError, match=said):
        ps.analysis("What?", tables, **how)(lambda reader, options: {})
    assert "mine" not in registry.questions()
