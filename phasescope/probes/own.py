"""Probes of users' own, in the same pass over the frozen inputs: `capture --probe package:name`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import PhasescopeWarning
from phasescope.plugins import probe_named
from phasescope.store import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from phasescope.hooks import Reading, TappedModel
    from phasescope.plugins import Probe
    from phasescope.store import Writer

ROOM, FAILED = "probes", "failed_probes"


def full_probe_name(name: str) -> str:
    """`package:name` of a probe, whichever way it was named. Raises `BadArgumentError` where there is none."""
    probe, package = probe_named(name)
    return f"{package}:{probe.name}" if package else probe.name


@dataclass
class _Running:
    """One probe while a checkpoint is visited."""

    name: str
    probe: Probe
    written: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = field(default_factory=dict)
    reason: str = ""

    @property
    def place(self) -> str:
        return self.name.replace(":", ".")


class OwnProbes:
    """Writes `/probes/<package.name>/<array>` `[sequences, …]` of each probe.

    One that fails is named in a warning and passed over: what it wrote of this checkpoint is taken out again, and
    `/failed_probes/<package.name>` says why. Nothing else of the visit is lost.
    """

    def __init__(self, names: Sequence[str], sequences: int) -> None:
        self._sequences = sequences
        self._running = [_Running(full_probe_name(name), probe_named(name)[0]) for name in names]

    def write(self, model: TappedModel, tokens: Tensor, reading: Reading, writer: Writer, first: int) -> None:
        """Call each probe with one batch, whose first sequence is number `first`, and write what it gives."""
        for one in self._running:
            if one.reason:
                continue
            try:
                found = self._arrays(one, one.probe(model, tokens, reading), len(tokens))
            except Exception as error:
                if _out_of_memory(error):
                    raise
                self._pass_over(one, error, writer)
                continue
            for name, rows in found.items():
                attrs = {"axes": "sequences …" if rows.ndim > 1 else "sequences", "units": one.probe.units}
                writer.append(f"{ROOM}/{one.place}/{name}", rows, first, self._sequences, attrs)

    def _arrays(self, one: _Running, given: Any, batch: int) -> dict[str, NDArray[Any]]:
        """What a probe gave, checked: `[batch, …]` numbers by name, of the same shape and type in every batch."""
        found = {name: _array(values) for name, values in _by_name(given, one.probe.name).items()}
        for name, array in found.items():
            if not name.isidentifier():
                raise ValueError(f"an array is kept under its name, and {name!r} is none: letters, digits, underscores")
            if array.dtype.kind not in "biuf":
                raise ValueError(f"{name} is of the type {array.dtype}, where numbers are expected")
            if array.ndim == 0 or len(array) != batch:
                raise ValueError(f"{name} is {list(array.shape)} for a batch of {batch}: its first axis is the batch")
        shapes = {name: (array.shape[1:], array.dtype) for name, array in found.items()}
        if one.written and shapes != one.written:
            raise ValueError(f"it gave {shapes} after {one.written}: shapes and types must be the same in every batch")
        one.written = shapes
        return found

    def _pass_over(self, one: _Running, error: Exception, writer: Writer) -> None:
        one.reason = f"{type(error).__name__}: {error}".splitlines()[0]
        for name in one.written:
            writer.remove(f"{ROOM}/{one.place}/{name}")
        writer.put(f"{FAILED}/{one.place}", Entry(np.array([one.reason], dtype=str), encoding="strings"))
        said = f"The probe {one.name} failed and is passed over ({one.reason.rstrip('.')}). The rest is recorded."
        warnings.warn(said, PhasescopeWarning, stacklevel=2)


def _by_name(given: Any, name: str) -> dict[str, Any]:
    if isinstance(given, dict):
        if not given:
            raise ValueError("it gave an empty dict: it must give arrays by name")
        return {str(key): values for key, values in given.items()}
    return {name: given}


def _array(values: Any) -> NDArray[Any]:
    import torch

    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype in (torch.float16, torch.bfloat16) else values).numpy()
    array = np.asarray(values)
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _out_of_memory(error: Exception) -> bool:
    import torch

    return isinstance(error, MemoryError | torch.OutOfMemoryError)
