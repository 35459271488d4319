"""What is gone from a run, or lies where something else belongs, is told by whatever needs it."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import phasescope as ps
from phasescope.errors import DamagedError, PhasescopeError, PhasescopeWarning
from phasescope.store import RunFolder, digests, read_table, verify, write_table
from phasescope.visits import compare_run


def problems(folder: RunFolder) -> str:
    return "; ".join(finding.problem for finding in verify(folder) if finding.problem)


def test_a_table_in_the_place_of_another(folder: RunFolder) -> None:
    for name in ("one", "other"):
        write_table(folder.result(name), pd.DataFrame({"value": [1.0]}))
    assert read_table(folder.result("one")).attrs == {}
    shutil.copyfile(folder.result("one"), folder.result("other"))
    with pytest.raises(DamagedError, match=r"other\.parquet holds another table, one"):
        read_table(folder.result("other"))
    assert "holds another table" in problems(folder)


def test_a_file_that_is_gone_has_no_digest(folder: RunFolder) -> None:
    with pytest.raises(PhasescopeError, match="There is no file"):
        digests(folder, [folder.path / "gone.h5"])


@pytest.fixture
def run(captured: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(captured, tmp_path / "run"))


def test_a_shard_that_was_there_is_missed(run: RunFolder) -> None:
    run.shard(next(key for key in run.shards() if key.step == 4)).unlink()
    for asked in (lambda: ps.open_run(run.path).analyse("surprisal"), lambda: compare_run(run, ["steps"])):
        with pytest.warns(PhasescopeWarning, match=r"has lost .*shards? that it had"):
            asked()


def test_items_that_are_gone_are_missed_where_there_are_scores(run: RunFolder) -> None:
    orphan = run.scores("minimal_pairs", "blimp", run.shards()[0])
    orphan.parent.mkdir(parents=True)
    shutil.copyfile(run.inputs, orphan)
    with pytest.raises(PhasescopeError, match=r"blimp/items\.h5 is gone, and there are scores"):
        ps.open_run(run.path).analyse("minimal_pairs")
    assert "blimp/items.h5 is gone" in problems(run)


def test_phases_do_not_go_on_without_a_damaged_table(run: RunFolder) -> None:
    opened = ps.open_run(run.path)
    opened.analyse("surprisal")
    with run.result("surprisal").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DamagedError, match=r"surprisal\.parquet is damaged"):
        opened.analyse("phases")  # phases() gives those that were kept, which are of the table as it was
