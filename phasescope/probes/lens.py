"""What each layer would predict if the model ended there, in the pass that scores a run's own text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from phasescope.hooks import Site
from phasescope.probes.activations import to_storage

if TYPE_CHECKING:
    from jaxtyping import Float32, Int64
    from torch import Tensor

    from phasescope.hooks import TappedModel
    from phasescope.measures import Translator
    from phasescope.probes.seen import Seen
    from phasescope.texts import Items

# What layers add to the residual stream.
_ADDED = ("attn_out", "mixer_out", "mlp_out")
REST, BIAS = "rest", "bias"
# Further from the form of a norm than this, parts of a logit would not add up.
_MISFIT = {"float16": 2e-2, "bfloat16": 1e-1}


class LensProbe:
    """Looks at the residual stream of every layer through the logit lens, and through a tuned one where that is asked.

    It holds the residual streams of the scored tokens until all are read, in the model's own type: of 256 tokens less
    than a hundredth of the model. Logits are of a few tokens at a time.

    Attributes:
        sites: at which it is to be shown samples, where scored tokens are predicted.

    Raises `PhasescopeError` for a model to which no lens can be put, and for translators of another model.
    """

    def __init__(self, model: TappedModel, items: Items, vocabulary: int) -> None:
        import torch

        from phasescope.hooks.ending import ending_of
        from phasescope.hooks.output import unembedding_of
        from phasescope.texts.made.passages import TRAINING

        self._ending = ending_of(model, torch.from_numpy(items.sequence(0)[:8]))
        self._unembedding = unembedding_of(model.model)
        self._vocabulary = vocabulary
        entry = model.architecture
        first = Site(0, "resid_pre")
        begins = [first] if first.component in entry.components and entry.has(first) else []
        layers = range(model.n_layers)
        self._streams = [*begins, *(Site(layer, "resid_post") for layer in layers)]
        added = [Site(layer, part) for layer in layers for part in _ADDED if part in entry.components]
        self._parts = [*begins, *(site for site in added if entry.has(site))]
        self._frozen = self._ending.frozen(model.d_model)
        weight = torch.as_tensor(self._unembedding.weight)[:, :vocabulary]
        self._mean_column = weight.to(torch.promote_types(weight.dtype, torch.float32)).mean(1).cpu().double()
        self.sites = list(dict.fromkeys([*self._streams, *self._parts]))
        self._trains = np.repeat(np.asarray(items.columns[TRAINING]) == 1, items.scored)
        self._given = self._translators(items, model, len(begins))
        self._kept: dict[Site, Tensor] = {}
        self._final: Tensor | None = None
        scored = ~self._trains
        self._targets = torch.from_numpy(_scored_tokens(items)[scored]).long()
        each = int(items.scored[0]) if scored.sum() > items.scored[0] else 1
        # The same token of the next sequence stands for one that has nothing to do with this one.
        self._other = (torch.arange(len(self._targets)) + each) % len(self._targets)
        self._place = np.cumsum(scored) - 1
        self._attributed: dict[str, Float32[np.ndarray, "targets tokens"]] = {}

    def _translators(self, items: Items, model: TappedModel, begins: int) -> list[Translator]:
        from phasescope.probes.translators import read_translators
        from phasescope.texts.made.passages import TRANSLATED

        if TRANSLATED not in items.name:
            return []
        # They are of what enters layers; what leaves the last one needs none.
        return read_translators(Path(items.source), model.n_layers, model.d_model)[1 - begins :]

    def note(self, seen: Seen) -> None:
        """Keep what a batch of items showed, and tell which part of it speaks for the tokens that came.

        Raises `BadCheckpointError` where that is not finite.
        """
        import torch

        total = len(self._trains)
        for site in self._streams:
            values = seen.activations[site]
            kept = self._kept.setdefault(site, values.new_empty(total, values.shape[1]))
            kept[torch.from_numpy(seen.places).to(kept.device)] = values
        if self._final is None:
            self._final = seen.final.new_empty(total, seen.final.shape[1])
        self._final[torch.from_numpy(seen.places).to(seen.final.device)] = seen.final
        mine = np.flatnonzero(~self._trains[seen.places])
        if self._frozen is not None and len(mine):
            self._attribute(seen, mine)

    def _attribute(self, seen: Seen, mine: Int64[np.ndarray, "rows"]) -> None:
        """Of these rows of a batch; on the CPU, in float64."""
        import torch

        from phasescope.measures import logit_attribution

        def of(values: Tensor) -> Tensor:
            return values.index_select(0, torch.from_numpy(mine).to(values.device)).cpu().double()

        assert self._frozen is not None
        places = self._place[seen.places[mine]]
        stream, final = of(seen.activations[self._streams[-1]]), of(seen.final)
        limit = _MISFIT.get(str(seen.final.dtype).removeprefix("torch."), 1e-3)
        if not self._frozen.misfit(stream, final) <= limit:
            self._frozen = None
            self._attributed = {}
            return
        parts = [of(seen.activations[site]) for site in self._parts]
        parts.append(stream - sum(parts))
        names = [*(site.name for site in self._parts), REST]
        divisor = self._frozen.divisor(stream, final)
        for row, targets in enumerate((self._targets, self._targets[self._other])):
            column, bias = self._columns(targets[torch.from_numpy(places)])
            added = logit_attribution(parts, self._frozen.direction(column), divisor)
            constant = (column @ self._frozen.offset + bias)[None]
            made = self._unembedding.scale * torch.cat([added, constant])
            kept = to_storage(made, "float32", "what parts of the residual stream add to a logit")
            for name, values in zip([*names, BIAS], kept, strict=True):
                of_part = self._attributed.setdefault(name, np.empty((2, len(self._targets)), dtype=np.float32))
                of_part[row, places] = values

    def _columns(self, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Of each target its column of the unembedding and its bias, less the mean over all entries.

        A number that is added to all logits says nothing, so none of it counts.
        """
        import torch

        weight = torch.as_tensor(self._unembedding.weight)
        columns = weight.mT.index_select(0, targets.to(weight.device)).cpu().double() - self._mean_column
        if self._unembedding.bias is None:
            return columns, columns.new_zeros(len(targets))
        bias = torch.as_tensor(self._unembedding.bias)[: self._vocabulary].cpu().double()
        return columns, bias[targets] - bias.mean()

    def found(self) -> dict[str, Float32[np.ndarray, "scores tokens"]]:
        """What is kept: see `Scores.lens`. Raises `BadCheckpointError` where predictions are not finite."""
        import torch

        from phasescope.texts.items.items import ATTRIBUTED

        assert self._final is not None
        scored, training = (torch.from_numpy(np.flatnonzero(mask)) for mask in (~self._trains, self._trains))
        device = self._final.device
        final = self._final[scored.to(device)]
        streams = [self._kept[site][scored.to(self._kept[site].device)] for site in self._streams]
        found = self._through("logit", streams, final)
        if translators := self._given or self._trained(training):
            moved = [move(stream) for move, stream in zip(translators, streams, strict=False)]
            found |= self._through("tuned", [*moved, *streams[len(moved) :]], final)
        return found | {f"{ATTRIBUTED}/{part}": values for part, values in self._attributed.items()}

    def _trained(self, training: Tensor) -> list[Translator]:
        from phasescope.measures import trained_translator

        if not len(training):
            return []
        assert self._final is not None
        final = self._final[training.to(self._final.device)]
        return [
            trained_translator(
                self._kept[site][training.to(final.device)],
                final,
                self._ending,
                self._unembedding,
                vocabulary=self._vocabulary,
            )
            for site in self._streams[:-1]
        ]

    def _through(
        self, lens: str, streams: list[Tensor], final: Tensor
    ) -> dict[str, Float32[np.ndarray, "scores tokens"]]:
        import torch

        from phasescope.measures import lens_scores
        from phasescope.texts.items.items import LENS_SCORES

        with torch.no_grad():
            hidden = [self._ending(stream) for stream in streams]
        found = lens_scores(hidden, final, self._unembedding, self._targets, self._other, vocabulary=self._vocabulary)
        kept = {}
        for number, site in enumerate(self._streams):
            values = torch.stack([getattr(found, score)[number] for score in LENS_SCORES])
            kept[f"{lens}/{site.name}"] = to_storage(values, "float32", f"the lens at {site.short}")
        return kept


def _scored_tokens(items: Items) -> Int64[np.ndarray, "scored"]:
    row = np.repeat(np.arange(items.items), items.scored)
    at = np.arange(len(row)) - items.scored_starts[row] + items.first[row]
    tokens: Int64[np.ndarray, "scored"] = items.tokens[items.starts[row] + at].astype(np.int64)
    return tokens
