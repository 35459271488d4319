"""What is kept of single shards: tables are the same with and without it, and only what changed is made anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

import phasescope as ps
from phasescope.analyses import Options, drift, geometry, gradients, in_context_learning, rank, surprisal
from phasescope.analyses.convergence import tables as convergence
from phasescope.analyses.seeds import references
from phasescope.analyses.trajectories import outputs
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.store import Entry, RunFolder, ShardKey, origin_of, parts_of, rows_as_part, rows_of, write_container

MODULES = {
    "rank": rank,
    "surprisal": surprisal,
    "geometry": geometry,
    "drift": drift,
    "in_context_learning": in_context_learning,
    "gradients": gradients,
    "seeds": references,
    "trajectories": outputs,
}
NAMES = ("convergence", *MODULES)
# Those that single trainings may be asked of by several at once; agreement and seeds keep what is of a step too.
BY_TRAINING = ("convergence", "rank", "surprisal", "geometry", "drift", "in_context_learning", "gradients")
FEW = Options(resamples=20)


def test_parts_are_made_once_and_found_by_what_they_are_of(tmp_path: Path) -> None:
    asked: list[int] = []

    def make(places: list[int]) -> Iterator[dict[str, np.ndarray]]:
        asked[:] = places
        for place in places:
            yield {"rows": np.arange(place, dtype=float), "words": np.array(["é"] * place, dtype=str)}

    path = tmp_path / "parts.h5"
    for origins, expected in [("abc", [0, 1, 2]), ("abc", []), ("cadb", [2]), ("cb", []), ("acb", [0])]:
        asked.clear()
        found = parts_of(path, list(origins), make)
        assert asked == expected
        assert len(found) == len(origins)
    asked.clear()
    shutil.copy(path, tmp_path / "copy.h5")
    first, second = ([parts_of(place, list("acb"), make)] for place in (path, tmp_path / "copy.h5"))
    for one, other in zip(*first, *second, strict=True):
        assert asked == []
        assert one["rows"].tolist() == other["rows"].tolist()
        assert one["words"].tolist() == other["words"].tolist() == ["é"] * len(one["rows"])


def test_rows_come_back_as_they_went_in() -> None:
    columns = {"name": "str", "head": "Int64", "value": "float64", "count": "int64"}
    rows = [("é", None, np.nextafter(1, 2), 1), ("", -1, -0.0, 2**60), ("x", 3, float("inf"), 0)]
    assert rows_of(rows_as_part(rows, columns), columns) == rows
    assert rows_of(rows_as_part([], columns), columns) == []
    assert np.isnan(rows_of(rows_as_part([("", 0, float("nan"), 0)], columns), columns)[0][2])


def test_an_origin_tells_all_apart() -> None:
    assert len({origin_of(*what) for what in [(1, "a"), ("1", "a"), (1, ["a"]), (1, "a", ""), ("1a",)]}) == 5


def tables(folder: Path) -> dict[str, pd.DataFrame]:
    return ps.open_run(folder).analyse(*NAMES, options=FEW)


def equal(one: dict[str, pd.DataFrame], other: dict[str, pd.DataFrame]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        pd.testing.assert_frame_equal(one[name], other[name], check_exact=True)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards that are read, as `analysis:label`."""
    read: list[str] = []
    points = convergence._points

    def counting(reader: Any, keys: list[ShardKey], *more: Any) -> Any:
        read.extend(f"convergence:{key.label}" for key in keys)
        return points(reader, keys, *more)

    monkeypatch.setattr(convergence, "_points", counting)
    for name, module in MODULES.items():

        def counting_one(*given: Any, part: Any = module._part, name: str = name) -> Any:
            (key,) = (one for one in given if isinstance(one, ShardKey))
            read.append(f"{name}:{key.label}")
            return part(*given)

        monkeypatch.setattr(module, "_part", counting_one)
    return read


def test_a_checkpoint_costs_its_own_share_and_a_final_state_what_depends_on_it(
    captured: Path, tmp_path: Path, counted: list[str]
) -> None:
    whole = tmp_path / "whole"
    run = tmp_path / "run"
    for folder in (whole, run):
        shutil.copytree(captured, folder, ignore=shutil.ignore_patterns("results"))
    expected = tables(whole)
    assert len(counted) == len(NAMES) * 16
    counted.clear()
    equal(tables(whole), expected)
    assert counted == []

    folder = RunFolder(run)
    later = {ShardKey("tiny", 1, 4): "middle", ShardKey("small", 2, 16): "last"}
    aside = {folder.shard(key): tmp_path / f"{key.size}.h5" for key in later}
    aside |= {folder.cohort(key.size, key.step): tmp_path / f"{key.size} cohort.h5" for key in later}
    for path, elsewhere in aside.items():
        path.rename(elsewhere)
    (run / "run.h5").unlink()  # which knows of them
    with pytest.warns(PhasescopeWarning, match="lacks last steps"):
        tables(run)
    for path, elsewhere in aside.items():
        elsewhere.rename(path)
    counted.clear()
    equal(tables(run), expected)
    changed = [f"convergence:small/seed2/step{step}" for step in (0, 1, 4, 16)]
    new = [f"{name}:{key.label}" for name in NAMES[1:] for key in later]
    assert sorted(counted) == sorted([*changed, "convergence:tiny/seed1/step4", *new])


