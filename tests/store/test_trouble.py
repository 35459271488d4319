"""What is said of files that cannot be read: never that they are damaged where nobody read what is wrong."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey, digests, verify
from phasescope.store.trouble import unreadable

KEY = ShardKey("14m", 1, 0)


def why(folder: RunFolder) -> str:
    """What opening the shard says."""
    try:
        with folder.open_shard(KEY) as shard:
            shard.read("outputs/surprisal")
    except PhasescopeError as error:
        return str(error)
    return ""


def test_a_file_that_a_notebook_has_open_is_read(folder: RunFolder) -> None:
    with h5py.File(folder.index) as run:
        held = run["checkpoints/14m/seed1/step00000000"]  # as the page on the format shows it
        assert held["outputs/surprisal"].shape
        assert why(folder) == ""
        assert not [finding for finding in verify(folder) if finding.problem]
    with h5py.File(folder.shard(KEY)):
        assert why(folder) == ""


def test_a_file_that_is_being_written_is_called_that(folder: RunFolder) -> None:
    with h5py.File(folder.shard(KEY), "r+"):
        said = why(folder)
        assert "open for writing in this very process" in said
        assert "elete" not in said
        said = next(finding.problem for finding in verify(folder) if finding.path == folder.shard(KEY))
        assert "being written by another program" in said
        assert "elete" not in said
    assert why(folder) == ""
    writer = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", writer, str(folder.shard(KEY))], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert "being written by another program" in why(folder)
        other.communicate("\n")
    assert why(folder) == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_called_that(folder: RunFolder) -> None:
    folder.shard(KEY).chmod(0)
    assert "may not be read" in why(folder)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "Ask its owner"),
        (OSError("Can't read data (file read failed: … errno = 5, error message = 'Input/output error')"), "whole"),
        (OSError(errno.EMFILE, "Too many open files"), "cannot be read now: Too many open files"),
        (OSError(errno.ESTALE, "Stale file handle"), "cannot be read now"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "There is no file"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_what_the_system_says_is_no_damage(error: Exception, said: str) -> None:
    text = str(unreadable(Path("a.h5"), error))
    assert said in text
    assert "damaged" not in text
    assert "elete" not in text


def test_what_was_read_and_does_not_fit_is_damage(folder: RunFolder) -> None:
    raw = folder.shard(KEY).read_bytes()
    for hurt in (raw[: len(raw) // 2], b"hello", raw[:-1], bytes(len(raw))):
        folder.shard(KEY).write_bytes(hurt)
        assert "is damaged" in why(folder)
        assert "Delete that file" in why(folder)


def test_no_damaged_byte_of_metadata_gives_anything_but_a_sentence(folder: RunFolder) -> None:
    path, whole = folder.shard(KEY), folder.shard(KEY).read_bytes()
    for place in range(0, len(whole), 31):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        why(folder)
        digests(folder, [path])
        try:
            with folder.open_shard(KEY) as shard:
                names = shard.names()
                for name in names:
                    shard.attrs_of(name)
                changed = shard.recompute_digest() != shard.digest
                values = [shard.read(name) for name in names]
                assert changed or (len(values) == 2 and not any((v != 1.0).any() for v in values))
        except PhasescopeError:
            pass


def test_a_folder_that_stands_for_a_file(folder: RunFolder) -> None:
    folder.shard(KEY).unlink()
    shutil.copytree(folder.path / "cohorts", folder.shard(KEY))
    assert "damaged" not in why(folder)
    assert why(folder)
