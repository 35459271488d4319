"""An engine that reads through TransformerLens: its `TransformerBridge` around the loaded model."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.hooks.engine import Reading, TappedModel
from phasescope.hooks.sampling import Collector, EverythingSeen, Sampler, ov_out
from phasescope.hooks.sites import Site
from phasescope.hooks.twins import twin

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class TransformerLensEngine:
    """Reads through TransformerLens' own hook points and weights, unprocessed (nothing folded, nothing centred)."""

    name = "transformer_lens"

    def open(self, model: PreTrainedModel) -> TransformerLensModel:
        """Build a bridge around a twin of the model: a bridge rebuilds the modules that it is given.

        The bridge copies W_Q, W_K and W_V when it is built; open the model again after its weights have changed.
        """
        return TransformerLensModel(model)


class TransformerLensModel(TappedModel):
    """A model read through a TransformerBridge."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self._bridge = _bridge(model)

    def _read(self, tokens: Tensor, positions: Tensor, sites: tuple[Site, ...], final_hidden: bool) -> Reading:
        collector = Collector(sites, stop=not final_hidden)
        sampler = Sampler(positions, tokens.shape[1])
        hidden: list[Tensor] = []

        def keep_hidden(value: Tensor, hook: Any) -> None:
            hidden.append(value)
            raise EverythingSeen  # before the unembedding, the dearest product of a small model

        def keep(value: Tensor, hook: Any, site: Site) -> None:
            collector.keep(site, self._samples(site, value, sampler))

        hooks: list[tuple[str, Callable[..., None]]]
        hooks = [(_hook_name(site), partial(keep, site=site)) for site in sites]
        if final_hidden:
            hooks.append(("ln_final.hook_out", keep_hidden))
        with suppress(EverythingSeen):
            self._bridge.run_with_hooks(tokens, fwd_hooks=hooks, return_type=None, use_cache=False)
        return Reading(collector.complete(), hidden[0] if final_hidden else None)

    def _samples(self, site: Site, value: Tensor, sampler: Sampler) -> Tensor:
        if site.component == "pattern":
            return sampler.queries(value)
        if site.component == "ov_out":
            return ov_out(sampler.at(value), self._bridge.blocks[site.layer].attn.W_O.detach())
        return sampler.at(value)

    def weights(self) -> dict[str, Tensor]:
        """As `TappedModel.weights`, read from the bridge; W_Q, W_K and W_V are the bridge's own copies."""
        return {
            name: tensor.detach()
            for name, tensor in self._bridge.tl_named_parameters()
            if name.rpartition(".")[2].startswith("W_")
        }


def _hook_name(site: Site) -> str:
    # TransformerLens has no hook for ov_out: it is made from the values.
    return f"blocks.{site.layer}.attn.hook_v" if site.component == "ov_out" else site.name


def _bridge(model: PreTrainedModel) -> Any:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    second = twin(model)
    try:
        # Not boot_transformers(): that would look for a tokenizer on the hub.
        return build_bridge_from_module(second, type(model).__name__, hf_config=second.config)
    except (AssertionError, AttributeError, KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise PhasescopeError(
            f"TransformerLens cannot open this {model.config.model_type} model ({type(error).__name__}: {error}). "
            f"Use the engine 'torch'."
        ) from error
