"""Runs of format version 1, whose attributes have variable lengths: read, and read where a hang can be ended.

`version1` is a run as the code of that version wrote it.
"""

import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey, digests, guard, open_container, read_table, verify, write_container
from phasescope.store.contents import has_variable_length
from phasescope.store.guard import Guard

KEY = ShardKey("a", 1, 8)
BEATING = """
import time
input()
for _ in range(7):
    print(".", flush=True)
    time.sleep(0.5)
print('""', flush=True)
"""


@pytest.fixture
def old(tmp_path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(Path(__file__).with_name("version1"), tmp_path / "run")))


def test_an_old_run_is_read_and_verified(old: RunFolder) -> None:
    assert [finding for finding in verify(old) if finding.problem] == []
    with old.open_shard(KEY) as shard:
        assert shard.attrs["family"] == "old"
        assert shard.attrs_of("outputs/surprisal")["units"] == "nats"
        assert shard.recompute_digest() == shard.digest
        assert digests(old, [old.shard(KEY)]) == {"checkpoints/a/seed1/step00000008.h5": shard.digest}
    with old.open_cohort("a", 8) as cohort:
        assert cohort.read("seeds").tolist() == [1, 2]
    assert read_table(old.result("mine"))["value"].tolist() == [0.5, 0.25]
    assert old.read_manifest()["schema"] == 1


def test_new_files_have_nothing_of_variable_length(tmp_path: Path, old: RunFolder) -> None:
    with old.open_shard(KEY) as shard:
        from phasescope.store import Entry

        entries = {name: Entry(shard.read(name), shard.attrs_of(name)) for name in shard.names()}
        attrs = {
            key: value for key, value in shard.attrs.items() if key not in ("encoding", "encoding_version", "schema")
        }
        write_container(tmp_path / "new.h5", "shard", entries | {"words": Entry(np.array(["Ärger", ""]))}, attrs)
    assert b"GCOL" in old.shard(KEY).read_bytes()  # HDF5's heap of what has no length of its own
    assert b"GCOL" not in (tmp_path / "new.h5").read_bytes()
    with h5py.File(tmp_path / "new.h5") as file:
        seen = []

        def look(name: str, thing: h5py.HLObject) -> None:
            seen.extend(key for key in thing.attrs if has_variable_length(thing, key))

        look("/", file)
        file.visititems(look)
        assert seen == []
        assert file.attrs["schema"] == 2


def test_long_and_foreign_strings_are_kept(tmp_path: Path) -> None:
    attrs = {"long": "x" * 200_000, "name": "Ärger 漢字", "path": "caf\udce9", "empty": ""}
    digest = write_container(tmp_path / "a.h5", "shard", {}, attrs)
    with open_container(tmp_path / "a.h5", "shard") as container:
        assert {key: container.attrs[key] for key in attrs} == attrs
        assert container.recompute_digest() == digest


def test_a_file_that_keeps_its_reader_for_ever_is_named(
    old: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process that sleeps stands in for HDF5 in its loop: neither answers.
    monkeypatch.setattr(guard, "_SERVE", "import time; time.sleep(600)")
    monkeypatch.setattr(guard, "PATIENCE", 0.2)
    monkeypatch.setattr(guard, "GUARD", Guard())
    monkeypatch.setattr(guard, "_sound", set())
    begun = time.perf_counter()
    with pytest.raises(PhasescopeError, match=r"step00000008\.h5 cannot be read: HDF5 came to no end"):
        old.open_shard(KEY).__enter__()
    said = [finding.problem for finding in verify(old) if finding.path == old.shard(KEY)]
    assert "came to no end" in said[0]
    assert time.perf_counter() - begun < 60
    # Files of today need nobody to read them first.
    write_container(tmp_path / "new.h5", "shard", {}, {})
    with open_container(tmp_path / "new.h5", "shard"):
        pass


def test_a_file_that_ends_its_reader_is_named_and_the_next_one_is_read(
    old: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarding = Guard()
    monkeypatch.setattr(guard, "_SERVE", "import os; input(); os.kill(os.getpid(), 11)")
    with pytest.raises(PhasescopeError, match="HDF5 ends the process that reads it"):
        guarding.ask("verify", old.shard(KEY))
    monkeypatch.undo()
    assert guarding.ask("verify", old.shard(KEY)) == ""


def test_what_works_on_is_waited_for(old: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    guarding = Guard()
    assert guarding.ask("verify", old.shard(KEY)) == ""  # Python has started.
    monkeypatch.setattr(guard, "PATIENCE", 3.0)
    monkeypatch.setattr(guard, "_SERVE", BEATING)
    assert Guard().ask("verify", old.shard(KEY)) == ""
