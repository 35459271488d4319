"""A few entries of tensors, read in ranges: the same as PyTorch reads whole, of every layout; and nothing is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from phasescope.suites.byte_ranges import OnDisk
from phasescope.suites.tensor_places import TensorPlaces, UnreadableError, tensor_places


def opened(path: Path) -> TensorPlaces:
    return tensor_places(OnDisk(path, path.stat().st_size), path.name)


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    base = torch.randn(50, 40)
    types = {str(kind)[6:]: torch.randn(30, 20).to(kind) for kind in (torch.float64, torch.float16, torch.bfloat16)}
    return {**types, "whole": base, "row": torch.randn(7), "number": torch.tensor(3.0), "experts": torch.randn(3, 5, 6)}


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_entries_are_those_of_the_tensors(tmp_path: Path, name: str) -> None:
    state, path = tensors(), tmp_path / name
    if name.endswith("bin"):
        # Views: with an offset into a larger storage, not in order of rows, and two of one storage.
        base = state["whole"]
        state |= {"offset": base[3:], "turned": base.T, "again": base, "parameter": torch.nn.Parameter(base[:2])}
        torch.save(torch.nn.Module.state_dict(torch.nn.Linear(2, 2)) | state | {"count": torch.tensor([1, 2])}, path)
    else:
        save_file(state | {"count": torch.tensor([1, 2])}, path, metadata={"format": "pt"})
    places = opened(path)
    for of, tensor in state.items():
        assert places.shapes[of] == tuple(tensor.shape)
        if of == "turned":
            continue
        for count in (1, 100, 10_000):
            expected = tensor.detach().reshape(-1)[:count].float().numpy()
            assert np.array_equal(places.first_entries(of, count), expected), of
    assert "count" not in places.readable
    assert "turned" not in places.readable


@dataclass(frozen=True)
class Counting(OnDisk):
    counts: list[int] = field(default_factory=list)

    def read(self, first: int, count: int) -> bytes:
        self.counts.append(count)
        return super().read(first, count)


def test_a_large_file_is_hardly_read(tmp_path: Path) -> None:
    state = {f"layers.{number}.W": torch.randn(400, 300) for number in range(20)}
    save_file(state, tmp_path / "model.safetensors")
    torch.save(state, tmp_path / "pytorch_model.bin")
    for path in tmp_path.iterdir():
        parts = Counting(path, path.stat().st_size)
        read = parts.counts
        places = tensor_places(parts, path.name)
        entries = places.first_entries("layers.7.W", 1000)
        assert np.array_equal(entries, state["layers.7.W"].flatten()[:1000].numpy())
        assert sum(read) < 150_000 < path.stat().st_size / 50
        assert len(read) <= 4


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harm",)


def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"W": torch.randn(3, 3), "harm": Harmful()}, "pytorch_model.bin")
    with pytest.raises(UnreadableError, match=r"refused: it holds posix.mkdir, more than tensors"):
        opened(Path("pytorch_model.bin"))
    # What changes what the reader itself is made of.
    for code in (b"ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00xK\x01sb.", b"ccollections\nOrderedDict\n}sb."):
        with zipfile.ZipFile("pytorch_model.bin", "w") as archive:
            archive.writestr("archive/data.pkl", code)
        with pytest.raises(UnreadableError, match="truncated or damaged"):
            opened(Path("pytorch_model.bin"))
    assert not Path("harm").exists()


def test_what_is_wrong_with_a_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    for content in (b"", b"PK", b"x" * 100_000, pickle.dumps({"W": 1})):
        path.write_bytes(content)
        with pytest.raises(UnreadableError, match="it is no zip archive: truncated, or of PyTorch before"):
            opened(path)
    torch.save({"W": torch.randn(3, 3)}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(UnreadableError, match="of PyTorch before"):
        opened(path)
    torch.save([torch.randn(3, 3)], path)
    with pytest.raises(UnreadableError, match="no named tensors"):
        opened(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights", b"")
    with pytest.raises(UnreadableError, match="no archive of PyTorch's"):
        opened(path)
    whole = tmp_path / "whole.safetensors"
    save_file({"W": torch.randn(30, 30)}, whole)
    cut = tmp_path / "model.safetensors"
    for length in (0, 5, 40, whole.stat().st_size - 1):
        cut.write_bytes(whole.read_bytes()[:length])
        with pytest.raises(UnreadableError, match="truncated"):
            opened(cut)


def test_random_damage_is_said_or_harmless(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    torch.save({f"W{number}": torch.randn(4, 4) for number in range(5)}, tmp_path / "a.bin")
    save_file({f"W{number}": torch.randn(4, 4) for number in range(5)}, tmp_path / "a.safetensors")
    for suffix in ("bin", "safetensors"):
        content = (tmp_path / f"a.{suffix}").read_bytes()
        for _ in range(100):
            damaged = bytearray(content)
            for place in random.integers(0, len(content), 3):
                damaged[place] = random.integers(0, 256)
            path = tmp_path / f"b.{suffix}"
            path.write_bytes(damaged)
            try:
                places = opened(path)
                for name in places.readable:
                    places.first_entries(name, 10)
            except UnreadableError:
                pass
