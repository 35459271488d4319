"""One of PyTorch's own forward hooks on one tap."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phasescope.hooks.tap import Tap

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from torch.utils.hooks import RemovableHandle


def hook(module: Module, tap: Tap, keep: Callable[[Tensor], None]) -> RemovableHandle:
    """Hand what a tap shows to `keep`, every time its module is called, until the handle is removed."""
    if tap.side == "output":

        def after(_module: Module, _inputs: Any, output: Any) -> None:
            keep(tap.of(output))

        return module.register_forward_hook(after)

    def before(_module: Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        # What flows in is the first argument, by place or by name.
        keep(tap.of(inputs if inputs else next(iter(named.values()), None)))

    return module.register_forward_pre_hook(before, with_kwargs=True)
