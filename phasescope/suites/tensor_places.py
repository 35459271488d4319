"""Where in a file of weights each tensor lies, so that a few entries can be read without the rest.

A safetensors file begins with a header in JSON; PyTorch's `.bin` is a zip archive whose directory is at its end, with a
pickle that tells shapes and places of tensors. Of the pickle nothing is made but these, and no code is run.
"""

from __future__ import annotations

import json
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.suites.byte_ranges import AT_ONCE, Parts, PartsFile
from phasescope.suites.transfer import StoppedError

if TYPE_CHECKING:
    from jaxtyping import Float

# safetensors' own limit of a header; pickles of names and shapes are far shorter.
_LONGEST_HEADER, _LONGEST_PICKLE = 100_000_000, 64_000_000
_TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_STORAGES = {"DoubleStorage": "F64", "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16"}
_LOCAL_HEADER = 30
# What stands between a zip archive's local header and the bytes, at most: PyTorch fills up to its alignment.
_FILLED = 1024


class UnreadableError(Exception):
    """What is wrong with a file, as the end of a sentence that names it."""


class _Entry(NamedTuple):
    """type: as safetensors calls it; "" where entries are no floating-point numbers."""

    type: str
    shape: tuple[int, ...]
    place: Any


@dataclass(frozen=True)
class TensorPlaces:
    """The tensors of one file."""

    parts: Parts
    _entries: Mapping[str, _Entry]
    _archive: zipfile.ZipFile | None = None

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every tensor."""
        return {name: entry.shape for name, entry in self._entries.items()}

    @property
    def readable(self) -> dict[str, tuple[int, ...]]:
        """Shapes of those whose entries can be read: floating-point numbers of 16 bits and more, in order of rows."""
        return {name: entry.shape for name, entry in self._entries.items() if entry.type}

    def first_entries(self, name: str, count: int) -> Float[np.ndarray, "entries"]:
        """The first entries of a tensor, in the order of rows, as float32. Raises `UnreadableError`."""
        kind, shape, place = self._entries[name]
        count = min(count, math.prod(shape))
        wanted = count * np.dtype(_TYPES[kind]).itemsize
        data = self.parts.read(place, wanted) if self._archive is None else self._of_archive(place, kind, wanted)
        if len(data) < wanted:
            raise UnreadableError(f"the file ends within {name}")
        numbers = np.frombuffer(data, _TYPES[kind])
        if kind == "BF16":
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        return numbers.astype(np.float32)

    def _of_archive(self, place: tuple[str, int], kind: str, wanted: int) -> bytes:
        """The bytes of a stored member: behind its local header, whose length only that tells."""
        key, offset = place
        members = self._archive.infolist() if self._archive else []
        member = next((one for one in members if one.filename.endswith(f"/data/{key}")), None)
        if member is None or member.compress_type != zipfile.ZIP_STORED:
            raise UnreadableError("it lacks tensors that it names, or keeps them compressed")
        first, skipped = member.header_offset, offset * np.dtype(_TYPES[kind]).itemsize
        more = skipped + wanted if skipped <= _FILLED else 0
        head = self.parts.read(first, _LOCAL_HEADER + len(member.filename.encode()) + _FILLED + more)
        begin = _LOCAL_HEADER + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little") + skipped
        data = head[begin : begin + wanted]
        return data if len(data) == wanted else self.parts.read(first + begin, wanted)


def tensor_places(parts: Parts, name: str) -> TensorPlaces:
    """The tensors of a file of that name (`.safetensors`, or a pickle).

    Raises `UnreadableError` that says what is wrong with it: it is truncated, no zip archive, or holds more than
    tensors.
    """
    try:
        return _of_safetensors(parts) if name.endswith(".safetensors") else _of_zip(parts)
    except (UnreadableError, PhasescopeError, StoppedError):
        raise
    except Exception as error:  # Bytes that are no such file lead its readers anywhere.
        raise UnreadableError(f"it is truncated or damaged ({str(error) or type(error).__name__})") from error


def _of_safetensors(parts: Parts) -> TensorPlaces:
    begin = parts.read(0, AT_ONCE)
    length = int.from_bytes(begin[:8], "little")
    if not 2 <= length <= min(_LONGEST_HEADER, parts.size - 8):
        raise UnreadableError("it is truncated, or no safetensors file")
    if len(begin) < 8 + length:
        begin += parts.read(len(begin), 8 + length - len(begin))
    entries = {}
    for name, told in json.loads(begin[8 : 8 + length]).items():
        if name != "__metadata__":
            first, end = told["data_offsets"]
            kind = told["dtype"] if told["dtype"] in _TYPES else ""
            if not 0 <= first <= end <= parts.size - 8 - length:
                raise UnreadableError(f"it is truncated: {name} lies beyond its end")
            if kind and end - first != np.dtype(_TYPES[kind]).itemsize * math.prod(told["shape"]):
                raise UnreadableError(f"it is damaged: {name} has another size than its shape")
            entries[name] = _Entry(kind, tuple(told["shape"]), 8 + length + first)
    return TensorPlaces(parts, entries)


def _of_zip(parts: Parts) -> TensorPlaces:
    try:
        archive = zipfile.ZipFile(PartsFile(parts))
    except zipfile.BadZipFile as error:
        raise UnreadableError("it is no zip archive: truncated, or of PyTorch before 1.6") from error
    member = next((one for one in archive.infolist() if one.filename.endswith("/data.pkl")), None)
    if member is None or member.file_size > _LONGEST_PICKLE:
        raise UnreadableError("it is no archive of PyTorch's")
    with archive.open(member) as opened:
        content = _Unpickler(opened).load()
    if not isinstance(content, dict):
        raise UnreadableError("it holds no named tensors")
    return TensorPlaces(parts, {str(n): one for n, one in content.items() if isinstance(one, _Entry)}, archive)


class _Rebuild:
    """In the place of PyTorch's function that makes a tensor: what tells where it lies."""

    __slots__ = ()

    def __call__(self, storage: tuple[str, str], offset: int, shape: Any, stride: Any, *_: Any) -> _Entry:
        kind, key = storage
        if min(offset, 0, *shape) < 0:
            raise ValueError("a tensor lies before its beginning")
        rows = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        in_order = all(size == 1 or own == due for size, own, due in zip(shape, stride, rows, strict=True))
        return _Entry(kind if in_order else "", tuple(shape), (str(key), int(offset)))


class _Parameter:
    __slots__ = ()

    def __call__(self, entry: _Entry, *_: Any) -> _Entry:
        return entry


class _Unpickler(pickle._Unpickler):
    """Makes nothing but names, shapes and places. It is the one of Python's two whose memory a number cannot fill."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Rebuild()
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return _Parameter()
        if module == "torch" and name.endswith("Storage"):
            return _STORAGES.get(name, "")
        raise UnreadableError(f"it is refused: it holds {module}.{name}, more than tensors, and could run code")

    def persistent_load(self, of: Any) -> tuple[str, str]:
        _, kind, key, *_ = of
        return kind, key
