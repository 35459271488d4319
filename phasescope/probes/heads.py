"""What attention heads look at, while a model reads random tokens twice (`phasescope.texts.made.repeats`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.probes.activations import to_storage

if TYPE_CHECKING:
    from jaxtyping import Float32

    from phasescope.hooks import Site, TappedModel
    from phasescope.probes.seen import Seen
    from phasescope.texts import Items


class HeadProbe:
    """Scores the heads of every layer that has attention, in the pass that scores the items.

    Attributes:
        sites: whose samples it is to be shown, at the positions that predict the scored tokens.
        found: by site, scores are those of `phasescope.texts.items.items.HEAD_SCORES`.
    """

    def __init__(self, model: TappedModel, items: Items) -> None:
        self.sites: list[Site] = model.architecture.select(("pattern",), model.n_layers)
        self.found: dict[str, Float32[np.ndarray, "items heads scores"]] = {}
        self._items = items
        self._period = int(items.scored[0])
        self._first = int(items.first[0]) - 1 - self._period

    def note(self, seen: Seen) -> None:
        """Score what a batch of these items showed, which are all as long as each other.

        Raises `BadCheckpointError` where attention is not finite.
        """
        import torch

        from phasescope.measures import head_scores
        from phasescope.texts.items.items import HEAD_SCORES

        for site in self.sites:
            samples = seen.activations[site]
            pattern = samples.view(len(seen.sequences), self._period, *samples.shape[1:]).transpose(1, 2)
            scores = head_scores(pattern, self._period, self._first)
            rows: Any = to_storage(
                torch.stack([getattr(scores, name) for name in HEAD_SCORES], -1), "float32", site.short
            )
            if site.name not in self.found:
                self.found[site.name] = np.empty((self._items.items, *rows.shape[1:]), dtype=np.float32)
            self.found[site.name][seen.sequences] = rows
