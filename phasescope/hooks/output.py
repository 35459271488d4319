"""What a model does with its final hidden states: how it makes logits of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor
    from torch.nn import Module
    from transformers import PretrainedConfig, PreTrainedModel

    from phasescope.hooks.engine import TappedModel
    from phasescope.measures import Unembedding

# Relative to the largest logit: what rounding can do in a model's own precision, with room.
_ROUNDING = {"float16": 2e-2, "bfloat16": 1e-1}


def output_embeddings(model: PreTrainedModel) -> Module:
    """The module that makes logits. Raises PhasescopeError if there is none."""
    module: Module | None = model.get_output_embeddings()
    if module is None:
        raise PhasescopeError(
            f"This {model.config.model_type} model has no unembedding, so nothing can be said of its outputs: leave "
            "them out with --no-outputs, and leave out --behaviour."
        )
    return module


def unembedding_of(model: PreTrainedModel) -> Unembedding:
    """How the model makes logits: its output embeddings and, where its configuration has them, scale and cap.

    Raises PhasescopeError if it has no output embeddings.
    """
    from phasescope.measures import Unembedding

    module, config = output_embeddings(model), model.config
    bias = getattr(module, "bias", None)
    return Unembedding(
        module.get_parameter("weight").detach().T,
        None if bias is None else bias.detach(),
        _scale(config),
        next((cap for name in _CAPS if (cap := getattr(config, name, None))), None),
    )


# As Gemma's models, RecurrentGemma and xLSTM call the soft cap of their logits.
_CAPS = ("final_logit_softcapping", "logits_soft_cap", "output_logit_soft_cap")


def _scale(config: PretrainedConfig) -> float:
    """By what logits are multiplied: Cohere's and Falcon H1's models multiply, Granite's divide."""
    multiplied = (getattr(config, name, None) or 1.0 for name in ("logit_scale", "lm_head_multiplier"))
    # MiniCPM 3 divides what goes into the unembedding, which is what final hidden states are.
    divided = None if config.model_type == "minicpm3" else getattr(config, "logits_scaling", None)
    return math.prod(multiplied) / (divided or 1.0)


def check_unembedding(tapped: TappedModel, tokens: Int[Tensor, "context"]) -> None:
    """Raise PhasescopeError unless `unembedding_of` makes the logits that the model itself makes of some tokens.

    An architecture may do more to its logits than is known here; better no surprisal than a wrong one.
    """
    import torch

    from phasescope.measures import logits_from_hidden

    model, some = tapped.model, tokens[None].to(tapped.device, torch.int64)
    hidden = tapped.read(some, torch.zeros_like(some[:, :1]), [], final_hidden=True).final_hidden
    assert hidden is not None
    with torch.no_grad(), tapped.architecture.while_read(model):
        wanted = model(some, use_cache=False).logits[0].float()
    found = logits_from_hidden(hidden[0], unembedding_of(model))
    if wanted.isfinite().all():
        require_agreement(model, float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-30)))


def require_agreement(model: PreTrainedModel, off: float) -> None:
    """Raise PhasescopeError if logits are off from the model's own, relative to its largest, by more than rounding."""
    if not off <= _ROUNDING.get(str(model.dtype).removeprefix("torch."), 1e-3):
        raise PhasescopeError(
            f"This {model.config.model_type} model does more to its logits than multiply, scale and cap them, so its "
            "surprisal would be wrong: leave outputs out with --no-outputs, and leave out --behaviour."
        )
