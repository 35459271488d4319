"""Tables of phases and of the link, of a made-up suite: made by the analyses themselves from its other tables."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from phasescope.analyses import Options
from phasescope.analyses.first_fifth import first_fifth
from phasescope.analyses.link_curves import per_seed
from phasescope.analyses.link_lags import link_lags
from phasescope.analyses.link_rank import link_rank
from phasescope.analyses.link_shares import link_shares, sites_of

PHASES = ((0, 4, "flat", "near uniform"), (4, 64, "sharply rising", ""), (64, 1000, "slowly falling", ""))


def link_tables(tables: dict[str, pd.DataFrame], sizes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """`phases` of KL and surprisal, the same for each size, and the tables of the link."""
    rows = [
        (curve, size, None, number, start, end, start / 1.3, start * 1.3, label, 0.1, name, "", "", 12, 0.95)
        for size in sizes
        for curve in ("kl", "surprisal")
        for number, (start, end, label, name) in enumerate(PHASES)
    ]
    columns = "curve size seed phase start end start_low start_high label slope name evidence errors points level"
    phases = pd.DataFrame(rows, columns=columns.split()).astype({"seed": "Int64"})
    convergence = tables["convergence"].assign(level=0.95)
    sites = sites_of(convergence)
    options = Options()
    curves = [curve for size in sizes for curve in per_seed(tables["surprisal"], "surprisal", size, "surprisal")]
    return {
        "phases": phases,
        "link_shares": link_shares(sites, phases, options),
        "link_lags": link_lags(sites, curves, options),
        "link_rank": link_rank(sites, tables["settling"], tables["rank"], options),
        "first_fifth": first_fifth(tables["settling"], convergence, options),
    }
