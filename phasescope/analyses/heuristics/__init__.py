"""Which simple heuristics explain what the models predict, and when?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.heuristics.columns import HEURISTIC_FIT, HEURISTIC_PEAKS, HEURISTICS
from phasescope.analyses.question import Curve, Option, Table, one_of, question

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


@question(
    "Which simple heuristics explain what the models predict, and when?",
    [
        Table(
            "heuristics",
            "Correlation of predictions with n-grams and similarity per size, seed and step, with intervals.",
            HEURISTICS,
            {"correlation": "pearson low high spearman spearman_low spearman_high"},
            curves=(
                Curve("pearson", "heuristic:{} pearson", "predictor", (("unit", "word"),), 30),
                Curve("pearson", "heuristic:{} pearson of tokens", "predictor", (("unit", "token"),), 31),
            ),
        ),
        Table(
            "heuristic_peaks",
            "Where each correlation has its peak.",
            HEURISTIC_PEAKS,
            {"steps": "peak_step low high", "correlation": "correlation", "share of resamples": "before_next"},
        ),
        Table(
            "heuristic_fit",
            "What n-grams and similarity explain together: a linear regression.",
            HEURISTIC_FIT,
            {
                "standard deviations": "coefficient low high",
                "R²": "r2_training r2_training_low r2_training_high r2_held_out r2_held_out_low r2_held_out_high",
            },
        ),
    ],
    options=[
        Option(
            "reference",
            "where words are counted: a text, an index, a .tsv of counts, infini-gram:INDEX.",
            shown="the text that the suite was trained on",
        ),
        Option("vectors", "a file of word vectors (.bin, .vec).", shown="trained on the reference"),
        Option("unit", "word or token.", shown="what the reference counts", check=one_of("unit {}", "word", "token")),
    ],
    needs="a reference corpus",
    place=70,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `heuristics`, `heuristic_peaks` and `heuristic_fit`."""
    from phasescope.analyses.heuristics.correlations import tables_of

    return tables_of(reader, options)
