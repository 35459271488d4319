"""How analyses read what other analyses found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from phasescope.analyses import Options, RunReader, table
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.store import RunFolder, read_table


def test_a_table_is_made_once_and_anew_when_the_shards_change(captured: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(captured, tmp_path / "run", ignore=shutil.ignore_patterns("results")))
    reader = RunReader(RunFolder(run))
    path = run / "results/surprisal.parquet"
    assert len(table(reader, "surprisal", Options(resamples=7))) == 16
    assert "resamples=7" in read_table(path).attrs["options"]
    assert "resamples=7" in table(reader, "surprisal", Options(resamples=9)).attrs["options"]
    (run / "checkpoints/tiny/seed1/step00000004.h5").unlink()
    with pytest.warns(PhasescopeWarning, match="has lost"):
        changed = table(RunReader(RunFolder(run)), "surprisal", Options(resamples=9))
    assert len(changed) == 15
    assert "resamples=9" in changed.attrs["options"]


def test_a_table_that_no_analysis_makes_is_refused_with_the_nearest(captured: Path) -> None:
    with pytest.raises(PhasescopeError, match="Did you mean seeds"):
        table(RunReader(RunFolder(captured)), "seds")
