"""An engine that reads through nnsight: a traced forward pass of the loaded model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from phasescope.hooks.engine import TappedModel
from phasescope.hooks.output import output_embeddings
from phasescope.hooks.sampling import Collector, Reading, Sampler
from phasescope.hooks.twins import showing_patterns, twin

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from phasescope.hooks.sites import Site


class NNsightEngine:
    """Reads through nnsight's envoys of the modules that `architectures/` names."""

    name = "nnsight"

    def open(self, model: PreTrainedModel, modules: Sequence[str] = ()) -> NNsightModel:
        """Wrap a twin of the model: nnsight replaces the `forward` of every module that it is given, for good."""
        return NNsightModel(model, modules)


class NNsightModel(TappedModel):
    """A model read through an nnsight trace."""

    def __init__(self, model: PreTrainedModel, modules: Sequence[str] = ()) -> None:
        # Imported no sooner than it is used: nnsight changes `torch` and `object` themselves when it is imported.
        from nnsight import NNsight

        super().__init__(model, modules)
        self._twin = twin(model)
        with warnings.catch_warnings():
            # Of modules called as what nnsight serves on every module: they are found by their paths here.
            warnings.filterwarnings("ignore", message=".*has a submodule named")
            self._root = NNsight(self._twin)
        # By path, not by attribute: a module may be called `output`, as what a module gives is (BERT's are).
        self._envoys: dict[str, Any] = {path.partition(".")[2]: envoy for path, envoy in self._root.modules(names=True)}

    def _read(self, tokens: Tensor, positions: Tensor, sites: tuple[Site, ...], final_hidden: bool) -> Reading:
        from nnsight.intervention.interleaver import OutOfOrderError

        sampler = Sampler(positions, tokens.shape[1])
        collector = Collector(sites, final_hidden=final_hidden, stop=False)
        # The model's own, whose modules nnsight has not wrapped: experts are computed with them.
        layers = self.architecture.modules(self.model)
        with (
            # What the forward pass does not reach is named by the collector, as in every engine.
            suppress(OutOfOrderError),
            self.architecture.while_read(self._twin),
            showing_patterns(self._twin, sites),
            self._root.trace(tokens, use_cache=False) as tracer,
        ):
            # nnsight runs these lines itself, beside the forward pass: they fill what was made outside.
            # A trace must ask for values in the order in which the model makes them, which is that of the sites.
            for site in sites:
                shown = self._shown(site)
                layer, entry = layers[site.layer], self.architecture.in_layer(site.layer)
                collector.keep(site, entry.samples(site.component, shown, layer, self.heads_in(site.layer), sampler))
            if final_hidden:
                collector.keep_final_hidden(self._envoys[self._head].input)
            tracer.stop()
        return collector.reading()

    @property
    def _head(self) -> str:
        """The path of the module that makes logits."""
        head = output_embeddings(self._twin)
        paths: list[str] = [path for path, module in self._twin.named_modules() if module is head]
        return paths[0]

    def _shown(self, site: Site) -> Tensor:
        """What the tap of a site shows, as soon as the forward pass gets there."""
        tap = self.architecture.in_layer(site.layer).taps[site.component]
        envoy = self._envoys[self.architecture.path(self._twin, site.layer, tap)]
        given = envoy.inputs[0] if tap.all_inputs else envoy.input if tap.side == "input" else envoy.output
        shown: Tensor = tap.of(given)
        return shown
