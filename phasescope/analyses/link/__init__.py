"""In which behavioural phase does each layer do its moving, and does it lead or follow?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.link.columns import FIRST_FIFTH, LINK_LAGS, LINK_RANK, LINK_SHARES
from phasescope.analyses.question import Table, question

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


@question(
    "In which behavioural phase does each layer do its moving, and does it lead or follow?",
    [
        Table(
            "link_shares",
            "Which share of each layer's moving falls into each behavioural phase.",
            LINK_SHARES,
            {"steps": "start end", "share of the moving": "share low high", "CKA": "change"},
            method="link",
        ),
        Table(
            "link_lags",
            "At which lag a layer moves most like a behavioural curve.",
            LINK_LAGS,
            {
                "e-folds of steps": "lag low high",
                "times as many steps": "factor factor_low factor_high",
                "correlation": "correlation",
                "probability": "p q",
            },
        ),
        Table(
            "link_rank",
            "What effective rank explains of settling and stability.",
            LINK_RANK,
            {"as `method` and `term` say": "estimate low high", "probability": "p", "CKA": "tau"},
        ),
        Table(
            "first_fifth",
            "The share of layers that settle within the first fifth of training.",
            FIRST_FIFTH,
            {"share of layers": "share low high unmoved", "CKA": "tau", "steps": "last_step"},
        ),
    ],
    of_curves=True,
    version=2,
    needs="several seeds help",
    place=150,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `link_shares`, `link_lags`, `link_rank` and `first_fifth`."""
    from phasescope.analyses.link.tables import tables_of

    return tables_of(reader, options)
