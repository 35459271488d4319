"""An engine that reads through nnsight: a traced forward pass of the loaded model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.hooks.engine import Reading, TappedModel
from phasescope.hooks.sampling import Collector, Sampler
from phasescope.hooks.twins import showing_patterns, twin

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from phasescope.hooks.sites import Site


class NNsightEngine:
    """Reads through nnsight's envoys of the modules that `architectures.py` names."""

    name = "nnsight"

    def open(self, model: PreTrainedModel) -> NNsightModel:
        """Wrap a twin of the model: nnsight replaces the `forward` of every module that it is given, for good."""
        return NNsightModel(model)


class NNsightModel(TappedModel):
    """A model read through an nnsight trace."""

    def __init__(self, model: PreTrainedModel) -> None:
        # Imported no sooner than it is used: nnsight changes `torch` and `object` themselves when it is imported.
        from nnsight import NNsight

        super().__init__(model)
        self._twin = twin(model)
        self._root = NNsight(self._twin.base_model)

    def _read(self, tokens: Tensor, positions: Tensor, sites: tuple[Site, ...], final_hidden: bool) -> Reading:
        sampler = Sampler(positions, tokens.shape[1])
        collector = Collector(sites, stop=False)
        layers = self.architecture.modules(self._twin)
        hidden: list[Tensor] = []
        # A trace must ask for values in the order in which the model makes them.
        reached = list(self.architecture.taps)
        ordered = sorted(sites, key=lambda site: (site.layer, reached.index(site.component)))
        with (
            showing_patterns(self._twin, sites),
            self._root.trace(tokens, use_cache=False) as tracer,
        ):
            # nnsight runs these lines itself, beside the forward pass: they fill what was made outside.
            for site in ordered:
                shown = self._shown(site)
                layer = layers[site.layer]
                collector.keep(site, self.architecture.samples(site.component, shown, layer, self.n_heads, sampler))
            if final_hidden:
                hidden.append(self._root.output.last_hidden_state)
            else:
                tracer.stop()
        return Reading(collector.complete(), hidden[0] if final_hidden else None)

    def _shown(self, site: Site) -> Tensor:
        """What the tap of a site shows, as soon as the forward pass gets there."""
        tap = self.architecture.taps[site.component]
        envoy: Any = self._root.get(f"{self.architecture.layers}.{site.layer}")
        envoy = envoy.get(tap.module) if tap.module else envoy
        value: Any = envoy.input if tap.side == "input" else envoy.output
        shown: Tensor = value if tap.item is None else value[tap.item]
        return shown
