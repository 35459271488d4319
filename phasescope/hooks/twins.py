"""Ways of using a model without leaving a trace in it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.hooks.sites import ATTENDING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from transformers import PreTrainedModel

    from phasescope.hooks.sites import Site


def twin(model: PreTrainedModel) -> PreTrainedModel:
    """A second tree of modules over the very same parameters and buffers: it costs no memory for weights.

    For libraries that rebuild or wrap the modules of the model they are given.
    """
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    second: PreTrainedModel = copy.deepcopy(model, shared)
    return second


def showing_patterns(model: PreTrainedModel, sites: Iterable[Site]) -> AbstractContextManager[None]:
    """While it lasts, attention hands out its pattern, if one of the sites is one; afterwards all is as before.

    Fused attention never forms the pattern, so it is replaced by the plain implementation for as long as needed.
    """
    return _eager_attention(model) if any(site.component in ATTENDING for site in sites) else nullcontext()


@contextmanager
def _eager_attention(model: PreTrainedModel) -> Iterator[None]:
    before = model.config._attn_implementation
    _attend(model, "eager")
    try:
        yield
    finally:
        _attend(model, before)


def _attend(model: PreTrainedModel, implementation: str) -> None:
    if model._can_set_attn_implementation():
        model.set_attn_implementation(implementation)
    else:
        # Where attention has one class for all (Falcon), it looks into the configuration each time it is called.
        model.config._attn_implementation = implementation


@contextmanager
def one_expert_at_a_time(model: PreTrainedModel) -> Iterator[None]:
    """While it lasts, experts in float64 are computed one by one: PyTorch's grouped products know no float64.

    Nothing changes in models without experts, or in another precision.
    """
    before = getattr(model.config, "_experts_implementation", None)
    if before in (None, "eager") or str(model.dtype) != "torch.float64":
        yield
        return
    model.set_experts_implementation("eager")
    try:
        yield
    finally:
        model.set_experts_implementation(before)


@contextmanager
def without_rescaling(model: PreTrainedModel) -> Iterator[None]:
    """While it lasts, an RWKV model is run as it was trained; afterwards all is as before.

    Against overflow of float16, transformers' RWKV halves the residual stream every few layers when it is evaluated,
    and divides the weights of later layers *in place* to match: neither would be what was trained.

    Raises PhasescopeError if that has been done to the weights already.
    """
    base, every = model.base_model, model.config.rescale_every
    rescaled = base.layers_are_rescaled
    if rescaled and every > 0:
        raise PhasescopeError(
            "transformers has divided the weights of this RWKV model's later layers, as it does when one is evaluated: "
            "load the model again, or set config.rescale_every = 0 before it is first run."
        )
    model.config.rescale_every = 0
    try:
        yield
    finally:
        model.config.rescale_every = every
        base.layers_are_rescaled = rescaled
