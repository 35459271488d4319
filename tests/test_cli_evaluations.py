"""The commands about behaviour that others measure, as a user runs them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import shared
from tests.test_cli import here as phasescope
from tests.test_cli import one_sentence


@pytest.fixture
def run(pythia_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pythia_run, tmp_path / "run"))


def test_results_are_imported_and_shown(run: Path, tmp_path: Path) -> None:
    results = shared("lm_eval", "pythia-160m-zero-shot")
    table = tmp_path / "loss.csv"
    table.write_text("iteration,loss\n0,9\n7,8\n")
    shown = phasescope("import", run, results, table, "--column", "step=iteration").stdout.replace("\n", " ")
    assert "4,645 numbers of 27 checkpoints from 28 files." in shown
    assert "Skipped: a model that is not named at step 7: no such step in the run." in shown
    record = json.loads(phasescope("import", run, results, "--json").stdout)
    assert (record["numbers"], record["replaced"]) == (4644, 4644)
    seen = phasescope("analyse", run, "evaluations").stdout
    assert "160m: acc" in seen
    assert "mean of 22 crows_pairs" in seen


def test_what_does_not_fit_is_one_sentence(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "410m_step512.json"
    other.write_text('{"results": {"piqa": {"acc": 0.5}}}')
    assert "Nothing fits" in one_sentence(phasescope("import", run, other, status=1))
    assert "no size '160'" in one_sentence(phasescope("import", run, other, "--size", 160, status=1))
    assert "is not ROLE=NAME" in phasescope("import", run, other, "--column", "step", status=2).stderr
    phasescope("import", run, other, "--size", "160m")
