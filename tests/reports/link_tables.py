"""Tables of the link, of a made-up suite: made by the analyses themselves from its other tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from phasescope.analyses import Options
from phasescope.analyses.link.curves import per_seed
from phasescope.analyses.link.first_fifth import first_fifth
from phasescope.analyses.link.lags import link_lags
from phasescope.analyses.link.rank import link_rank
from phasescope.analyses.link.shares import link_shares, sites_of


def link_tables(tables: dict[str, pd.DataFrame], sizes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Of the phases that the suite has, and of surprisal as the only curve to lead or lag."""
    convergence = tables["convergence"]
    sites = sites_of(convergence)
    options = Options()
    curves = [curve for size in sizes for curve in per_seed(tables["surprisal"], "surprisal", size, "surprisal")]
    return {
        "link_shares": link_shares(sites, resamples_of(convergence), tables["phases"], options),
        "link_lags": link_lags(sites, curves, options),
        "link_rank": link_rank(sites, tables["settling"], tables["rank"], options),
        "first_fifth": first_fifth(tables["settling"], convergence, options),
    }


def resamples_of(convergence: pd.DataFrame) -> pd.DataFrame:
    """A table `convergence_resamples` as wide as the intervals of CKA."""
    whole = convergence[convergence["head"].isna()].reset_index(drop=True)
    drawn = np.random.default_rng(0).standard_normal((len(whole), 64))
    width = ((whole["cka"] - whole["low"]) / 1.96).to_numpy(float)[:, None]
    moved = pd.DataFrame(width * drawn, columns=[f"r{number}" for number in range(64)])
    return pd.concat([whole[["size", "seed", "step", "site"]], moved], axis=1)
