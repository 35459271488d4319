"""How alike are layers: to their final state and the step before, between seeds, layers and sizes?

(docs/analyses/similarity.md)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.question import Curve, Option, Table, question
from phasescope.analyses.similarity.columns import MAPS, MEANS, MEASURES, SIMILARITY, measures_named
from phasescope.errors import BadArgumentError

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader

_AS_SAID = "as `measure` says"


def _maps(given: tuple[str, ...]) -> tuple[str, ...]:
    for pair in given:
        if pair.count(":") != 1:
            raise BadArgumentError(f"{pair!r} names no two checkpoints: write them as 1m/seed1/step0:1m/seed2/step512.")
    return tuple(given)


@question(
    "How alike are layers: to their final state and the step before, between seeds, layers and sizes?",
    [
        Table(
            "similarity",
            "How alike every site is to its final state, to the step before, to the next layer, to other seeds and to "
            "the next larger size, by several measures, with intervals; `shuffled`: the same where samples do not "
            "match; `first`: at the first step.",
            SIMILARITY,
            {_AS_SAID: "value low high shuffled first"},
        ),
        Table(
            "similarity_means",
            "The mean of these over sites (and over other seeds), per size, seed and step, with intervals.",
            MEANS,
            {_AS_SAID: "value low high shuffled first"},
            curves=tuple(
                Curve("value", f"{{}} {said}", by="measure", only=(("relation", relation),), place=place)
                for place, (relation, said) in enumerate(
                    {"previous": "to the step before", "seed": "between seeds"}.items(), start=60
                )
            ),
        ),
        Table(
            "similarity_maps",
            "How alike each layer of one checkpoint is to each of another (no intervals).",
            MAPS,
            {_AS_SAID: "value"},
        ),
    ],
    options=[
        Option(
            "measures",
            f"which measures of similarity: {', '.join(MEASURES)}, joined by commas.",
            MEASURES[:3],
            several=True,
            check=measures_named,
        ),
        Option(
            "maps",
            "two checkpoints of which all layers are compared; again for more.",
            (),
            flag="--map",
            several=True,
            again=True,
            metavar="A:B",
            check=_maps,
        ),
    ],
    place=26,
    by_training=True,
    by_name=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `similarity`, `similarity_means` and `similarity_maps`."""
    from phasescope.analyses.similarity.tables import tables_of

    return tables_of(reader, options)
