"""The command that finds phases, in any table or in a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasescope.cli.app import command
from phasescope.cli.options import Axis, Json, KeepSuspect, TablesOf, names_in, suspects_first, tell

if TYPE_CHECKING:
    from rich.console import RenderableType


@command("phases scores.csv --step step --value accuracy --by size,task,seed", long=True)
def phases(
    source: Annotated[
        Path,
        typer.Argument(
            help="A .csv, .tsv or .parquet with a row per step, or the folder of a run.",
            metavar="TABLE|RUN",
            show_default=False,
        ),
    ],
    step: Annotated[str, typer.Option(help="The column of training steps.", metavar="COLUMN")] = "step",
    value: Annotated[
        str | None, typer.Option(help="The column in which to find phases.", metavar="COLUMN", show_default=False)
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Columns that tell curves apart, joined by commas.", metavar="COLUMNS", show_default=False),
    ] = None,
    seed_column: Annotated[
        str | None,
        typer.Option(
            "--seed",
            help="Which column is the seed: curves that differ only in it get a consensus too.",
            metavar="COLUMN",
            show_default="seed, if --by names it",
        ),
    ] = None,
    resamples: Annotated[int, typer.Option(help="Resamples of the bootstrap, of a table.")] = 500,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals, of a table.")] = 0.95,
    random_seed: Annotated[int, typer.Option(help="Random seed of the bootstrap, of a table.")] = 0,
    tables: TablesOf = None,
    keep_suspect: KeepSuspect = False,
    axis: Axis = None,
    json_: Json = False,
) -> None:
    """The phases of training: where a curve over steps changes its trend, with intervals."""
    from phasescope.analyses import Options
    from phasescope.analyses.phases.found import phases_in_run, phases_in_table

    if source.is_dir():
        from phasescope.reports.kit.shown import shown
        from phasescope.run import open_run

        if value or by or seed_column or step != "step":
            raise typer.BadParameter("a run has its own curves: --step, --value, --by and --seed are for tables")
        run = open_run(source, tables, keep_suspect=keep_suspect)
        found = phases_in_run(run.phases(), run.table("peaks"))
        with shown(run, axis) as counted:

            def view() -> RenderableType:
                from rich.console import Group

                from phasescope.reports.phases.terminal import phases_view

                drawn = phases_in_run(counted.table("phases"), counted.table("peaks"))
                return Group(*suspects_first(run), phases_view(drawn))

            tell([one.record() for one in found], json_, view)
    else:
        if axis:
            raise typer.BadParameter("steps of a table are counted as they are: --axis is for runs")
        options = Options(resamples=resamples, level=level, seed=random_seed)
        found = phases_in_table(source, step, value, names_in(by or ""), seed_column, options)

        def view_of_table() -> RenderableType:
            from phasescope.reports.phases.terminal import phases_view

            return phases_view(found)

        tell([one.record() for one in found], json_, view_of_table)
