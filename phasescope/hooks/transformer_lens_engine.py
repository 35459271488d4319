"""An engine that reads through TransformerLens: its `TransformerBridge` around the loaded model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.hooks.engine import TappedModel
from phasescope.hooks.sampling import ByHead, Collector, EverythingSeen, Reading, Sampler, attended, ov_out
from phasescope.hooks.sites import ATTENDING, Site
from phasescope.hooks.twins import showing_patterns, twin

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel


class TransformerLensEngine:
    """Reads through TransformerLens' own hook points and weights, unprocessed (nothing folded, nothing centred)."""

    name = "transformer_lens"

    def open(self, model: PreTrainedModel, modules: Sequence[str] = ()) -> TransformerLensModel:
        """Build a bridge around a twin of the model: a bridge rebuilds the modules that it is given.

        The bridge copies W_Q, W_K and W_V when it is built; open the model again after its weights have changed.
        """
        if modules:
            raise PhasescopeError(
                "TransformerLens has hooks of its own, so sites cannot be named by module path. Use the engine 'torch'."
            )
        return TransformerLensModel(model)


class TransformerLensModel(TappedModel):
    """A model read through a TransformerBridge."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__(model)
        self._twin = twin(model)
        self._bridge = _bridge(self._twin)

    def components(self) -> tuple[str, ...]:
        """Those of the architecture for which the bridge has hooks."""
        sites = {name: self.architecture.select([name], self.n_layers) for name in super().components()}
        hooks = self._bridge.hook_dict
        return tuple(name for name, each in sites.items() if all(self._hook_name(site) in hooks for site in each))

    def _read(self, tokens: Tensor, positions: Tensor, sites: tuple[Site, ...], final_hidden: bool) -> Reading:
        collector = Collector(sites, final_hidden=final_hidden)
        sampler = Sampler(positions, tokens.shape[1])

        def keep_hidden(value: Tensor, hook: Any) -> None:
            collector.keep_final_hidden(value)

        def keep(value: Tensor, hook: Any, site: Site) -> None:
            collector.keep(site, self._samples(site, value, sampler))

        hooks: list[tuple[str, Callable[..., None]]]
        hooks = [(self._hook_name(site), partial(keep, site=site)) for site in sites]
        if final_hidden:
            hooks.append(("unembed.hook_in", keep_hidden))
        with (
            self.architecture.while_read(self._twin),
            showing_patterns(self._twin, sites),
            suppress(EverythingSeen),
        ):
            self._bridge.run_with_hooks(tokens, fwd_hooks=hooks, return_type=None, use_cache=False)
        return collector.reading()

    def _samples(self, site: Site, value: Tensor, sampler: Sampler) -> Tensor | ByHead:
        if site.component in ATTENDING:
            return attended(site.component, sampler.queries(value))
        # What is multiplied before it is added (Granite) is shown multiplied.
        sampled = sampler.at(value)
        heads = self.heads_in(site.layer)
        if site.component == "ov_out" and heads:
            # The hook shows them as projected, before any clipping and once for all queries that share them.
            values = heads.per_query(heads.clipped(sampled), dim=1)
            return ov_out(values, self._bridge.blocks[site.layer].attn.W_O.detach())
        return sampled

    def _hook_name(self, site: Site) -> str:
        if site.component in self.architecture.transformer_lens:
            return f"blocks.{site.layer}.{self.architecture.transformer_lens[site.component]}"
        # TransformerLens has no hooks for these: they are made from the values and from the pattern.
        made_of = {"ov_out": "attn.hook_v", "sink": "attn.hook_pattern"}
        return f"blocks.{site.layer}.{made_of[site.component]}" if site.component in made_of else site.name

    def weights(self) -> dict[str, Tensor]:
        """As `TappedModel.weights`; those that the bridge names are its own, W_Q, W_K and W_V its copies."""
        own = super().weights()
        if len({each for each in self._heads if each}) > 1:
            # The bridge splits matrices of heads of one size.
            return own
        named = {name: tensor.detach() for name, tensor in self._bridge.tl_named_parameters()}
        if not any(".attn." in name for name in named):
            # For layers that are mixers to it the bridge makes up W_in and W_out, of zeros.
            return own
        # Of a fused projection the bridge may call the whole what is half of it here (ModernBERT's W_in).
        return {
            name: named[name] if name in named and named[name].shape == own[name].shape else own[name] for name in own
        }


def _bridge(model: PreTrainedModel) -> Any:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    try:
        if model.config.model_type == "transformer_lens":
            own = model.base_model
            return build_bridge_from_module(own, "TransformerLensNative", tl_config=own.cfg)
        # Not boot_transformers(): that would look for a tokenizer on the hub.
        return build_bridge_from_module(model, type(model).__name__, hf_config=model.config)
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise PhasescopeError(
            f"TransformerLens cannot open this {model.config.model_type} model ({type(error).__name__}: {error}). "
            f"Use the engine 'torch'."
        ) from error
