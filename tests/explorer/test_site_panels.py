"""Panels that questions bring: what is drawn is what their tables say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import phasescope as ps
from phasescope.analyses import Options
from phasescope.explorer.choice import Choice
from phasescope.explorer.recorded import Recorded
from phasescope.explorer.site_panels import SitePanels
from tests.conftest import PROSE


@pytest.fixture(scope="module")
def asked(suite_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    (folder / "text.txt").write_text("\n\n".join([PROSE] * 20), encoding="utf-8")
    run = ps.capture(
        suite_folder, folder / "text.txt", folder / "run", sizes=["tiny"], sequences=8, context=32,
        output_sequences=2, sites=("mlp_out",), behaviour="heads",
    )  # fmt: skip
    run.analyse("geometry", "drift", "heads", options=Options(resamples=20))
    return run.path


def curve(figure: object, name: str) -> list[float]:
    return next(list(trace.y) for trace in figure.plotly().data if trace.name == name)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "table", "chosen", "where", "column"),
    [
        ("drift", "drift", "W_in", {"component": "W_in", "layer": 1}, "relative"),
        ("geometry", "geometry", "Hoyer", {"site": "blocks.1.hook_mlp_out", "measure": "hoyer"}, "value"),
    ],
)
def test_curves_are_those_of_the_table(
    asked: Path, name: str, table: str, chosen: str, where: Mapping[str, object], column: str
) -> None:
    recorded = Recorded(ps.open_run(asked))
    panels = SitePanels(recorded)
    rows = recorded.run.table(table)
    for key, value in {**where, "seed": 1}.items():
        rows = rows[rows[key] == value]
    figure, says = panels.show(name, Choice("tiny", "mlp_out", 1, None), [1], chosen, None, 4)
    assert len(rows) == 4
    np.testing.assert_allclose(curve(figure, "seed 1"), rows.sort_values("step")[column], atol=5e-5)
    assert says == ""


def test_of_heads_the_strongest_or_the_one_that_is_chosen(asked: Path) -> None:
    recorded = Recorded(ps.open_run(asked))
    panels, rows = SitePanels(recorded), recorded.run.table("heads")
    rows = rows[(rows["layer"] == 1) & (rows["seed"] == 2) & (rows["score"] == "previous_token")]
    most = rows.groupby("step")["value"].max()
    figure, says = panels.show("heads", Choice("tiny", "mlp_out", 1, None), [2], "Previous token", None, 4)
    np.testing.assert_allclose(curve(figure, "seed 2"), most, atol=5e-5)
    assert says == "The head of layer 1 that has most, at each step."
    figure, says = panels.show("heads", Choice("tiny", "mlp_out", 1, 1), [2], "Previous token", None, 4)
    np.testing.assert_allclose(curve(figure, "seed 2"), rows[rows["head"] == 1].sort_values("step")["value"], atol=5e-5)
    assert says == "Head 1 of layer 1."


def test_only_what_has_a_table_is_offered_and_what_is_always_there(asked: Path) -> None:
    offered = SitePanels(Recorded(ps.open_run(asked))).offered
    assert list(offered) == ["convergence", "rank", "drift", "geometry", "heads"]
    (asked / "results" / "heads.parquet").rename(asked / "heads.parquet")
    try:
        assert "heads" not in SitePanels(Recorded(ps.open_run(asked))).offered
    finally:
        (asked / "heads.parquet").rename(asked / "results" / "heads.parquet")
