"""Where a component can be seen in a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Tap:
    """Where a component can be seen: what goes into a module of the layer, or what comes out of it.

    module: path from the layer; "" is the layer itself.
    item: which item, where that is a tuple; the first unless said otherwise.
    scale: the layer's attribute by which that is multiplied before it is added to the residual stream (Granite's).
    """

    module: str
    side: Literal["input", "output"]
    item: int = 0
    scale: str | None = None

    def of(self, value: Any) -> Any:
        """The tensor in what the module was given or gave."""
        return value[self.item] if isinstance(value, tuple) else value

    @property
    def all_inputs(self) -> bool:
        """Whether all that the module is given is needed, not the first alone."""
        return False


@dataclass(frozen=True)
class ByHead(Tap):
    """Where what is shown has an axis of heads after that of positions."""

    def of(self, value: Any) -> Any:
        return super().of(value).flatten(2)
