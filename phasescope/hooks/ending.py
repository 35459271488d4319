"""What a model does to the residual stream between its last layer and its unembedding: the final norm, as a rule.

Which modules that takes is not written down for each architecture but seen: they are followed from what the last layer
gives to what the unembedding is given, while a few tokens are read.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.hooks.output import output_embeddings
from phasescope.hooks.sites import Site
from phasescope.hooks.tap import Tap
from phasescope.hooks.torch_hooks import hook

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor
    from torch.nn import Module

    from phasescope.hooks.engine import TappedModel
    from phasescope.measures import FrozenNorm

# Relative to the largest number, in the model's own precision.
_SAME = {"float16": 1e-2, "bfloat16": 5e-2}
_LARGE = 1e4


@dataclass(frozen=True, eq=False)
class Ending:
    """The way from the residual stream to what the unembedding multiplies: modules in order, and a factor."""

    modules: tuple[Module, ...]
    factor: float = 1.0

    def __call__(self, stream: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens d"]:
        """What the unembedding would be given if the layers ended here. No gradients, unless they are switched on."""
        for module in self.modules:
            stream = module(stream)
        return stream if self.factor == 1 else stream * self.factor

    def frozen(self, d_model: int) -> FrozenNorm | None:
        """The form of the norm, told from what it makes of zeros and of large numbers; None where it has no such form.

        The module itself is not changed: a copy of it computes in float64, on the CPU.
        """
        import torch

        from phasescope.measures import FrozenNorm

        if len(self.modules) != 1:
            none = torch.full((d_model,), self.factor, dtype=torch.float64)
            return None if self.modules else FrozenNorm(none, torch.zeros_like(none), centred=False)
        module = copy.deepcopy(self.modules[0]).cpu().double()
        wave = torch.ones(1, d_model, dtype=torch.float64)
        wave[0, 1::2] = -1
        with torch.no_grad():
            offset = module(torch.zeros_like(wave))[0]
            if offset.shape != (d_model,):
                return None
            made, moved = module(_LARGE * wave)[0] - offset, module(_LARGE * (wave + 0.5))[0] - offset
            centred = bool((made - moved).abs().max() <= 1e-4 * made.abs().max())
            inner = wave[0] - wave.mean() if centred else wave[0]
            gain = made * inner.square().mean().sqrt() / inner
        return FrozenNorm(self.factor * gain, self.factor * offset, centred)


def ending_of(tapped: TappedModel, tokens: Int[Tensor, "context"]) -> Ending:
    """Follow a model from its last layer to its unembedding, on a few tokens.

    Raises `PhasescopeError` for a model whose residual stream has no tap, or that does something else there, and
    `BadCheckpointError` for one that is not finite.
    """
    import torch

    last = Site(tapped.n_layers - 1, "resid_post")
    if "resid_post" not in tapped.architecture.components or not tapped.architecture.has(last):
        raise PhasescopeError(
            f"The residual stream of this {tapped.model.config.model_type} model cannot be tapped, so no lens can be "
            "put to it: leave lens out of --behaviour, or name a module with --module …=resid_post."
        )
    some = tokens[None].to(tapped.device, torch.int64)
    stream = tapped.read(some, None, [last])[last]
    calls, given = _watched(tapped, some)
    if not bool(stream.isfinite().all() and given.isfinite().all()):
        raise BadCheckpointError("The residual stream is not finite: the model overflows. Try --dtype float32.")
    chain = _chain(stream, given, calls, _SAME.get(str(stream.dtype).removeprefix("torch."), 1e-5))
    if chain is None:
        raise PhasescopeError(
            f"This {tapped.model.config.model_type} model does more between its last layer and its unembedding than a "
            "norm, so the lens would show something else: leave lens out of --behaviour."
        )
    return chain


def _watched(tapped: TappedModel, tokens: Tensor) -> tuple[list[tuple[Module, Tensor, Tensor]], Tensor]:
    """Modules outside the layers with what they were given and gave, and what the unembedding was given."""
    import torch

    model, head = tapped.model, output_embeddings(tapped.model)
    inside = {each for layer in tapped.architecture.modules(model) for each in layer.modules()}
    calls: list[tuple[Module, Tensor, Tensor]] = []
    ends: list[Tensor] = []

    def note(module: Module, args: tuple[Any, ...], named: dict[str, Any], output: Any) -> None:
        first: Any = args[0] if args else next(iter(named.values()), None)
        if all(isinstance(each, torch.Tensor) and each.is_floating_point() for each in (first, output)):
            calls.append((module, first.detach().clone(), output.detach()))

    handles = [hook(head, Tap("", "input"), lambda value: ends.append(value.detach()))]
    handles += [
        module.register_forward_hook(note, with_kwargs=True)
        for module in model.modules()
        if module not in inside and module is not head
    ]
    try:
        with torch.no_grad(), tapped.architecture.while_read(model):
            model(tokens, use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    return calls, ends[0].flatten(0, 1)


def _chain(stream: Tensor, given: Tensor, calls: Sequence[tuple[Module, Tensor, Tensor]], near: float) -> Ending | None:
    """Modules of which each is given what the one before gave, from the stream to what is given in the end."""

    def same(one: Tensor, other: Tensor) -> bool:
        other = other.flatten(0, -2)
        return one.shape == other.shape and bool((one - other).abs().max() <= near * one.abs().max().clamp(min=1e-30))

    chain: list[Module] = []
    for module, taken, gave in calls:
        if taken.ndim > 1 and same(stream, taken):
            chain.append(module)
            stream = gave.flatten(0, -2)
    if stream.shape != given.shape:
        return None
    factor = float((stream * given).double().sum() / stream.square().double().sum().clamp(min=1e-300))
    if not same(given, stream * factor):
        return None
    return Ending(tuple(chain), 1.0 if abs(factor - 1) <= near else factor)