def test_what_is_of_all_models_at_a_step_is_kept_too(
    captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(shutil.copytree(captured, tmp_path / "run", ignore=shutil.ignore_patterns("results")))
    opened: list[object] = []
    for name in ("open_shard", "open_cohort"):
        known = getattr(RunFolder, name)
        monkeypatch.setattr(RunFolder, name, lambda *given, known=known: opened.append(given[1:]) or known(*given))
    expected = ps.open_run(folder.path).analyse("agreement", "seeds", options=FEW)
    assert (len(expected["agreement"]), len(expected["seeds"])) == (12, 8)
    run = ps.open_run(folder.path)
    assert run.reader.keys  # the audit opens shards
    opened.clear()
    equal(run.analyse("agreement", "seeds", options=FEW), expected)
    last = {(ShardKey(size, seed, 16),) for size in ("tiny", "small") for seed in (1, 2)}
    assert set(opened) <= last | {
        (run.reader.keys[0],)
    }  # how surprising tokens are in the end; whether there are bytes
    with h5py.File(folder.shard(ShardKey("tiny", 1, 4)), "a") as shard:
        shard.attrs["digest"] = np.bytes_("0" * 32)
    with pytest.raises(PhasescopeError, match=r"was made from .* has other contents now"):
        ps.open_run(folder.path).analyse("seeds", options=FEW)


def test_other_options_have_parts_of_their_own(captured: Path, tmp_path: Path, counted: list[str]) -> None:
    run = Path(shutil.copytree(captured, tmp_path / "run", ignore=shutil.ignore_patterns("results")))
    opened = ps.open_run(run)
    opened.analyse("convergence", "rank", options=FEW)
    counted.clear()
    opened.analyse("convergence", "rank", options=Options(resamples=20, taus=(0.7,), level=0.5))
    assert counted == []
    opened.analyse("convergence", "rank", options=Options(resamples=21))
    assert len(counted) == 16


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def of_something_else(path: Path) -> None:
    write_container(path, "parts", {"origins": Entry(np.array(["x"]))}, {})
    write_container(path, "parts", {"origins": Entry(np.array(["x"])), "rows": Entry(np.arange(3))}, {})


@pytest.mark.parametrize("spoil", [damage, cut, of_something_else])
def test_a_part_that_cannot_be_used_is_told_and_made_anew(spoil: Any, captured: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(captured, tmp_path / "run", ignore=shutil.ignore_patterns("results")))
    opened = ps.open_run(run)
    expected = opened.analyse("rank")
    path = opened.folder.parts("rank/tiny/seed1")
    spoil(path)
    with pytest.warns(PhasescopeWarning, match=r"tiny/seed1.h5, which saves analyses time, cannot be used and is made"):
        equal(opened.analyse("rank"), expected)
    equal(opened.analyse("rank"), expected)


def test_several_at_once_give_the_same_tables_and_leave_all_that_one_needs(
    captured: Path, tmp_path: Path, counted: list[str]
) -> None:
    one, several = (
        Path(shutil.copytree(captured, tmp_path / name, ignore=shutil.ignore_patterns("results")))
        for name in ("one", "several")
    )
    expected = tables(one)
    counted.clear()
    equal(ps.open_run(several).analyse(*NAMES, options=FEW, workers=2), expected)
    assert not [one for one in counted if one.startswith(BY_TRAINING)]  # here: it was done elsewhere
    for path in (one / "results" / "parts").rglob("*.h5"):
        assert path.read_bytes() == (several / path.relative_to(one)).read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_what_was_kept_of_a_shard_is_not_believed_of_one_in_its_place(
    name: str, captured: Path, tmp_path: Path
) -> None:
    folder = RunFolder(shutil.copytree(captured, tmp_path / "run"))
    ps.open_run(folder.path).analyse(name, options=FEW)
    key = folder.shards()[0]
    one, other = (folder.shard(ShardKey(key.size, key.seed, step)) for step in (0, 16))
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    with pytest.raises(PhasescopeError, match="is not what belongs there"):
        ps.open_run(folder.path).analyse(name, options=FEW)
