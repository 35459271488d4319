"""What each head looks at, checkpoint by checkpoint: arrays of a trajectory, and the rows made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.hooks import Site
from phasescope.texts.items.items import HEAD_SCORES

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame

    from phasescope.analyses.reader import RunReader
    from phasescope.texts import Items

    Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Trajectory:
    """What the heads of one size and seed look at along training.

    Attributes:
        steps: of the checkpoints that were asked.
        heads: (layer, head), in order.
        repeated, twins: scores where tokens are read twice, and of twins that repeat nothing, sequence by sequence.
        loss, twins_loss: mean nats per token of the second half.
    """

    size: str
    seed: int
    steps: list[int]
    heads: list[tuple[int, int]]
    repeated: Float64[Array, "steps sequences heads scores"]
    twins: Float64[Array, "steps sequences heads scores"]
    loss: Float64[Array, "steps sequences"]
    twins_loss: Float64[Array, "steps sequences"]

    @property
    def sequences(self) -> int:
        return int(self.repeated.shape[1])

    def score(self, name: str) -> Float64[Array, "steps sequences heads"]:
        """One score of all heads, where tokens are read twice."""
        return self.repeated[..., HEAD_SCORES.index(name)]

    @property
    def excess(self) -> Float64[Array, "steps sequences heads"]:
        """By how much more heads attend by induction than to the same places of the twins, where nothing repeats."""
        more: Float64[Array, "steps sequences heads"] = (
            self.score("induction") - self.twins[..., HEAD_SCORES.index("induction")]
        )
        return more

    @property
    def gain(self) -> Float64[Array, "steps sequences"]:
        """By how many nats per token less surprising the second half is for having been read before."""
        less: Float64[Array, "steps sequences"] = self.twins_loss - self.loss
        return less


def trajectories(reader: RunReader, items: Items) -> Iterator[Trajectory]:
    """Of every size and seed that was asked, in the order of the run."""
    asked = set(reader.scored(items))
    repeated = np.asarray(items.columns["repeated"]) == 1
    for size, seed, keys in reader.trajectories():
        keys = [key for key in keys if key in asked]
        if not keys:
            continue
        heads: list[tuple[int, int]] = []
        scores, losses = [], []
        for key in keys:
            found = reader.scores_of(items, key)
            sites = sorted(found.heads, key=lambda name: Site.parse(name).layer)
            heads = [(Site.parse(site).layer, head) for site in sites for head in range(found.heads[site].shape[1])]
            scores.append(np.concatenate([found.heads[site] for site in sites], axis=1).astype(np.float64))
            losses.append(-items.sums(found.log_prob) / items.scored)
        of_heads, of_tokens = np.stack(scores), np.stack(losses)
        yield Trajectory(
            size,
            seed,
            [key.step for key in keys],
            heads,
            of_heads[:, repeated],
            of_heads[:, ~repeated],
            of_tokens[:, repeated],
            of_tokens[:, ~repeated],
        )


def score_table(
    runs: list[Trajectory], drawn: Mapping[int, Float64[Array, "resamples sequences"]], level: float
) -> DataFrame:
    """One row per size, seed, step, head and score: its mean, the interval, and the mean of the twins.

    drawn: resamples of so many sequences.
    """
    import pandas as pd

    parts = []
    for run in runs:
        mean, low, high = mean_and_interval(run.repeated, drawn[run.sequences], level)
        steps, heads, scores = mean.shape
        grid: dict[str, Any] = {
            "size": run.size,
            "seed": run.seed,
            "step": np.repeat(run.steps, heads * scores),
            "layer": np.tile(np.repeat([layer for layer, _ in run.heads], scores), steps),
            "head": np.tile(np.repeat([head for _, head in run.heads], scores), steps),
            "score": np.tile(HEAD_SCORES, steps * heads),
            "value": mean.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "twins": run.twins.mean(1).ravel(),
            "level": level,
            "sequences": run.sequences,
        }
        parts.append(pd.DataFrame(grid))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def mean_and_interval(
    values: Float64[Array, "steps sequences *rest"], weights: Float64[Array, "resamples sequences"], level: float
) -> tuple[Float64[Array, "steps *rest"], Float64[Array, "steps *rest"], Float64[Array, "steps *rest"]]:
    """Mean over sequences, low and high of a bootstrap over them; of one sequence no interval."""
    from phasescope.measures import interval

    mean = values.mean(1)
    if values.shape[1] < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    low, high = (edge.numpy() for edge in interval(resampled(values, weights), mean, level))
    return mean, low, high


def resampled(
    values: Float64[Array, "steps sequences *rest"], weights: Float64[Array, "resamples sequences"]
) -> Float64[Array, "resamples steps *rest"]:
    """The mean over sequences in every resample of them."""
    means: Float64[Array, "resamples steps *rest"] = np.tensordot(weights, values, axes=(1, 1)) / values.shape[1]
    return means
