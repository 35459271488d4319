"""How evenly a layer uses its experts, and from when on tokens go where they go in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.experts.routing import Routing, weights_of
from phasescope.analyses.resampled_means import ratio

if TYPE_CHECKING:
    from jaxtyping import Float64

    from phasescope.analyses.options import Options


@dataclass(frozen=True, eq=False)
class Use:
    """How one layer of one training uses its experts, and in each resample of the sequences."""

    routing: Routing
    options: Options
    weights: Float64[np.ndarray, "resamples sequences"]
    load: Float64[np.ndarray, "steps experts"]
    drawn_load: Float64[np.ndarray, "resamples steps experts"]
    agreement: Float64[np.ndarray, "steps"]
    drawn_agreement: Float64[np.ndarray, "resamples steps"]

    @classmethod
    def of(cls, routing: Routing, options: Options) -> Use:
        from phasescope.measures import routing_agreement

        sequences = routing.chosen.shape[1]
        weights = weights_of(sequences, options)
        counts = routing.counts
        drawn = np.einsum("rs,tse->rte", weights, counts, optimize=True)
        same = np.stack([routing_agreement(chosen, routing.chosen[-1].reshape(-1, routing.experts)).numpy()
                         for chosen in routing.chosen.reshape(len(counts), -1, routing.experts)])  # fmt: skip
        same = same.reshape(len(counts), sequences, -1)
        sums, known = np.nansum(same, 2), (~np.isnan(same)).sum(2).astype(np.float64)
        return cls(
            routing,
            options,
            weights,
            ratio(counts.sum(1), counts.sum((1, 2))[:, None]),
            ratio(drawn, drawn.sum(-1, keepdims=True)),
            ratio(sums.sum(1), known.sum(1)),
            ratio(weights @ sums.T, weights @ known.T),
        )

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows of `experts`: every measure of every step."""
        import torch

        from phasescope.measures import agreement_by_chance, interval, load_entropy

        routing, experts = self.routing, self.routing.experts
        flat = routing.chosen.reshape(len(routing.steps), -1, experts)
        nothing = np.full(len(routing.steps), np.nan)
        measures = {
            "entropy": (load_entropy(self.load).numpy(), load_entropy(self.drawn_load).numpy(), nothing),
            "largest": (self.load.max(-1), self.drawn_load.max(-1), nothing),
            "agreement": (self.agreement, self.drawn_agreement, agreement_by_chance(flat, flat[-1]).numpy()),
        }
        choices = routing.counts.sum((1, 2)).astype(int)
        for name, (values, drawn, chance) in measures.items():
            low, high = (edge.numpy() for edge in interval(drawn, torch.from_numpy(values), self.options.level))
            for t, step in enumerate(routing.steps):
                yield self._row(step, name, values[t], low[t], high[t], chance[t], choices[t])
        for t, step in enumerate(routing.steps):
            dead = float((self.load[t] == 0).sum())
            yield self._row(step, "dead", dead, np.nan, np.nan, self._unseen(t), choices[t])

    def _unseen(self, t: int) -> float:
        """How many experts would be unseen if all were used alike."""
        experts, choices = self.routing.experts, float(self.routing.counts[t].sum())
        return float(experts * (1 - 1 / experts) ** choices)

    def _row(self, step: int, measure: str, *numbers: Any) -> tuple[Any, ...]:
        routing = self.routing
        *estimate, choices = numbers
        where = (routing.size, routing.seed, step, routing.layer)
        return (
            *where,
            measure,
            *map(float, estimate),
            self.options.level,
            routing.experts,
            choices,
            len(self.weights.T),
        )

    def load_rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows of `expert_loads`."""
        import torch

        from phasescope.measures import interval

        routing = self.routing
        low, high = (
            edge.numpy() for edge in interval(self.drawn_load, torch.from_numpy(self.load), self.options.level)
        )
        for t, step in enumerate(routing.steps):
            for expert, load in enumerate(self.load[t]):
                numbers = (load, low[t, expert], high[t, expert], self.options.level)
                yield (routing.size, routing.seed, step, routing.layer, expert, *numbers)

    def settling_rows(self) -> Iterator[tuple[Any, ...]]:
        """Rows of `experts_settling`: from when on tokens go where they go at the last step."""
        from phasescope.measures import settling_step

        routing, tail = self.routing, (1 - self.options.level) / 2
        if len(routing.steps) < 2:
            return
        for tau in self.options.taus:
            settled = float(settling_step(np.array(routing.steps), self.agreement, tau))
            drawn = settling_step(np.array(routing.steps), self.drawn_agreement, tau).nan_to_num(float("inf")).numpy()
            edges = np.quantile(drawn, [tail, 1 - tail], method="nearest")
            low, high = (float(edge) if np.isfinite(edge) else np.nan for edge in edges)
            numbers = (tau, settled, low, high, routing.steps[-1], self.options.level)
            yield (routing.size, routing.seed, routing.layer, *numbers)
