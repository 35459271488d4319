"""The link: in which behavioural phase does each layer do its moving, and does it lead or follow?

Stands on what other analyses found: convergence and settling, rank, the behavioural curves, and their phases. It opens
no shard. docs/analyses/link.md says how it was calibrated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.link.curves import behavioural_curves
from phasescope.analyses.link.first_fifth import first_fifth
from phasescope.analyses.link.lags import link_lags
from phasescope.analyses.link.rank import link_rank
from phasescope.analyses.link.shares import link_shares, sites_of
from phasescope.errors import require_library

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


def tables_of(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `link_shares`, `link_lags`, `link_rank` and `first_fifth`.

    Where there is nothing to link they are empty, and `attrs["absent"]` says why.
    """
    from phasescope.analyses.results import table

    reader.require_shards()
    require_library("statsmodels", "link", "The link")
    convergence, settling = table(reader, "convergence", options), table(reader, "settling", options)
    resamples = table(reader, "convergence_resamples", options)
    sites = sites_of(convergence)
    made = {
        "link_shares": link_shares(sites, resamples, table(reader, "phases", options), options),
        "link_lags": link_lags(sites, list(behavioural_curves(reader, options)), options),
        "link_rank": link_rank(sites, settling, table(reader, "rank", options), options),
        "first_fifth": first_fifth(settling, convergence, options),
    }
    absent = {
        "link_shares": "No layer's moving can be laid over phases: it needs activations, and a behavioural curve that "
        "has phases, so outputs captured at enough steps.",
        "link_lags": "Nothing can lead or lag: it needs activations and outputs of the same checkpoints.",
        "link_rank": "Rank is linked to attn_out, ov_out, mlp_out or mixer_out: capture one of these sites.",
        "first_fifth": "No layer has a CKA at two steps or more.",
    }
    for name, found in made.items():
        if found.empty:
            found.attrs["absent"] = absent[name]
    return made
