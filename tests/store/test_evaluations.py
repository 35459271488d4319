"""What was measured elsewhere, in the folder of a run."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import EVALUATIONS, RunFolder, as_evaluations, keep_evaluations, read_evaluations, verify


def numbers(source: str = "a.json", **columns: object) -> pd.DataFrame:
    table = pd.DataFrame({"step": [0, 8], "value": [0.25, 0.5], **columns})
    return as_evaluations(table.assign(size="160m", seed=0, task="piqa", metric="acc", source=source, digest="d"))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    return folder


def test_nothing_kept_is_an_empty_table_of_the_same_columns(folder: RunFolder) -> None:
    assert list(read_evaluations(folder).columns) == list(EVALUATIONS)
    assert read_evaluations(folder).empty


def test_the_same_again_takes_the_place_of_what_was_there(folder: RunFolder) -> None:
    assert keep_evaluations(folder, numbers()).rows == 2
    kept = keep_evaluations(folder, numbers("b.json", value=[0.25, 0.75]))
    assert (kept.rows, kept.replaced) == (2, 2)
    assert kept.changed[["step", "value_before", "value"]].to_numpy().tolist() == [[8, 0.5, 0.75]]
    pd.testing.assert_frame_equal(read_evaluations(folder), numbers("b.json", value=[0.25, 0.75]))


def test_other_examples_in_the_prompt_are_other_numbers(folder: RunFolder) -> None:
    for shots in (None, 0, 5):
        keep_evaluations(folder, numbers(shots=shots))
    assert len(read_evaluations(folder)) == 6
    assert keep_evaluations(folder, numbers(shots=None)).replaced == 2


def test_all_of_a_source_goes_that_is_read_again(folder: RunFolder) -> None:
    keep_evaluations(folder, numbers("a.json"))
    keep_evaluations(folder, numbers("b.json", step=[1, 2]))
    keep_evaluations(folder, numbers("a.json", step=[16, 32]), again=["a.json"])
    assert read_evaluations(folder)["step"].tolist() == [1, 2, 16, 32]


def test_the_same_number_twice_is_a_programming_error(folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="same keys"):
        keep_evaluations(folder, numbers(step=[8, 8]))


def test_a_damaged_file_is_named_with_the_remedy(folder: RunFolder) -> None:
    folder.evaluations.write_bytes(b"no parquet")
    with pytest.raises(PhasescopeError, match=r"evaluations.parquet is damaged .* import the results again"):
        read_evaluations(folder)


def test_verify_reads_it(captured: Path, tmp_path: Path) -> None:
    import shutil

    folder = RunFolder(Path(shutil.copytree(captured, tmp_path / "run")))
    keep_evaluations(folder, numbers())
    assert folder.evaluations in [finding.path for finding in verify(folder) if not finding.problem]
    folder.evaluations.write_bytes(folder.evaluations.read_bytes()[:-20])
    assert [finding.path for finding in verify(folder) if finding.problem] == [folder.evaluations]
