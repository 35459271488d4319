"""The median over seeds of settling steps, and why one means nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import pooled

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def median_settling(settling: pd.DataFrame) -> pd.DataFrame:
    """Over seeds, for each site and head: the median settling step and its range; NA where most seeds never settle.

    A seed that never settles counts as later than any step, so it can make the median "never", and the upper end of
    the range is NA as soon as one seed never settles. With an even number of seeds the earlier of the middle two is
    taken, so that the median is a step that was probed. Seeds that end before others are left out (`seed_ends`).

    Args:
        settling: rows of one size and one τ (any number of components), as the settling analysis makes them.

    Returns:
        One row per layer, component and head: median, low, high (steps; NA = never), fraction (of training), seeds;
        moved (more than half of the seeds did: of what did not, the settling step means nothing); the least and the
        most CKA of the seeds at the first step, and the most of texts that do not match (`settled_from_start` puts
        these into words).
    """
    import numpy as np
    import pandas as pd

    settling = pooled(settling)
    layer, head = settling["layer"].to_numpy(np.int64), settling["head"].fillna(-1).to_numpy(np.int64)
    names, component = np.unique(settling["component"].to_numpy(object).astype(str), return_inverse=True)
    named = ("low", "high", "last_step", "first_step", "first_cka", "shuffled", "moved")
    numbers = {name: settling[name].to_numpy(np.float64, na_value=np.nan) for name in named}
    # Never is later than any step.
    step = np.nan_to_num(settling["settling_step"].to_numpy(np.float64, na_value=np.nan), nan=np.inf)
    # Sorted once by site and step, each site is a run of rows: grouping so small tables with pandas takes longer than
    # all else on a page.
    order = np.lexsort((step, head, component, layer))
    sites = np.stack([layer, component, head])[:, order]
    starts = np.flatnonzero(np.r_[True, (sites[:, 1:] != sites[:, :-1]).any(axis=0)][: len(order)])
    seeds = np.diff(np.r_[starts, len(order)])
    of_site = {name: values[order] for name, values in numbers.items()}
    middle = order[starts + (seeds - 1) // 2]
    one, lowest, highest = seeds == 1, step[order[starts]], step[order[starts + seeds - 1]]
    last = np.where(numbers["last_step"][middle] > 0, numbers["last_step"][middle], np.nan)
    median = _whole_numbers(step[middle])
    return pd.DataFrame(
        {
            "layer": _whole_numbers(layer[middle]),
            "component": names[component[middle]].astype(object),
            "head": _whole_numbers(np.where(head[middle] < 0, np.nan, head[middle])),
            "median": median,
            "low": _whole_numbers(np.where(one, numbers["low"][middle], lowest)),
            "high": _whole_numbers(np.where(one, numbers["high"][middle], highest)),
            "fraction": median.to_numpy(np.float64, na_value=np.nan) / last,
            "seeds": _whole_numbers(seeds),
            "moved": np.add.reduceat(of_site["moved"], starts) * 2 > seeds if len(starts) else np.zeros(0, bool),
            "first_step": _whole_numbers(np.fmin.reduceat(of_site["first_step"], starts)),
            "first_least": np.fmin.reduceat(of_site["first_cka"], starts),
            "first_most": np.fmax.reduceat(of_site["first_cka"], starts),
            "shuffled": np.fmax.reduceat(of_site["shuffled"], starts),
        }
    )


def _whole_numbers(values: np.ndarray) -> pd.arrays.IntegerArray:
    """As nullable whole numbers: NA for what is not finite."""
    import numpy as np
    import pandas as pd

    unknown = ~np.isfinite(values)
    return pd.arrays.IntegerArray(np.where(unknown, 0, values).astype(np.int64), unknown)


def settled_from_start(unmoved: pd.DataFrame, tau: float) -> str:
    """What keeps a settling step from meaning anything, of sites that did not move (`median_settling`), in words.

    `CKA 0.94 to 0.99 at step 0`; where it is no more than chance, `CKA up to 0.93 with texts that do not match`.
    """
    begin = unmoved[~(unmoved["shuffled"] >= tau)]
    if begin.empty:
        return f"CKA up to {unmoved['shuffled'].max():.2f} with texts that do not match"
    least, most = f"{begin['first_least'].min():.2f}", f"{begin['first_most'].max():.2f}"
    return f"CKA {least}{f' to {most}' if least != most else ''} at {counting.at(begin['first_step'].min())}"
