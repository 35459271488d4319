"""A run's folder: what is found in it, who may write, what verify sees."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey, read_table, verify, write_table
from phasescope.store.verify import length_problem
from tests.store.conftest import CONTEXT, OUTPUTS, SEQUENCES, write_shard


def problems(folder: RunFolder) -> dict[str, str]:
    return {finding.path.name: finding.problem for finding in verify(folder) if finding.problem}


def test_shards_and_cohorts_are_found_by_name(folder: RunFolder) -> None:
    folder.shard(ShardKey("14m", 1, 7)).with_name(".step00000007.h5.tmp-1").write_bytes(b"half")
    folder.shard(ShardKey("14m", 1, 7)).with_name("notes.h5").write_bytes(b"not ours")
    assert folder.shards() == [ShardKey("14m", 1, 0), ShardKey("14m", 1, 143000), ShardKey("14m", 2, 0)]
    assert folder.cohorts() == [("14m", 0)]
    assert folder.shard(ShardKey("14m", 1, 143000)).name == "step00143000.h5"


def test_the_index_opens_the_run_as_one_file_wherever_it_lies(folder: RunFolder, tmp_path: Path) -> None:
    moved = Path(shutil.move(folder.path, tmp_path / "elsewhere"))
    with h5py.File(moved / "run.h5") as run:
        values = run["checkpoints/14m/seed1/step00143000/activations/blocks.0.hook_mlp_out"][...]
        assert values.tolist() == [[143001.0, 143001.0]] * 4
        assert run["cohorts/14m/step00000000/kl"].shape == (2, 2, OUTPUTS, CONTEXT - 1)
        assert run["inputs/tokens"].shape == (SEQUENCES, CONTEXT)


def test_verify_finds_nothing_in_a_whole_run(folder: RunFolder) -> None:
    assert problems(folder) == {}
    assert len(list(verify(folder))) == 1 + 1 + 3 + 1 + 1 + 1


def test_a_quick_look_finds_what_is_gone_or_cut_short(folder: RunFolder) -> None:
    assert {finding.problem for finding in verify(folder, quick=True)} == {""}
    assert len(list(verify(folder, quick=True))) == len(list(verify(folder)))
    cut, longer, empty = (folder.shard(key) for key in folder.shards())
    cut.write_bytes(cut.read_bytes()[:-1])
    longer.write_bytes(longer.read_bytes() + b"\0")
    empty.write_bytes(b"")
    table = folder.result("seeds")
    table.write_bytes(table.read_bytes()[:-3])
    folder.inputs.unlink()
    found = {finding.path: finding.problem for finding in verify(folder, quick=True) if finding.problem}
    assert set(found) == {cut, longer, empty, table, folder.inputs}
    size = cut.stat().st_size
    assert f"is damaged (it is {size} bytes long, and says that it is {size + 1})" in found[cut]
    assert "it does not begin as HDF5 files do" in found[empty]
    assert "it does not begin and end as a table does" in found[table]
    assert "There is no file" in found[folder.inputs]


@pytest.mark.parametrize("version", [(("earliest", "v110"), 0), (("v110", "v110"), 3), (("v108", "v110"), 2)])
def test_a_quick_look_knows_where_files_of_each_version_end(
    version: tuple[tuple[str, str], int], tmp_path: Path
) -> None:
    bounds, superblock = version
    path = tmp_path / "some.h5"
    with h5py.File(path, "w", libver=bounds) as file:
        file["numbers"] = np.arange(1000)
    assert path.read_bytes()[8] == superblock
    assert length_problem(path) == ""
    path.write_bytes(path.read_bytes()[:-8])
    assert "bytes long" in length_problem(path)


def test_verify_names_each_kind_of_damage(folder: RunFolder) -> None:
    changed = folder.shard(ShardKey("14m", 1, 0))
    with h5py.File(changed, "r+") as shard:  # valid HDF5 with valid checksums, but not what was written
        shard["activations/blocks.0.hook_mlp_out"][0, 0] = 99
    truncated = folder.shard(ShardKey("14m", 2, 0))
    truncated.write_bytes(truncated.read_bytes()[:700])
    folder.inputs.unlink()
    folder.result("seeds").write_bytes(b"PAR1 no")
    late = ShardKey("14m", 3, 0)
    write_shard(folder, late)
    found = problems(folder)
    assert set(found) == {"step00000000.h5", "inputs.h5", "seeds.parquet", "run.h5"}
    said = [finding.problem for finding in verify(folder) if finding.problem]
    assert any("changed after it was written" in problem and "seed1" in problem for problem in said)
    assert any("damaged" in problem and "seed2" in problem for problem in said)
    assert "14m/seed3/step00000000" in found["run.h5"]
    assert "analyse" in found["seeds.parquet"]


def test_an_attribute_that_changed_is_found(folder: RunFolder) -> None:
    with h5py.File(folder.shard(ShardKey("14m", 1, 0)), "r+") as shard:
        shard.attrs["family"] = np.bytes_(b"odd")
    assert "digest does not fit" in problems(folder)["step00000000.h5"]


def test_one_writer_at_a_time_who_clears_what_a_killed_one_left(folder: RunFolder) -> None:
    leftover = folder.shard(ShardKey("14m", 1, 7)).with_name(".step00000007.h5.tmp-1")
    leftover.write_bytes(b"half a shard")
    with folder.writing():
        assert not leftover.exists()
        with pytest.raises(PhasescopeError, match="Another phasescope"), RunFolder(folder.path).writing():
            pass
    with folder.writing():
        pass


def test_tables_keep_types_and_attributes(folder: RunFolder) -> None:
    table = pd.DataFrame({"head": pd.array([1, None], dtype="Int64"), "cka": [0.5, float("nan")]})
    table.attrs = {"made_from": "abc"}
    write_table(folder.result("convergence"), table, csv=True)
    back = read_table(folder.result("convergence"))
    pd.testing.assert_frame_equal(back, table)
    assert back.attrs == table.attrs
    assert folder.result("convergence").with_suffix(".csv").read_text() == "head,cka\n1,0.5\n,\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "damaged"),
        ('{"schema": "one"}', "names no schema"),
        ('{"schema": 3}', "format version 3"),
        ("[]", "names no schema"),
    ],
)
def test_a_manifest_that_cannot_be_read(folder: RunFolder, text: str, said: str) -> None:
    folder.manifest.write_text(text)
    with pytest.raises(PhasescopeError, match=said):
        folder.read_manifest()


def test_a_run_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(PhasescopeError, match="was deleted or moved"), folder.writing():
        raise AssertionError("nobody may write here")
    assert not folder.path.exists()
    folder.path.mkdir()
    (folder.path / "notes.txt").write_text("mine")
    with pytest.raises(PhasescopeError, match="was deleted or moved"), folder.writing():
        raise AssertionError("nobody may write here")
    assert [path.name for path in folder.path.iterdir()] == ["notes.txt"]
    with folder.writing(new=True):
        pass
