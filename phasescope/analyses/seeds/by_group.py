"""Which tokens do seeds agree about, and when? The KL between seeds, apart for groups of tokens (study B)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.resampled_means import ratio, resampled_ratios
from phasescope.analyses.seeds.token_groups import CONTRASTS, Group
from phasescope.measures.peaks import highest

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Int

    from phasescope.analyses.options import Options


@dataclass(frozen=True, eq=False)
class Curves:
    """The KL of each group of tokens along training, and in each resample of the sequences."""

    steps: Int[np.ndarray, "steps"]
    groups: list[Group]
    kl: Float64[np.ndarray, "groups steps"]
    drawn: Float64[np.ndarray, "resamples groups steps"]
    tokens: Int[np.ndarray, "groups steps"]
    sequences: Int[np.ndarray, "groups"]

    def since(self, step: int) -> Curves:
        """From a step on."""
        later = self.steps >= step
        return replace(
            self,
            steps=self.steps[later],
            kl=self.kl[:, later],
            drawn=self.drawn[:, :, later],
            tokens=self.tokens[:, later],
        )


def curves_of(
    steps: Sequence[int], kl: Float[np.ndarray, "steps sequences positions"], groups: list[Group], options: Options
) -> Curves:
    """Means over the tokens of each group; a token whose KL is no number does not count."""
    members = np.stack([group.members for group in groups]).astype(np.float64)  # [groups, sequences, positions]
    known = ~np.isnan(kl)
    sums = np.einsum("tsp,gsp->gts", np.nan_to_num(kl, nan=0.0).astype(np.float64), members, optimize=True)
    counts = np.einsum("tsp,gsp->gts", known.astype(np.float64), members, optimize=True)
    shape = len(groups), len(steps)
    means, drawn = resampled_ratios(sums.reshape(-1, kl.shape[1]), counts.reshape(-1, kl.shape[1]), options)
    return Curves(
        np.array(steps),
        groups,
        means.reshape(shape),
        drawn.reshape(-1, *shape),
        counts.sum(-1).astype(np.int64),
        (counts > 0).any(1).sum(1),
    )


def group_rows(size: str, curves: Curves, options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of `seeds_by`."""
    from phasescope.measures import interval

    low, high = (edge.numpy() for edge in interval(curves.drawn, curves.kl, options.level))
    for g, group in enumerate(curves.groups):
        for t, step in enumerate(curves.steps):
            numbers = (curves.kl[g, t], low[g, t], high[g, t], options.level, curves.tokens[g, t], curves.sequences[g])
            yield (size, int(step), group.by, group.name, *numbers)


def peak_rows(size: str, curves: Curves, options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of `seeds_by_peaks`: when the KL of each group is highest, and what is left of it at the last step."""
    from phasescope.measures import interval

    if len(curves.steps) < 2:
        return
    share, drawn_share = _share_left(curves)
    low, high = (edge.numpy() for edge in interval(drawn_share, share, options.level))
    tail = (1 - options.level) / 2
    for g, group in enumerate(curves.groups):
        if np.isnan(curves.kl[g]).any() or np.isnan(curves.drawn[:, g]).all():
            continue
        peak = int(curves.kl[g].argmax())
        places = highest(curves.drawn[:, g], curves.kl[g])
        edges = np.quantile(curves.steps[places], [tail, 1 - tail], method="nearest")
        step, last = int(curves.steps[peak]), int(curves.steps[-1])
        where = (step, min(int(edges[0]), step), max(int(edges[1]), step), curves.kl[g, peak], last, curves.kl[g, -1])
        left = (share[g], low[g], high[g], step == last, options.level, curves.tokens[g, -1])
        yield (size, group.by, group.name, int(curves.steps[0]), *where, *left)


def contrast_rows(size: str, curves: Curves, options: Options) -> Iterator[tuple[Any, ...]]:
    """Rows of `seeds_by_contrasts`: differences between two groups, from the same resamples, so paired."""
    from phasescope.measures import interval

    place = {(group.by, group.name): g for g, group in enumerate(curves.groups)}
    share, drawn_share = _share_left(curves)
    for by, (first, second) in CONTRASTS.items():
        if (by, first) not in place or (by, second) not in place:
            continue
        a, b = place[by, first], place[by, second]
        measures = {"last_kl": (curves.kl[:, -1], curves.drawn[:, :, -1])}
        if len(curves.steps) > 1:
            measures["share"] = share, drawn_share
            measures["peak_doublings"] = _peaks(curves)
        for name, (values, drawn) in measures.items():
            difference = values[a] - values[b]
            low, high = interval(drawn[:, a] - drawn[:, b], np.array(difference), options.level)
            numbers = (values[a], values[b], difference, low, high)
            yield (size, by, first, second, name, *map(float, numbers), options.level)


def _share_left(
    curves: Curves,
) -> tuple[Float64[np.ndarray, "groups"], Float64[np.ndarray, "resamples groups"]]:
    """The last KL as a share of the highest."""
    peak = np.fmax.reduce(curves.kl, axis=1)
    return ratio(curves.kl[:, -1], peak), ratio(curves.drawn[:, :, -1], np.fmax.reduce(curves.drawn, axis=2))


def _peaks(curves: Curves) -> tuple[Float64[np.ndarray, "groups"], Float64[np.ndarray, "resamples groups"]]:
    """Where each KL is highest, as log2(1 + step): a difference of one is a doubling of the step."""
    places = np.log2(1.0 + curves.steps)
    at = np.nan_to_num(curves.kl, nan=-np.inf).argmax(1)
    drawn = np.stack(
        [places[highest(curves.drawn[:, g], curves.kl[g])] for g in range(len(curves.groups))], axis=1
    ).astype(np.float64)
    drawn[np.isnan(curves.drawn).all(2)] = np.nan
    return places[at], drawn
