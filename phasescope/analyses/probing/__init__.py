"""What can be read off activations by a linear probe, and since when? (docs/analyses/probing.md)

From the activations that every capture keeps; no model is loaded. Accuracy on sequences that are held out, beside the
most frequent class, control tasks (Hewitt & Liang 2019, arXiv 1909.03368) and the first step; and the bits in which a
probe says the labels (Voita & Titov 2020, arXiv 2003.12298). By scikit-learn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.probing.columns import PROBED, PROBING, UNITS
from phasescope.analyses.question import Curve, Option, Table, question
from phasescope.analyses.reader import as_table
from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean, require_library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader


def _checked(names: Sequence[str]) -> tuple[str, ...]:
    from phasescope.analyses.probing.labels import known_labels

    return known_labels(names)


@question(
    "What can be read off activations by a linear probe, and since when?",
    [
        Table(
            "probing",
            "Accuracy of a linear probe on held-out sequences, selectivity and bits per label, of each site and label "
            "per size, seed and step.",
            PROBING,
            {**UNITS, "inverse penalty": "C"},
        ),
        Table(
            "probed",
            "The mean of these over layers.",
            PROBED,
            UNITS,
            curves=(Curve("accuracy", "probe for {}", by="label", place=60),),
        ),
    ],
    options=[
        Option(
            "labels",
            "what to probe for: pos, frequency, position or next_token, joined by commas.",
            (),
            several=True,
            shown="all that the run has",
            check=_checked,
        ),
        Option(
            "probe_at",
            "components to probe, joined by commas.",
            (),
            several=True,
            shown="resid_post, or what comes last in a layer",
        ),
    ],
    place=28,
    by_training=True,
    by_name=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `probing` and `probed`.

    Raises `PhasescopeError` for a component that was not captured, and, where labels are named, for one that this run
    cannot be probed for; where none is, there are then no rows.
    """
    from phasescope.analyses.probing.cells import components_there_are, usual_component
    from phasescope.analyses.probing.labels import tasks_of
    from phasescope.analyses.probing.tables import tables

    reader.require_shards()
    require_library("sklearn", "probing", "Probing")
    there = components_there_are(reader)
    for name in options.probe_at:
        if name not in there:
            raise BadArgumentError(f"No activations of {name!r} are in this run. {did_you_mean(name, there)}")
    try:
        tasks = tasks_of(reader.inputs, options.labels, options.seed)
    except PhasescopeError as error:
        if options.labels:
            raise
        return _empty(str(error))
    if not (tasks.labels and there):
        return _empty("No label has two classes among the samples of this run, or no features were captured.")
    components = options.probe_at or (usual_component(there),)
    return tables(reader, tasks, components, options)


def _empty(why: str) -> dict[str, DataFrame]:
    made = {"probing": as_table([], PROBING), "probed": as_table([], PROBED)}
    for table in made.values():
        table.attrs["absent"] = why
    return made
