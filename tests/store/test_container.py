"""Containers: whole or not at all, checked, readable by plain HDF5."""

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import SCHEMA, Entry, new_container, open_container, write_container
from phasescope.store.writer import _CHUNK_BYTES

ARRAYS = {
    "activations/blocks.0.hook_mlp_out": np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32),
    "half": np.arange(6, dtype=np.float16).reshape(2, 3),
    "counts": np.array([2**40, -1]),
    "words": np.array(["Ärger", "naïve 漢字", ""]),
    "empty": np.zeros((0, 4), np.float32),
    "scalar": np.array(3.5),
}


def make(path: Path, kind: str = "shard") -> str:
    entries = {name: Entry(array, {"units": "nats", "layer": 0}) for name, array in ARRAYS.items()}
    return write_container(path, kind, entries, {"family": "toy", "step": 512})


def test_reads_back_what_was_written(tmp_path: Path) -> None:
    digest = make(tmp_path / "a.h5")
    with open_container(tmp_path / "a.h5", "shard") as container:
        assert container.digest == digest == container.recompute_digest()
        assert container.attrs["family"] == "toy"
        assert container.attrs["step"] == 512
        assert set(container.names()) == set(ARRAYS)
        assert container.names("activations") == ["activations/blocks.0.hook_mlp_out"]
        assert container.attrs_of("half")["units"] == "nats"
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(container.read(name), array)
            if array.dtype.kind != "U":
                assert container.read(name).dtype == array.dtype
        np.testing.assert_array_equal(container.read("half", slice(1, 2)), ARRAYS["half"][1:2])


def test_the_digest_is_of_the_contents_alone(tmp_path: Path) -> None:
    assert make(tmp_path / "a.h5") == make(tmp_path / "b.h5")
    other = write_container(tmp_path / "c.h5", "shard", {"half": Entry(ARRAYS["half"] + 1)}, {})
    same_but_attrs = write_container(tmp_path / "d.h5", "shard", {"half": Entry(ARRAYS["half"])}, {})
    assert other != same_but_attrs


def test_attributes_of_every_kind_read_back_to_the_same_digest(tmp_path: Path) -> None:
    attrs = {
        "count": np.int32(3),
        "share": np.float32(0.1),
        "kept": True,
        "name": "Ärger",
        "empty": "",
        "flag": np.bool_(0),
    }
    with new_container(tmp_path / "a.h5", "shard", attrs) as writer:
        writer.put("group/one", Entry(np.arange(3.0), attrs))
        writer.append("group/two", np.ones((2, 2), np.float16), 0, 2, attrs)
        writer.append("group/two", np.full((1, 2), 1e6, np.float32), 1, 2, attrs)
    with open_container(tmp_path / "a.h5", "shard") as container:
        assert writer.digest == container.digest == container.recompute_digest()


