"""When induction heads form, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.console import counted
from phasescope.reports.kit import cells, tidy

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables


def formed_sentence(size: str, bumps: pd.DataFrame) -> str:
    """At which step the induction heads of a size form, and which these are; "" where nothing is known.

    bumps: rows of the table `induction_heads` about that size.
    """
    whole = bumps[bumps["head"].isna()]
    formed = whole[whole["forms_step"].notna()]
    if whole.empty:
        return ""
    if formed.empty:
        return f"No induction head of {size} forms: {whole['reason'].iloc[0]}."
    at, low, high = (cells.step_text(float(formed[edge].median())) for edge in ("forms_step", "low", "high"))
    ends = f"[{cells.step_text(float(formed['low'].min()))}, {cells.step_text(float(formed['high'].max()))}]"
    seeds = len(whole)
    over = f"median over {counted(len(formed), 'seed')}, outermost ends of their {tidy.level(formed)} intervals"
    if seeds == 1:
        over, ends = f"one seed, {tidy.level(formed)} interval", f"[{low}, {high}]"
    elif len(formed) < seeds:
        over += f"; in {counted(seeds - len(formed), 'seed')} none forms"
    return f"The induction heads of {size} form at {counting.noun()} {at} {ends} ({over}): {_which(bumps)}."


def _which(bumps: pd.DataFrame) -> str:
    heads = bumps[bumps["head"].notna()]
    by_seed = {
        seed: tidy.listing([f"L{row.layer}.{row.head}" for row in tidy.of(heads, seed=seed).itertuples()])
        for seed in tidy.integers(heads["seed"])
    }
    if len(by_seed) == 1:
        return next(iter(by_seed.values()))
    return "; ".join(f"seed {seed}: {named}" for seed, named in by_seed.items())


def induction_finding(size: str, tables: Tables, seeds: int) -> str:
    """When the size's induction heads form."""
    bumps = tables["induction_heads"]
    beside = _beside_kl(bumps, tables["phases"])
    return " ".join(part for part in (formed_sentence(size, bumps), beside) if part)


def _beside_kl(bumps: pd.DataFrame, phases: pd.DataFrame) -> str:
    """By which factor of steps heads form before or after the KL between seeds begins to part; "" where one is unknown.

    The interval takes both places as independent: half-widths, in the logarithm, as the sides of a right angle.
    """
    import numpy as np

    formed = bumps[bumps["head"].isna() & bumps["forms_step"].notna()]
    kl = phases[(phases["curve"] == "kl") & phases["seed"].isna() & (phases["name"] == "sharp divergence")]
    if formed.empty or kl.empty:
        return ""
    scale = counting.current().scale
    ends = [formed["forms_step"].median(), formed["low"].min(), formed["high"].max()]
    at, low, high = np.log1p(np.asarray(ends, dtype=float) / scale)
    turning = kl[["start", "start_low", "start_high"]].iloc[0].to_numpy(dtype=float)
    turn, turn_low, turn_high = np.log1p(turning / scale)
    ratio = turn - at
    bounds = (ratio - np.hypot(turn - turn_low, high - at), ratio + np.hypot(turn_high - turn, at - low))
    before = ratio >= 0
    factor, least, most = np.exp([ratio, *bounds] if before else [-ratio, -bounds[1], -bounds[0]])
    told = tidy.interval(factor, least, most, digits=1)
    return f"That is a factor {told} {'before' if before else 'after'} the KL between seeds begins to grow sharply."
