"""Whether a module that a user names gives one vector for every position: shown by what it does, not by its shape."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.hooks.torch_hooks import hook
from phasescope.hooks.twins import showing_patterns

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor
    from transformers import PreTrainedModel

    from phasescope.hooks.architecture import Architecture
    from phasescope.hooks.sites import Site

_SEQUENCES, _TOKENS, _SHORTER = 3, 7, 5
# Of the spread between rows. Rounding in half precision stays far below, two rows of 21 that changed places are above.
_CLOSE = 0.1


@dataclass
class _Seen:
    """What one forward pass showed: of each site every call, the sites in the order in which they were reached."""

    tokens: Int[Tensor, "batch context"]
    shown: dict[Site, list[Any]] = field(default_factory=dict)
    logits: Tensor | None = None

    def note(self, site: Site, value: Any) -> None:
        self.shown.setdefault(site, []).append(value)

    def rows(self, site: Site) -> Float[Tensor, "batch context d"] | None:
        """One vector for every position, if that is what the shape says; rows side by side are taken apart."""
        value, (batch, context) = self.shown[site][0], self.tokens.shape
        if value.ndim == 2 and len(value) == batch * context:
            return value.unflatten(0, (batch, context)).float()  # type: ignore[no-any-return]
        return value.float() if value.ndim == 3 and value.shape[:2] == (batch, context) else None


def in_order_reached(
    model: PreTrainedModel, architecture: Architecture, sites: Sequence[Site], device: Any
) -> tuple[Site, ...]:
    """The sites in the order in which a forward pass reaches them, once those that were named by path are sound.

    Three small forward passes show it: of some sequences, of the same in another order, of the beginnings of them. A
    module that is given `[batch, context, d]` is believed by its axes, which grow with both. Where the rows of a batch
    lie side by side, `[batch * context, d]`, each must follow its sequence when the order changes and, in models that
    read from left to right, be the same without the tokens after it. Rows inside a mixture's experts do neither: they
    are those of the tokens that were routed there.

    Raises PhasescopeError, with the module's path, if one is not called exactly once in a forward pass, or gives no
    vector for every position.
    """
    import torch

    rows = int(model.config.vocab_size)
    context = min(_TOKENS, int(getattr(model.config, "max_position_embeddings", _TOKENS)))
    tokens = torch.linspace(0, rows - 1, _SEQUENCES * context, device=device).long().reshape(_SEQUENCES, context)
    order = torch.tensor([2, 0, 1], device=device)
    see = partial(_see, model, architecture, sites)
    whole, other, shorter = see(tokens), see(tokens[order]), see(tokens[:, : min(_SHORTER, context - 1)])
    for site in sites:
        if site.component in architecture.named:
            tap = architecture.in_layer(site.layer).taps[site.component]
            path = f"{'what goes into ' * (tap.side == 'input')}{architecture.path(model, site.layer, tap)}"
            _require_calls(path, site, whole)
            if not all(_same_rows(one, another, site) for one, another in ((whole, shorter), (whole, other))):
                raise _no_positions(path, site, tuple(whole.shown[site][0].shape))
            if whole.shown[site][0].ndim == 2:
                _require_proof(path, site, whole, other, shorter, order)
    reached = {site: place for place, site in enumerate(whole.shown)}
    return tuple(sorted(sites, key=lambda site: reached.get(site, len(reached))))


def _see(
    model: PreTrainedModel, architecture: Architecture, sites: Sequence[Site], tokens: Int[Tensor, "batch context"]
) -> _Seen:
    seen, layers = _Seen(tokens), architecture.modules(model)
    with ExitStack() as stack:
        stack.enter_context(showing_patterns(model, sites))
        for site in sites:
            tap = architecture.in_layer(site.layer).taps[site.component]
            stack.callback(hook(layers[site.layer].get_submodule(tap.module), tap, partial(seen.note, site)).remove)
        seen.logits = getattr(model(tokens, use_cache=False), "logits", None)
    return seen


def _require_calls(path: str, site: Site, seen: _Seen) -> None:
    import torch

    calls = seen.shown.get(site, [])
    if len(calls) > 1:
        raise PhasescopeError(
            f"{path}, named as {site.short}, is met {len(calls)} times in one forward pass, and which of them is meant "
            "cannot be told: name a module that is called once."
        )
    if calls and not (isinstance(calls[0], torch.Tensor) and calls[0].is_floating_point()):
        what = f"a tensor of {calls[0].dtype}" if isinstance(calls[0], torch.Tensor) else f"a {type(calls[0]).__name__}"
        raise PhasescopeError(f"{path}, named as {site.short}, is {what}, not activations: name another module.")
    if not calls:
        raise PhasescopeError(
            f"The forward pass ended without reaching {site.short}: {path} is never called (its weights may be used by "
            "the module around it). Name another module."
        )


def _same_rows(one: _Seen, other: _Seen, site: Site) -> bool:
    return len(other.shown.get(site, [])) == 1 and one.rows(site) is not None and other.rows(site) is not None


def _require_proof(
    path: str, site: Site, whole: _Seen, other: _Seen, shorter: _Seen, order: Int[Tensor, "batch"]
) -> None:
    here, moved, cut = whole.rows(site), other.rows(site), shorter.rows(site)
    assert here is not None
    assert moved is not None
    assert cut is not None
    follows = _close(moved, here[order])
    if follows and whole.logits is not None and shorter.logits is not None:
        kept = cut.shape[1]
        causal = _close(shorter.logits.float(), whole.logits[:, :kept].float())
        follows = not causal or _close(cut, here[:, :kept])
    if not follows:
        raise _no_positions(path, site, tuple(whole.shown[site][0].shape))


def _close(one: Float[Tensor, "batch context d"], other: Float[Tensor, "batch context d"]) -> bool:
    flat = other.flatten(0, 1)
    spread = (flat - flat.mean(0)).square().mean().sqrt()
    return bool((one - other).square().mean().sqrt() <= _CLOSE * spread + 1e-3 * flat.square().mean().sqrt())


def _no_positions(path: str, site: Site, shape: tuple[int, ...]) -> PhasescopeError:
    return PhasescopeError(
        f"{path}, named as {site.short}, does not give one vector for every position: of {_SEQUENCES} sequences it "
        f"gives {list(shape)}, whose rows are not sequences × tokens in their order. Name a module that gives "
        "[sequences, tokens, width], such as the one around it."
    )
