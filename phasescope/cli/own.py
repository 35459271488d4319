"""Commands of what users bring along: their measures, of every site of a run; and which plug-ins there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from phasescope.cli.app import command
from phasescope.cli.options import Axis, Json, KeepSuspect, RunPath, Steps, TablesOf, records, suspects_first, tell

if TYPE_CHECKING:
    from rich.console import RenderableType


@command("map runs/demo measures.py:spread --sites mlp_out --resamples 200", name="map", long=True)
def map_(
    run: RunPath,
    measure: Annotated[
        str,
        typer.Argument(
            help="The name of an installed measure (phasescope plugins lists them), or FILE.py:function.",
            metavar="MEASURE",
            show_default=False,
        ),
    ],
    sites: Annotated[
        str | None,
        typer.Option(
            help="Components, or single sites such as L3.z, joined by commas.", show_default="the measure's own, or all"
        ),
    ] = None,
    steps: Steps = "log",
    pairs: Annotated[
        str | None,
        typer.Option(
            help="Compare each site with: final, previous, seeds or layers.", show_default="the measure's own"
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="What its table is called.", show_default="as the function")] = None,
    resamples: Annotated[int, typer.Option(help="Resamples of the bootstrap over sequences; 0: no intervals.")] = 0,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Random seed of the bootstrap.")] = 0,
    tables: TablesOf = None,
    keep_suspect: KeepSuspect = False,
    axis: Axis = None,
    json_: Json = False,
) -> None:
    """A measure of your own at every site, checkpoint and head; the table goes to RUN/results/own."""
    from phasescope.plugins.files import measure_in
    from phasescope.reports.kit.shown import as_shown, shown
    from phasescope.reports.own import measured_view
    from phasescope.run import open_run

    opened = open_run(run, tables, keep_suspect=keep_suspect)
    found = opened.map(measure_in(measure), sites, steps, pairs, name=name, resamples=resamples, level=level, seed=seed)

    def view() -> RenderableType:
        from rich.console import Group

        name = str(found.attrs["name"])
        return Group(*suspects_first(opened), measured_view(name, as_shown(name, found)))

    with shown(opened, axis):
        tell(records({"measured": found})["measured"], json_, view)


@command("plugins")
def plugins(json_: Json = False) -> None:
    """What installed packages add: measures, analyses, probes, suites and architectures, with the package of each."""
    from phasescope.analyses.registry import offered_questions
    from phasescope.hooks.registered import offered_architectures
    from phasescope.plugins import measures, probes
    from phasescope.reports import listings
    from phasescope.suites.offered import offered_suites

    kinds = {
        "measure": measures(),
        "analysis": offered_questions(),
        "probe": probes(),
        "suite": offered_suites(),
        "architecture": offered_architectures(),
    }
    found = [
        {"kind": kind, "name": one.full, "package": one.package, "about": one.about}
        for kind, several in kinds.items()
        for one in several
    ]
    tell(found, json_, lambda: listings.plugins_view(found))
