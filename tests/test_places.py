"""Where a run lies: no part of what is computed from it; and a run that may only be read."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

import phasescope as ps
from phasescope.analyses import Options
from phasescope.cli import app

# Whole runs in several places: a minute or two.
pytestmark = pytest.mark.slow


def made(run: Path) -> dict[str, bytes]:
    """What was computed, by its name in the run; without what is kept to save time (`reference`, `digests.json`)."""
    files = [path for room in ("results", "report") for path in sorted((run / room).rglob("*")) if path.is_file()]
    files = [path for path in files if path.name != "digests.json"]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in [*files, run / "run.h5"]}


def test_equal_runs_in_different_folders_give_equal_bytes(captured: Path, tmp_path: Path) -> None:
    found, shown = [], []
    for place in (tmp_path / "one" / "toy", tmp_path / "another" / "place of mine" / "toy"):
        shutil.copytree(captured, place)
        shutil.rmtree(place / "results", ignore_errors=True)
        run = ps.open_run(place)
        run.analyse(options=Options(resamples=50), csv=True)
        run.report()
        run.report_markdown()
        found.append(made(place))
        shown.append([repr(run), run._repr_html_(), run.layer(1, "mlp_out", size="tiny")._repr_html_()])
        for name, data in found[-1].items():
            assert str(tmp_path).encode() not in data, name
    assert len(found[0]) > 60
    assert found[0].keys() == found[1].keys()
    assert [name for name in found[0] if found[0][name] != found[1][name]] == []
    assert shown[0] == shown[1]
    assert str(tmp_path) not in "".join(shown[0])


def test_commands_are_told_with_the_place_where_they_work(captured: Path, tmp_path: Path) -> None:
    place = tmp_path / "toy"
    shutil.copytree(captured, place)
    said = CliRunner().invoke(app, ["analyse", str(place), "noise"])
    assert f"phasescope visit {place} --behaviour noise" in "".join(said.stdout.split("\n")).replace("  ", " ")
    assert "phasescope visit RUN --behaviour noise" in ps.open_run(place).table("noise").attrs["absent"]


@contextmanager
def without_roots_right_to_write() -> Iterator[None]:
    """Root may write whatever the modes say, by a capability (CAP_DAC_OVERRIDE) that is laid down for a while."""
    version, override = 0x20080522, 1 << 1
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (
        (ctypes.c_uint32 * 2)(version, 0),
        (ctypes.c_uint32 * 6)(),
    )  # effective, permitted, inheritable; twice
    assert libc.capget(header, sets) == 0
    before = sets[0]
    sets[0] = before & ~override
    assert libc.capset(header, sets) == 0
    try:
        yield
    finally:
        sets[0] = before
        assert libc.capset(header, sets) == 0


@pytest.fixture
def only_read(captured: Path, tmp_path: Path) -> Iterator[Path]:
    """A run that this process may not write into."""
    run = tmp_path / "toy"
    shutil.copytree(captured, run)
    shutil.rmtree(run / "results", ignore_errors=True)
    everything = [run, *run.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    with without_roots_right_to_write() if os.geteuid() == 0 else nullcontext():
        yield run
    for path in everything:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_run_that_may_only_be_read_is_analysed_elsewhere(only_read: Path, tmp_path: Path) -> None:
    runner, run, elsewhere = CliRunner(), only_read, tmp_path / "mine"
    with pytest.raises(ps.PhasescopeError) as refused:
        ps.open_run(run).analyse("surprisal")
    assert str(refused.value) == (
        f"{run} may not be written. Keep the tables elsewhere: phasescope analyse {run} --out FOLDER, and then "
        "--tables FOLDER to look at them."
    )
    before = sorted(run.rglob("*"))
    asked = ["analyse", str(run), "convergence", "surprisal", "rank", "--resamples", "50", "--out", str(elsewhere)]
    said = runner.invoke(app, asked)
    assert said.exit_code == 0, said.output
    assert f"Tables: {elsewhere / 'results'}" in said.stdout.replace("\n", "")
    times = {path: path.stat().st_mtime_ns for path in (elsewhere / "results").glob("*.parquet")}
    assert {path.stem for path in times} == {"convergence", "settling", "convergence_resamples", "surprisal", "rank"}
    # What was computed there is read, not made again.
    beside = ["--tables", str(elsewhere)]
    layer = runner.invoke(app, ["layer", str(run), "1", "mlp_out", "--size", "tiny", *beside])
    assert layer.exit_code == 0, layer.output
    report = runner.invoke(app, ["report", str(run), *beside])
    assert report.exit_code == 0, report.output
    assert (elsewhere / "report" / "index.html").is_file()
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert sorted(run.rglob("*")) == before


def test_tables_do_not_go_into_another_run(captured: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(captured, other)
    with pytest.raises(ps.PhasescopeError, match="is a run itself, whose own tables would be lost"):
        ps.open_run(captured, out=other)
    assert ps.open_run(captured, out=captured).folder.made == captured
