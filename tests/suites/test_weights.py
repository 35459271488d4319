from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from phasescope.errors import BadCheckpointError
from phasescope.suites import Checkpoint
from phasescope.suites.load import load_model
from phasescope.suites.weights import weight_files
from tests.suites.conftest import tiny_model

EMBEDDING = "gpt_neox.embed_in.weight"


@pytest.fixture
def checkpoint(checkpoint_folder: Path) -> Checkpoint:
    return Checkpoint("toy", "14m", 1, 8, str(checkpoint_folder))


def shard(folder: Path) -> list[Path]:
    """Write the weights again, in several files."""
    (folder / "model.safetensors").unlink()
    tiny_model().save_pretrained(folder, max_shard_size="20KB")
    files = sorted(folder.glob("model-*.safetensors"))
    assert len(files) > 2
    return files


def pickle_weights(folder: Path, **options: object) -> Path:
    """Write the weights again, as a pickle."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin", **options)
    return folder / "pytorch_model.bin"


class Intruder:
    """What runs code when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, (f"open({str(self.mark)!r}, 'w')",)


def test_the_files_tell_what_is_in_them(checkpoint: Checkpoint, checkpoint_folder: Path) -> None:
    ((file, names),) = weight_files(checkpoint, checkpoint_folder).items()
    assert file == checkpoint_folder / "model.safetensors"
    assert names == set(load_file(file))


def test_shards_are_one_checkpoint(checkpoint: Checkpoint, checkpoint_folder: Path) -> None:
    whole = load_file(checkpoint_folder / "model.safetensors")
    files = shard(checkpoint_folder)
    assert list(weight_files(checkpoint, checkpoint_folder)) == files
    loaded = load_model(checkpoint).state_dict()
    assert torch.equal(loaded[EMBEDDING], whole[EMBEDDING])


def test_a_missing_shard_is_named(checkpoint: Checkpoint, checkpoint_folder: Path) -> None:
    lost = shard(checkpoint_folder)[1]
    lost.unlink()
    with pytest.raises(BadCheckpointError, match=rf"step8 lacks 1 of \d+ weight files in .*: {lost.name}"):
        load_model(checkpoint)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": 3}', '{"weight_map": {"a": 3}}'])
def test_a_damaged_index_is_named(checkpoint: Checkpoint, checkpoint_folder: Path, content: str) -> None:
    shard(checkpoint_folder)
    (checkpoint_folder / "model.safetensors.index.json").write_text(content)
    with pytest.raises(BadCheckpointError, match=r"index of 14m/seed1/step8, .*index\.json, is damaged"):
        load_model(checkpoint)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
@pytest.mark.parametrize("sharded", [False, True])
def test_a_truncated_file_is_named(checkpoint: Checkpoint, checkpoint_folder: Path, kept: int, sharded: bool) -> None:
    file = shard(checkpoint_folder)[1] if sharded else checkpoint_folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(BadCheckpointError, match=rf"14m/seed1/step8: .*{file.name} is truncated or damaged"):
        load_model(checkpoint)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_tensors_are_read(checkpoint: Checkpoint, checkpoint_folder: Path, zipped: bool) -> None:
    whole = load_file(checkpoint_folder / "model.safetensors")
    pickle_weights(checkpoint_folder, _use_new_zipfile_serialization=zipped)
    assert torch.equal(load_model(checkpoint).state_dict()[EMBEDDING], whole[EMBEDDING])


def test_safetensors_are_preferred_to_a_pickle_beside_them(checkpoint: Checkpoint, checkpoint_folder: Path) -> None:
    (checkpoint_folder / "pytorch_model.bin").write_bytes(b"not looked at")
    assert list(weight_files(checkpoint, checkpoint_folder)) == [checkpoint_folder / "model.safetensors"]
    assert load_model(checkpoint).config.hidden_size == 32


def test_a_pickle_that_runs_code_is_refused(checkpoint: Checkpoint, checkpoint_folder: Path, tmp_path: Path) -> None:
    file = pickle_weights(checkpoint_folder)
    torch.save({EMBEDDING: Intruder(tmp_path / "ran")}, file)
    with pytest.raises(BadCheckpointError, match=r"14m/seed1/step8: .*pytorch_model\.bin is refused"):
        load_model(checkpoint)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x80\x02."])
def test_a_damaged_pickle_is_named(checkpoint: Checkpoint, checkpoint_folder: Path, content: bytes) -> None:
    pickle_weights(checkpoint_folder).write_bytes(content)
    with pytest.raises(BadCheckpointError, match=r"14m/seed1/step8: .*pytorch_model\.bin is (truncated|refused|empty)"):
        load_model(checkpoint)


def test_half_a_pickle_is_named(checkpoint: Checkpoint, checkpoint_folder: Path) -> None:
    file = pickle_weights(checkpoint_folder)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BadCheckpointError, match=r"14m/seed1/step8: .*pytorch_model\.bin is (truncated|refused)"):
        load_model(checkpoint)


def test_a_pickle_of_something_else_is_named(checkpoint: Checkpoint, checkpoint_folder: Path) -> None:
    torch.save([torch.zeros(2)], pickle_weights(checkpoint_folder))
    with pytest.raises(BadCheckpointError, match=r"pytorch_model\.bin holds a list, not named tensors"):
        load_model(checkpoint)


def test_an_empty_pickle_is_called_that(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").touch()
    with pytest.raises(BadCheckpointError, match=r"pytorch_model\.bin is empty\.$"):
        weight_files(Checkpoint("toy", "tiny", 0, 1, str(tmp_path)), tmp_path)
