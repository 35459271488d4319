"""What was measured elsewhere as a table of the run."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.evaluations import COLUMNS
from tests.conftest import PYTHIA_STEPS, shared


@pytest.fixture
def run(pythia_run: Path, tmp_path: Path) -> ps.Run:
    return ps.open_run(shutil.copytree(pythia_run, tmp_path / "run"))


def curve(folder: Path, **columns: object) -> Path:
    path = folder / "curve.csv"
    pd.DataFrame({"step": [0, 8], "value": [0.25, 0.5], **columns}).to_csv(path, index=False)
    return path


def test_nothing_is_an_empty_table_that_says_why(run: ps.Run) -> None:
    table = run.evaluations()
    assert table.empty
    assert list(table.columns) == list(COLUMNS)
    assert "phasescope import RUN FILES" in table.attrs["absent"]


def test_an_import_makes_the_table_stale_and_no_other(run: ps.Run, tmp_path: Path) -> None:
    run.analyse("surprisal", "evaluations")
    before = {name: run.folder.result(name).stat().st_mtime_ns for name in ("surprisal", "evaluations")}
    run.import_results(curve(tmp_path))
    assert len(run.evaluations()) == 2
    run.surprisal()
    after = {name: run.folder.result(name).stat().st_mtime_ns for name in before}
    assert [name for name in before if before[name] != after[name]] == ["evaluations"]


def test_intervals_are_of_the_standard_error_or_the_source_s_own(run: ps.Run, tmp_path: Path) -> None:
    run.import_results(curve(tmp_path, stderr=[0.01, None], low=[None, 0.4], high=[None, 0.7]))
    for level, z in ((0.95, 1.959963984540054), (0.5, 0.6744897501960817)):  # of a table of the normal distribution
        rows = run.analyse("evaluations", options=Options(level=level))["evaluations"]
        np.testing.assert_allclose(rows["low"], [0.25 - z * 0.01, 0.4], rtol=1e-12)
        np.testing.assert_allclose(rows["high"], [0.25 + z * 0.01, 0.7], rtol=1e-12)
        np.testing.assert_array_equal(rows["level"], [level, np.nan])
    run.import_results(curve(tmp_path))
    assert run.evaluations()[["low", "high", "level"]].isna().all(axis=None)


def test_real_results_against_perplexity(run: ps.Run) -> None:
    """The 27 files of Pythia-160M beside the perplexities of our own models at these steps."""
    run.import_results(shared("lm_eval", "pythia-160m-zero-shot"))
    table = run.evaluations()
    assert list(dict.fromkeys(table["step"])) == list(PYTHIA_STEPS)
    row = table[(table["task"] == "arc_easy") & (table["metric"] == "acc") & (table["step"] == 143_000)].iloc[0]
    assert row["high"] - row["low"] == pytest.approx(2 * 1.959964 * row["stderr"], rel=1e-6)
    against = run.against_perplexity("evaluations", "value", by=["task", "metric"])
    mine = against[(against["task"] == "arc_easy") & (against["metric"] == "acc")]
    raw = table[(table["task"] == "arc_easy") & (table["metric"] == "acc")]
    perplexities = run.surprisal()["perplexity"]
    assert len(mine) > 10
    assert mine["perplexity"].between(perplexities.min() * 0.999, perplexities.max() * 1.001).all()
    assert mine["value"].between(raw["value"].min(), raw["value"].max()).all()
