"""Calling somebody's function: what it gives must be numbers, and what goes wrong in one cell is told, not raised."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from torch import Tensor

    from phasescope.analyses.own.cells import Cell
    from phasescope.plugins import Measure


class NoNumberError(Exception):
    """A measure gave something else than a number, or a dict of them."""


@dataclass
class Caller:
    """A measure while it is called, cell after cell.

    Attributes:
        quantities: what it has given numbers for, in the order of their coming.
        note: that it does not give the same twice; "" where it does.
    """

    measure: Measure
    quantities: dict[str, None] = field(default_factory=dict)
    note: str = ""
    first_reason: str = ""
    calls: int = 0

    def __call__(self, cell: Cell) -> tuple[dict[str, float], str]:
        """What it gives for a cell, by quantity; or nothing, and why."""
        self.calls += 1
        try:
            found = self._numbers(*cell.arrays)
            if not self.quantities:
                self._call_again(cell, found)
        except NoNumberError as error:
            if not self.quantities and self.calls == 1:
                raise PhasescopeError(f"{self.measure.name} of {cell.label} {error}") from error
            return {}, self._told(cell, f"it {error}")
        except Exception as error:  # whatever it is: it is somebody else's function, and there are other cells
            return {}, self._told(cell, f"{type(error).__name__}: {error}".splitlines()[0])
        self.quantities |= dict.fromkeys(found)
        return found, ""

    def again(self, arrays: tuple[Tensor, ...]) -> dict[str, float]:
        """What it gives for a resample; nothing where it gives none."""
        try:
            return self._numbers(*arrays)
        except Exception:
            return {}

    def require_numbers(self) -> None:
        """Raise `PhasescopeError` where it was called, and never gave a number."""
        if self.calls and not self.quantities:
            raise PhasescopeError(
                f"{self.measure.name} gave no number for any of {self.calls} sites and checkpoints; for the first, "
                f"{self.first_reason}. Put the function right."
            )

    def _call_again(self, cell: Cell, found: dict[str, float]) -> None:
        """Call it a second time: one that gives something else is no measure of the activations alone."""
        twice = self._numbers(*cell.arrays)
        differing = [name for name, value in found.items() if not _same(value, twice.get(name, math.nan))]
        if differing:
            name = differing[0]
            self.note = (
                f"{self.measure.name} is not deterministic: of {cell.label} it gave {found[name]:.6g}, and of the same "
                f"again {twice.get(name, math.nan):.6g}. Seed what it draws."
            )

    def _numbers(self, *arrays: Tensor) -> dict[str, float]:
        # What is held for others must not be spoilt by a function that writes into what it is given.
        found = self.measure(*(x.clone() for x in arrays))
        if isinstance(found, Mapping):
            if not found:
                raise NoNumberError("gave an empty dict: give a number, or a dict of numbers by name.")
            return {str(name): _number(value) for name, value in found.items()}
        return {self.measure.name: _number(found)}

    def _told(self, cell: Cell, reason: str) -> str:
        self.first_reason = self.first_reason or f"{cell.label}: {reason.rstrip('.')}"
        return reason


def _number(value: Any) -> float:
    shape = getattr(value, "shape", ())
    if tuple(shape) != ():
        raise NoNumberError(f"gave an array of shape {list(shape)}, where a number is expected: reduce it to one.")
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, numbers.Real):
        return float(value)
    raise NoNumberError(f"gave a {type(value).__name__}, where a number is expected (or a dict of numbers by name).")


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
