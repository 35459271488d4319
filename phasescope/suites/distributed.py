"""PyTorch's distributed checkpoints: `.metadata` beside `.distcp` files, as FSDP, torchtitan and OLMo-core write them.

They are read with torch's own reader, in this one process; but for `.metadata`, which is a pickle that may name any
code. Nothing is made from it but what describes tensors.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError
from phasescope.suites.suite import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor

# What describes tensors and files; of torch's own modules these are classes of data and the names of formats.
_ALLOWED = {
    "torch.distributed.checkpoint.metadata": {
        "Metadata", "MetadataIndex", "TensorStorageMetadata", "BytesStorageMetadata", "ChunkStorageMetadata",
        "TensorProperties", "StorageMeta", "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo", "_StoragePrefix"},
    "torch": {"Size"},
    "torch.serialization": {"_get_layout"},
    "collections": {"OrderedDict"},
    "pathlib": {"Path", "PosixPath", "PurePosixPath"},
    "pathlib._local": {"Path", "PosixPath", "PurePosixPath"},
}  # fmt: skip


def distributed_in(folder: Path) -> Path | None:
    """The folder of a distributed checkpoint: this one, or the only one below that is one; None if there is none."""
    if (folder / ".metadata").is_file():
        return folder
    below = sorted(path.parent for path in folder.glob("*/.metadata") if "optim" not in path.parent.name.split("_")[0])
    return below[0] if below else None


class Distributed:
    """One distributed checkpoint: the names of its tensors, and the tensors of some."""

    def __init__(self, checkpoint: Checkpoint, folder: Path) -> None:
        from torch.distributed.checkpoint.metadata import TensorStorageMetadata

        self.checkpoint, self.folder = checkpoint, folder
        self.metadata = _read_metadata(checkpoint, folder / ".metadata")
        self.sizes = {
            name: about.size
            for name, about in self.metadata.state_dict_metadata.items()
            if isinstance(about, TensorStorageMetadata)
        }
        self._types = {name: self.metadata.state_dict_metadata[name].properties.dtype for name in self.sizes}

    def read(self, names: Iterable[str]) -> dict[str, Tensor]:
        """These tensors, whole. Raises `BadCheckpointError` that names the files which are missing or damaged."""
        import torch
        from torch.distributed.checkpoint.default_planner import DefaultLoadPlanner
        from torch.distributed.checkpoint.state_dict_loader import _load_state_dict

        wanted = set(names)
        self._require_files(wanted)
        state: dict[str, Any] = {name: torch.empty(self.sizes[name], dtype=self._types[name]) for name in wanted}
        try:
            planner = DefaultLoadPlanner(allow_partial_load=False)
            _load_state_dict(state, _reader(self.folder, self.metadata), planner=planner, no_dist=True)
        except MemoryError:
            raise
        except (
            Exception
        ) as error:  # Its reader raises whatever a damaged file leads to, also no `Exception` of its own.
            raise self._damaged(error) from error
        except BaseException as error:
            if type(error).__name__ != "CheckpointException":
                raise
            raise self._damaged(error) from error
        return state

    def _require_files(self, names: set[str]) -> None:
        """See that the files are there, in this folder, and hold as much as the tensors that are said to be in them."""
        infos = [info for index, info in self.metadata.storage_data.items() if index.fqn in names]
        needed = {info.relative_path for info in infos}
        absent = sorted(name for name in needed if not (self.folder / name).is_file())
        if absent:
            raise BadCheckpointError(
                f"{self.checkpoint.label} lacks the files of {len(absent)} of {len(needed)} ranks in {self.folder}: "
                f"{', '.join(absent[:4])}{', …' if len(absent) > 4 else ''}."
            )
        if any(self.folder.resolve() not in (self.folder / name).resolve().parents for name in needed):
            raise self._damaged(ValueError("it names files in other folders"))
        claimed = sum(self.sizes[name].numel() * self._types[name].itemsize for name in names)
        compressed = any(getattr(info, "transform_descriptors", None) for info in infos)
        if not compressed and claimed > sum((self.folder / name).stat().st_size for name in needed):
            raise self._damaged(ValueError("it tells of more than its files hold"))

    def _damaged(self, error: BaseException) -> BadCheckpointError:
        text = " ".join(str(error).split())
        return BadCheckpointError(f"{self.checkpoint.label}: {self.folder} is truncated or damaged ({text[:300]}).")


def _reader(folder: Path, metadata: Any) -> Any:
    from torch.distributed.checkpoint.filesystem import FileSystemReader

    class Reader(FileSystemReader):
        """torch's reader, with metadata that was read here."""

        def read_metadata(self, *_: Any, **__: Any) -> Any:
            return metadata

    return Reader(folder)


def _read_metadata(checkpoint: Checkpoint, file: Path) -> Any:
    try:
        with file.open("rb") as opened:
            found = _Unpickler(opened).load()
        found.state_dict_metadata.items()
        found.storage_data.items()
    except _RefusedError as error:
        raise BadCheckpointError(
            f"{checkpoint.label}: {file} is refused: it holds {error}, more than what describes tensors, and loading "
            "it could run code. Convert the checkpoint to safetensors where you trust it."
        ) from error
    except Exception as error:  # Bytes that are no pickle lead its reader anywhere.
        raise BadCheckpointError(
            f"{checkpoint.label}: {file} is truncated or damaged ({str(error) or type(error).__name__})."
        ) from error
    return found


class _RefusedError(Exception):
    """A pickle names something that is not allowed."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        import torch

        if name in _ALLOWED.get(module, set()):
            return super().find_class(module, name)
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        raise _RefusedError(f"{module}.{name}")
