"""How mixtures of experts choose, and how their experts are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from phasescope.errors import PhasescopeError
from phasescope.hooks.tap import Tap

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module

    from phasescope.hooks.projections import Part


RouterBy = Literal["softmax", "sigmoid", "given"]
Columns = Literal["all", "first half", "second half", "even", "odd"]


@dataclass(frozen=True)
class Router(Tap):
    """A router's probabilities of all experts, before it chooses some: one of its items, or made of it."""

    by: RouterBy = "softmax"

    def of(self, value: Any) -> Tensor:
        scores: Tensor = value[self.item].float()
        if self.by == "given":
            return scores
        return scores.softmax(-1) if self.by == "softmax" else scores.sigmoid()


@dataclass(frozen=True)
class Routed(Tap):
    """The weights with which experts are used after the choice, 0 of those that are not: of the last two items."""

    def of(self, value: Any) -> Tensor:
        import torch

        scores, weights, chosen = value
        return torch.zeros_like(scores).scatter(-1, chosen, weights.to(scores.dtype))


@dataclass(frozen=True)
class Experts:
    """One matrix of every expert, in a parameter that holds those of all.

    module, parameter: where it is. columns: which of the outputs, where gate and up projection are one; `stored`:
    whether a matrix is kept as `[out, in]` or as `[in, out]`.
    """

    module: str
    parameter: str
    columns: Columns = "all"
    stored: Literal["out in", "in out"] = "out in"

    def matrices(self, layer: Module, of: Part) -> Float[Tensor, "experts input output"]:
        """As a view, so that all experts cost no memory."""
        whole = of(layer.get_submodule(self.module).get_parameter(self.parameter))
        if whole.ndim != 3:
            raise PhasescopeError(
                f"{self.module}.{self.parameter} has the shape {list(whole.shape)}, and is no stack of equal matrices, "
                "one for each expert: give the architecture an entry of its own (ps.register)."
            )
        turned = whole.mT if self.stored == "out in" else whole
        half = turned.shape[-1] // 2
        columns: dict[Columns, slice] = {
            "all": slice(None),
            "first half": slice(half),
            "second half": slice(half, None),
            "even": slice(0, None, 2),
            "odd": slice(1, None, 2),
        }
        return turned[..., columns[self.columns]]