def test_plain_hdf5_with_checksums_and_versions_everywhere(tmp_path: Path) -> None:
    make(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert file.attrs["encoding"] == b"shard"
        assert file.attrs["schema"] == SCHEMA
        assert file["activations"].attrs["encoding"] == b"group"
        for name, array in ARRAYS.items():
            assert file[name].attrs["encoding_version"] == b"1"
            assert file[name].fletcher32 == bool(array.size and array.ndim)
            assert file[name].compression is None


def test_rows_appended_equal_rows_at_once(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).normal(size=(100, 3, 5)).astype(np.float32)
    with new_container(tmp_path / "a.h5", "shard", {}) as writer:
        for first in range(0, 100, 7):
            writer.append("rows", rows[first : first + 7], first, 100, {"layer": 1})
    assert writer.digest == write_container(tmp_path / "b.h5", "shard", {"rows": Entry(rows, {"layer": 1})}, {})


def test_rows_that_need_more_widen_the_array(tmp_path: Path) -> None:
    with new_container(tmp_path / "a.h5", "shard", {}) as writer:
        writer.append("rows", np.ones((2, 2), np.float16), 0, 4, {})
        writer.append("rows", np.full((2, 2), 1e6, np.float32), 2, 4, {})
    with open_container(tmp_path / "a.h5", "shard") as container:
        np.testing.assert_array_equal(container.read("rows"), [[1, 1], [1, 1], [1e6, 1e6], [1e6, 1e6]])


def test_nothing_is_left_when_writing_fails(tmp_path: Path) -> None:
    make(tmp_path / "a.h5")
    before = (tmp_path / "a.h5").read_bytes()
    with pytest.raises(RuntimeError, match="on purpose"), new_container(tmp_path / "a.h5", "shard", {}) as writer:
        writer.put("x", Entry(np.ones(3)))
        raise RuntimeError("on purpose")
    assert (tmp_path / "a.h5").read_bytes() == before
    assert os.listdir(tmp_path) == ["a.h5"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from phasescope.errors import PhasescopeError
from phasescope.store import Entry, write_container
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    write_container(Path(sys.argv[1]), "shard", {"big": Entry(np.random.default_rng(0).normal(size=(1 << 20)))}, {})
except PhasescopeError as error:
    print(error)
"""


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit on the size of files makes the real writes fail as a full disk does (EFBIG in place of ENOSPC).
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "a.h5")], capture_output=True, text=True, check=False
    )
    assert "no space left" in done.stdout, done.stderr
    assert "nothing already written is lost" in done.stdout
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("cut", [10, 1000, -1])
def test_a_truncated_file_is_named(tmp_path: Path, cut: int) -> None:
    make(tmp_path / "a.h5")
    whole = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(whole[:cut])
    with (
        pytest.raises(PhasescopeError, match=r"a\.h5 is damaged"),
        open_container(tmp_path / "a.h5", "shard") as container,
    ):
        container.recompute_digest()


def test_a_changed_byte_is_found_on_reading(tmp_path: Path) -> None:
    values = np.arange(_CHUNK_BYTES, dtype=np.float32)
    write_container(tmp_path / "a.h5", "shard", {"x": Entry(values)}, {})
    raw = bytearray((tmp_path / "a.h5").read_bytes())
    place = raw.index(values[1000:1010].tobytes())
    raw[place] ^= 1
    (tmp_path / "a.h5").write_bytes(raw)
    with open_container(tmp_path / "a.h5", "shard") as container, pytest.raises(PhasescopeError, match="damaged"):
        container.read("x")


def test_overwritten_metadata_are_found_on_reading(tmp_path: Path) -> None:
    make(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        place = h5py.h5o.get_info(file["activations"].id).addr
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[place : place + 32] = bytes(32)
    (tmp_path / "a.h5").write_bytes(content)
    with open_container(tmp_path / "a.h5", "shard") as container, pytest.raises(PhasescopeError, match="is damaged"):
        container.read("activations/blocks.0.hook_mlp_out")


def test_what_is_no_container_is_named(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="There is no file"), open_container(tmp_path / "no.h5", "shard"):
        pass
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(PhasescopeError, match="damaged"), open_container(tmp_path / "text.h5", "shard"):
        pass
    make(tmp_path / "a.h5", kind="inputs")
    with (
        pytest.raises(PhasescopeError, match="not a phasescope shard file"),
        open_container(tmp_path / "a.h5", "shard"),
    ):
        pass
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["schema"] = SCHEMA + 1
    with pytest.raises(PhasescopeError, match="Update phasescope"), open_container(tmp_path / "a.h5", "inputs"):
        pass
    make(tmp_path / "b.h5")
    with (
        open_container(tmp_path / "b.h5", "shard") as container,
        pytest.raises(PhasescopeError, match="holds no spectra"),
    ):
        container.read("spectra")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(PhasescopeError, match="could not be written"):
        make(tmp_path / "file" / "a.h5")
