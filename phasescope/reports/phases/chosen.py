"""Which phases stand for a size, and how curves are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import tidy
from phasescope.reports.kit.cells import step_text

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables
if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables
if TYPE_CHECKING:
    import pandas as pd

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables


def band_phases(tables: Tables) -> tuple[str, pd.DataFrame]:
    """The phases that lie behind the figures of a size, and the curve whose they are; `tables` of that size.

    Those of the first main curve that has two phases or more, of all seeds together where they were found so. Where
    there are none the name is "" and the table has no rows.
    """
    return tables.once("band phases", lambda: _band_phases(tables["phases"]))


def _band_phases(phases: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    shown = summary_phases(phases) if len(phases) else phases
    for curve in MAIN_CURVES:
        mine = tidy.of(shown, curve=curve)
        one = mine[mine["seed"].isna()] if mine["seed"].isna().any() else mine[mine["seed"] == mine["seed"].min()]
        if len(one) > 1:
            return curve, one
    return "", shown.iloc[:0]


def summary_phases(phases: pd.DataFrame) -> pd.DataFrame:
    """The rows about the mean of the seeds; where a curve has no mean, those about its seeds."""
    together = phases["seed"].isna()
    has_mean = together.groupby([phases["curve"], phases["size"]]).transform("any")
    return phases[together | ~has_mean]


_NAMES = {"kl": "KL between seeds"}


MAIN_CURVES = ("kl", "surprisal", "entropy")
"""What phases are shown of: the first of these that has two or more."""


def curve_name(curve: str) -> str:
    """A curve as readers call it: `heuristic:bigram pearson` is the correlation with the bigram."""
    if curve.startswith("heuristic:"):
        predictor, _, rest = curve.removeprefix("heuristic:").partition(" pearson")
        return f"the correlation with {predictor}{rest}"
    if curve.startswith("minimal_pairs:"):
        return f"accuracy on {curve.removeprefix('minimal_pairs:')}"
    if curve.startswith("evaluation:"):
        return curve.removeprefix("evaluation:")
    return _NAMES.get(curve, curve)


def begins(row: dict[Any, Any]) -> str:
    return f"{step_text(row['start'])} [{step_text(row['start_low'])}, {step_text(row['start_high'])}]"
