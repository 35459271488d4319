"""Rows of the tables about the lens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.lens.columns import SCORES
from phasescope.analyses.resampled_means import mean_intervals
from phasescope.errors import PhasescopeError
from phasescope.hooks import Site

if TYPE_CHECKING:
    from phasescope.analyses.lens.seen import Look, Tokens
    from phasescope.analyses.options import Options

# Means are of these; of ranks, whose mean a few rare tokens decide, of their logarithms.
_OF = {"probability": "surprisal", "agreement": "agrees"}


def lens_rows(look: Look, options: Options) -> Iterator[tuple[Any, ...]]:
    """One row per place and score."""
    about = (look.key.size, look.key.seed, look.key.step, look.lens)
    ends = (options.level, look.tokens, look.sequences)
    for score in SCORES:
        told = mean_intervals(_values(look, score), options)
        if score == "entropy":
            shuffled = [np.nan] * len(told)
        else:
            shuffled = _values(look, score, "_shuffled").mean((1, 2), dtype=np.float64).tolist()
        if score == "rank":
            told = [(np.exp(a), np.exp(b), np.exp(c)) for a, b, c in told]
            shuffled = np.exp(shuffled).tolist()
        for site, layer, numbers, other in zip(look.places, look.layers, told, shuffled, strict=True):
            yield (*about, site.name, layer, score, *numbers, other, *ends)


def _values(look: Look, score: str, beside: str = "") -> Tokens:
    values: Any = look.scores[_OF.get(score, score) + beside]
    made: Tokens = np.exp(-values) if score == "probability" else np.log(values) if score == "rank" else values
    return made


def depth_rows(look: Look, options: Options) -> Iterator[tuple[Any, ...]]:
    """One row: the mean depth at which predictions are fixed, and the mean KL of all places but the last."""
    layers = 1 + look.layers[-1]
    depths, chance = (_depths(look, look.scores[name]) for name in ("agrees", "agrees_shuffled"))
    kl = look.scores["kl"][:-1].mean(0, keepdims=True) if len(look.places) > 1 else look.scores["kl"]
    [depth], [divergence] = mean_intervals(depths, options), mean_intervals(kl, options)
    shuffled = look.scores["kl_shuffled"][: len(look.places) - 1 or 1]
    yield (
        *(look.key.size, look.key.seed, look.key.step, look.lens),
        *(*depth, float(chance.mean()), layers),
        *(*divergence, float(shuffled.mean(dtype=np.float64))),
        *(options.level, look.tokens, look.sequences),
    )


def _depths(look: Look, agrees: Tokens) -> Tokens:
    """How many layers are read until the likeliest token stays; one more than there are where it never does."""
    from phasescope.measures import settled_depth

    depths = settled_depth(agrees.reshape(len(agrees), -1)).numpy().reshape(1, *agrees.shape[1:])
    # Without a place before the first layer nothing is known of depth 0.
    made: Tokens = depths + look.layers[0] + 1
    return made


def attribution_rows(look: Look, options: Options) -> Iterator[tuple[Any, ...]]:
    """One row per part of the residual stream, in the order of the network."""
    if not look.parts:
        return
    names = sorted(look.parts, key=_order)
    told = mean_intervals(np.stack([look.parts[name][0] for name in names]), options)
    for name, numbers in zip(names, told, strict=True):
        shuffled = float(look.parts[name][1].mean(dtype=np.float64))
        yield (
            *(look.key.size, look.key.seed, look.key.step, *_named(name)),
            *(*numbers, shuffled, options.level, look.tokens, look.sequences),
        )


def _order(name: str) -> tuple[int, int]:
    from phasescope.hooks import COMPONENTS

    site = _site(name)
    return (site.layer, list(COMPONENTS).index(site.component)) if site else (1 << 30, name == "rest")


def _named(name: str) -> tuple[str, int | None, str]:
    """Part, layer and component: what enters the first layer is the embedding, of no layer."""
    site = _site(name)
    if site is None:
        return name, None, name
    return (
        ("embedding", None, "embedding") if site.component == "resid_pre" else (site.short, site.layer, site.component)
    )


def _site(name: str) -> Site | None:
    try:
        return Site.parse(name)
    except PhasescopeError:
        return None
