"""The weight files of a checkpoint's folder: which there are, whether they are whole, and single tensors of them."""

from __future__ import annotations

import functools
import json
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError
from phasescope.suites.suite import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

# In the order in which they are preferred.
_SINGLE_AND_INDEX = (
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
LIKE_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".msgpack", ".h5", ".gguf", ".npz")


def has_weights(folder: Path) -> bool:
    """Whether a folder holds the weights of a model, whole or sharded, as `save_pretrained` writes them."""
    return any((folder / name).is_file() for names in _SINGLE_AND_INDEX for name in names)


def weight_files(checkpoint: Checkpoint, folder: Path) -> dict[Path, set[str]]:
    """The files that hold the checkpoint's weights, and the names of the tensors in each.

    safetensors are preferred to pickles (`.bin`), which are read with nothing but tensors allowed in them. Raises
    `BadCheckpointError` that names the file which is missing, truncated or refused.
    """
    if checkpoint.file is not None:
        file = folder / checkpoint.file
        if not file.is_file():
            raise BadCheckpointError(f"The file of {checkpoint.label} is gone from the hub: {checkpoint.place}.")
        return {file: tensor_names(checkpoint, file)}
    if files := model_files(checkpoint, folder):
        return {file: tensor_names(checkpoint, file) for file in files}
    raise no_weights(checkpoint, sorted(file.name for file in folder.iterdir() if file.suffix in LIKE_WEIGHTS))


def model_files(checkpoint: Checkpoint, folder: Path) -> list[Path]:
    """Those of the files in a folder that are read; none where none holds a whole model.

    Raises `BadCheckpointError` where one of several is missing.
    """
    for single, index in _SINGLE_AND_INDEX:
        if (folder / single).is_file():
            return [folder / single]
        if (folder / index).is_file():
            return _shards(checkpoint, folder / index)
    return []


def read_tensor(checkpoint: Checkpoint, file: Path, name: str) -> Tensor:
    """One tensor of a file that `weight_files` found."""
    from safetensors import safe_open

    if file.suffix != ".safetensors":
        pickled: Tensor = unpickle(checkpoint, file)[name]
        return pickled
    with safe_open(file, framework="pt") as opened:
        tensor: Tensor = opened.get_tensor(name)
    return tensor


def no_weights(checkpoint: Checkpoint, others: Sequence[str]) -> BadCheckpointError:
    """The sentence for a checkpoint without weights under a name that is read, with the names that there are."""
    wanted = " nor ".join(single for single, _ in _SINGLE_AND_INDEX)
    there = f"; there are {', '.join(others[:6])}{', …' if len(others) > 6 else ''}" if others else ""
    remedy = " Convert them with `save_pretrained`." if others else ""
    return BadCheckpointError(
        f"{checkpoint.label} has no weights that can be read in {checkpoint.place}: neither {wanted}, whole or "
        f"sharded{there}.{remedy}"
    )


def _shards(checkpoint: Checkpoint, index: Path) -> list[Path]:
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
        files = [index.parent / name for name in sorted(names)]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadCheckpointError(f"The index of {checkpoint.label}, {index}, is damaged ({error!r}).") from error
    absent = [file.name for file in files if not file.is_file()]
    if absent:
        raise BadCheckpointError(
            f"{checkpoint.label} lacks {len(absent)} of {len(files)} weight files in {index.parent}: "
            f"{', '.join(absent[:4])}{', …' if len(absent) > 4 else ''}."
        )
    return files


def tensor_names(checkpoint: Checkpoint, file: Path) -> set[str]:
    """The names of the tensors in a file. Raises `BadCheckpointError` where it is truncated, damaged or refused."""
    from safetensors import SafetensorError, safe_open

    if file.suffix != ".safetensors":
        return _pickled_names(checkpoint, file, file.stat().st_mtime_ns)
    try:
        # The header tells how long the file must be, so this finds a truncated one without reading it.
        with safe_open(file, framework="pt") as opened:
            return set(opened.keys())
    except (SafetensorError, OSError) as error:
        raise BadCheckpointError(f"{checkpoint.label}: {file} is truncated or damaged ({error}).") from error


@functools.lru_cache(maxsize=64)
def _pickled_names(checkpoint: Checkpoint, file: Path, changed: int) -> set[str]:
    """The names in a pickle, which tells them only when it is read: so that it is read for them once."""
    return set(unpickle(checkpoint, file))


def unpickle(checkpoint: Checkpoint, file: Path) -> dict[str, Any]:
    """What a pickle holds by name, with only tensors allowed in it. Raises `BadCheckpointError` that names the file."""
    import torch

    if not file.stat().st_size:
        raise BadCheckpointError(f"{checkpoint.label}: {file} is empty.")
    try:
        # Only the newer of torch's two formats, a zip archive, can be mapped.
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except pickle.UnpicklingError as error:
        raise BadCheckpointError(
            f"{checkpoint.label}: {file} is refused: it holds more than tensors, or is damaged, and loading it could "
            "run code. Convert it to safetensors where you trust it."
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # Bytes that are no pickle lead its reader anywhere.
        why = str(error) or type(error).__name__
        raise BadCheckpointError(f"{checkpoint.label}: {file} is truncated or damaged ({why}).") from error
    if not isinstance(content, dict):
        raise BadCheckpointError(f"{checkpoint.label}: {file} holds a {type(content).__name__}, not named tensors.")
    return content
