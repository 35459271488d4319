"""How mixtures of experts choose, and how their experts are stored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from phasescope.errors import PhasescopeError
from phasescope.hooks.tap import Tap

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor
    from torch.nn import Module

    from phasescope.hooks.projections import Part
    from phasescope.hooks.sampling import Sampler


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
    """The weights with which experts are used after the choice, 0 of those that are not: of the last two items.

    Where a router drops a token it names an expert beyond the last, as transformers has it: that counts for nothing.
    """

    def of(self, value: Any) -> Tensor:
        import torch

        scores, weights, chosen = value
        experts = scores.shape[-1]
        kept = weights.to(scores.dtype) * (chosen < experts)
        return torch.zeros_like(scores).scatter_add(-1, chosen.clamp(max=experts - 1), kept)


@dataclass(frozen=True)
class Chosen(Tap):
    """What the experts are given: tokens, the numbers of the experts chosen, and their weights."""

    @property
    def all_inputs(self) -> bool:
        return True

    def of(self, value: Any) -> Any:
        return value

    def given(self, shown: Any, layer: Module, sampler: Sampler) -> Given:
        """What the experts of the sampled tokens are given."""
        tokens, numbers, weights = (sampler.at(each) for each in shown)
        numbers, _ = _in_order(numbers, weights)
        return Given(tokens[:, None].expand(-1, numbers.shape[1], -1), numbers)


@dataclass(frozen=True)
class ChosenAndWeighted(Chosen):
    """What the router is given, whose scores multiply the tokens before experts are given them (Llama 4)."""

    def given(self, shown: Any, layer: Module, sampler: Sampler) -> Given:
        router = layer.get_submodule(self.module)
        tokens = sampler.at(shown[0])
        # Not called as a module: its hooks are for the model's own call.
        scores: Tensor = type(router).forward(router, tokens)[0]
        weights, numbers = scores.topk(int(router.top_k), -1)  # type: ignore[arg-type]
        numbers, weights = _in_order(numbers, weights)
        return Given(tokens[:, None] * weights[..., None], numbers)


def _in_order(numbers: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """By the experts' numbers; those whose weight is 0 last, so that others are in the order of the weights above 0."""
    order = (numbers + (weights == 0) * (numbers.max() + 1)).argsort(-1)
    return numbers.gather(-1, order), weights.gather(-1, order)


@dataclass(frozen=True)
class Given:
    """tokens: `[samples, chosen, d]`, what each of the experts chosen is given; numbers: `[samples, chosen]`, which."""

    tokens: Float[Tensor, "samples chosen d"]
    numbers: Int[Tensor, "samples chosen"]


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


def by_experts(
    layer: Module, into: Experts, out: Experts, given: Given, *, neurons: bool
) -> Float[Tensor, "samples chosen d"]:
    """What each of the experts chosen makes of its token, before its weight: its neurons, or what it writes.

    One expert after the other, of the tokens that it has: never the products of all. Biases, limits and the activation
    function are the module's own. Of a token that the router drops it is 0.

    Raises PhasescopeError for experts whose activation function is not found.
    """
    from phasescope.hooks.projections import values_of

    experts = layer.get_submodule(into.module)
    W_in, W_out = replace(into, columns="all").matrices(layer, values_of), out.matrices(layer, values_of)
    samples, chosen = given.numbers.shape
    wide = (W_out.shape[1] if neurons else W_out.shape[2],)
    found = given.tokens.new_zeros((samples, chosen, *wide))
    for number in sorted({*given.numbers.flatten().tolist()} & {*range(len(W_in))}):
        here = given.numbers == number
        made = given.tokens[here] @ W_in[number] + _bias(experts, into, number)
        made = _activated(experts, made, gated=into.columns != "all")
        found[here] = made if neurons else made @ W_out[number] + _bias(experts, out, number)
    return found


def _bias(experts: Module, place: Experts, number: int) -> Tensor | float:
    biases: Tensor | None = getattr(experts, f"{place.parameter}_bias", None)
    return 0.0 if biases is None else biases[number].detach()


def _activated(experts: Module, made: Tensor, *, gated: bool) -> Tensor:
    own: Any = getattr(experts, "_apply_gate", None) if gated else getattr(experts, "act_fn", None)
    if own is not None:
        return own(made)  # type: ignore[no-any-return]
    activation: Any = getattr(experts, "act_fn", None)
    if activation is None:
        raise PhasescopeError(
            f"The experts of this layer ({type(experts).__name__}) have no activation function of their own to be "
            "seen: leave expert_out and mlp_post out of --sites."
        )
    gate, up = made.chunk(2, -1)
    return activation(gate) * up  # type: ignore[no-any-return]
