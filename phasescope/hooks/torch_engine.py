"""The default engine: PyTorch's own forward hooks on the loaded model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

from phasescope.hooks.engine import TappedModel
from phasescope.hooks.output import output_embeddings
from phasescope.hooks.sampling import Collector, EverythingSeen, Reading, Sampler
from phasescope.hooks.tap import Tap
from phasescope.hooks.torch_hooks import hook
from phasescope.hooks.twins import showing_patterns

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PreTrainedModel

    from phasescope.hooks.sites import Site


class TorchEngine:
    """Reads any architecture that `architectures/` describes, at almost the cost of the bare forward pass."""

    name = "torch"

    def open(self, model: PreTrainedModel, modules: Sequence[str] = ()) -> TorchModel:
        """Tap the model itself; its hooks are there only while a batch is read."""
        return TorchModel(model, modules)


class TorchModel(TappedModel):
    """A model read through forward hooks."""

    def _read(self, tokens: Tensor, positions: Tensor, sites: tuple[Site, ...], final_hidden: bool) -> Reading:
        collector = Collector(sites, final_hidden=final_hidden)
        sampler = Sampler(positions, tokens.shape[1])
        layers = self.architecture.modules(self.model)
        with ExitStack() as stack:
            stack.enter_context(showing_patterns(self.model, sites))
            for site in sites:
                layer, tap = layers[site.layer], self.architecture.in_layer(site.layer).taps[site.component]
                take = partial(self._take, site, layer, sampler, collector)
                stack.callback(hook(layer.get_submodule(tap.module), tap, take).remove)
            if final_hidden:
                head = hook(output_embeddings(self.model), Tap("", "input"), collector.keep_final_hidden)
                stack.callback(head.remove)
            with suppress(EverythingSeen):
                self.model(tokens, use_cache=False)
        return collector.reading()

    def _take(self, site: Site, layer: Module, sampler: Sampler, collector: Collector, shown: Tensor) -> None:
        entry = self.architecture.in_layer(site.layer)
        collector.keep(site, entry.samples(site.component, shown, layer, self.heads_in(site.layer), sampler))
