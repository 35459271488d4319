"""The command that shows one layer: as it was recorded, live, or while a capture goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from phasescope.cli.app import command
from phasescope.cli.options import Axis, Json, KeepSuspect, TablesOf, numbers_in, records, suspects_first, tell
from phasescope.counting import showing

if TYPE_CHECKING:
    from rich.console import RenderableType

    from phasescope.reports.live.results import LiveResults
    from phasescope.run import Run


@command('layer runs/demo 1 mlp_out --size 1m --live --text "Once upon a time"')
def layer(
    run: Annotated[
        str,
        typer.Argument(
            help="The folder of a run; with --live also what capture takes: a folder, a preset, a repository.",
            metavar="RUN_OR_SUITE",
        ),
    ],
    number: Annotated[int, typer.Argument(help="The layer, counted from 0.", metavar="LAYER")],
    component: Annotated[str, typer.Argument(help="attn_out, mlp_out, ov_out, …", metavar="COMPONENT")],
    size: Annotated[str | None, typer.Option(help="Which size; needed where there are several.")] = None,
    head: Annotated[int | None, typer.Option(help="One head of a component that has heads.")] = None,
    phases: Annotated[
        str | None,
        typer.Option(
            help="The curve whose phases are shown below: kl, surprisal, …",
            metavar="CURVE",
            show_default="kl, if there are phases",
        ),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Show it while a capture into RUN goes on.")] = False,
    live: Annotated[bool, typer.Option("--live", help="Read --text with the checkpoints now.")] = False,
    text: Annotated[str | None, typer.Option(help="live: what the models read.")] = None,
    seeds: Annotated[str | None, typer.Option(help="live: seeds, joined by commas.", show_default="the first")] = None,
    steps: Annotated[str, typer.Option(help="live: all, log, last, every:10000, or steps joined by commas.")] = "all",
    suite: Annotated[
        str | None,
        typer.Option(
            help="live: the checkpoints of RUN, if they are on the hub or have moved.",
            show_default="the folder they were captured from",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="live: torch, transformer_lens or nnsight.")] = "torch",
    device: Annotated[str, typer.Option(help="live: auto, cpu, cuda, cuda:1, mps.")] = "auto",
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="live: run Python code that comes with a checkpoint.")
    ] = False,
    tables: TablesOf = None,
    keep_suspect: KeepSuspect = False,
    axis: Axis = None,
    json_: Json = False,
) -> None:
    """One layer in the terminal: convergence, phases, settling and rank along training."""
    if live and watch:
        raise typer.BadParameter("choose one of --live and --watch", param_hint="--watch")
    if live != (text is not None):
        raise typer.BadParameter("--live and --text belong together: what should be read?", param_hint="--text")
    if text is not None:
        from phasescope.reports.kit.tokens_read import counting_of_suite
        from phasescope.reports.live.results import probe_live, probe_live_of
        from phasescope.store import RunFolder

        site, chosen = f"L{number}.{component}", numbers_in(seeds, "--seeds") if seeds else None
        how = {"engine": engine, "device": device, "trust_remote_code": trust_remote_code}
        folder = RunFolder(Path(run))
        if folder.exists():
            found = probe_live_of(
                folder.read_manifest(), text, site, suite=suite, size=size, seeds=chosen, steps=steps, head=head, **how
            )
        else:
            found = probe_live(suite or run, text, site, size=size, seeds=chosen, steps=steps, head=head, **how)
        with showing(counting_of_suite(found.probe.suite, axis)):
            _show_live(found, json_)
    elif watch:
        _show_watch(Path(run), number, component, size, head, json_, axis)
    else:
        from phasescope.run import open_run

        opened = open_run(Path(run), tables, keep_suspect=keep_suspect)
        _show_recorded(opened, number, component, size, head, phases, json_, axis)


def _show_recorded(
    run: Run,
    number: int,
    component: str,
    size: str | None,
    head: int | None,
    curve: str | None,
    as_json: bool,
    axis: str | None,
) -> None:
    from phasescope.analyses import kept_table
    from phasescope.reports.kit.attending import attending, attending_sentence
    from phasescope.reports.kit.shown import as_shown, shown
    from phasescope.reports.layer.phases_beside import phases_beside
    from phasescope.reports.layer.terminal import layer_view

    opened = run.layer(number, component, size=size, head=head)
    kept = kept_table(opened.run.reader, "phases")
    beside = phases_beside(kept, run.path, opened.size, curve)
    tables = {
        "convergence": opened.convergence(),
        "settling": opened.settling(),
        "effective_rank": opened.effective_rank(),
    }
    of_layer = {"convergence": tables["convergence"], "settling": tables["settling"], "rank": tables["effective_rank"]}
    if beside.phases is not None:
        tables["phases"] = beside.phases

    def view() -> RenderableType:
        from rich.console import Group

        first = next(key for key in opened.run.reader.keys if key.size == opened.size)
        attends = attending_sentence(number, attending(run.path, first).get(number))
        of_size = {name: as_shown(name, table.assign(size=opened.size)) for name, table in of_layer.items()}
        phases = None if beside.phases is None else as_shown("phases", beside.phases.assign(size=opened.size))
        view = layer_view(
            of_size["convergence"],
            of_size["settling"],
            str(opened),
            rank=of_size["rank"],
            beside=replace(beside, phases=phases),
            attends=attends,
        )
        return Group(*suspects_first(run), view)

    with shown(run, axis):
        tell(records(tables), as_json, view)


def _show_live(found: LiveResults, as_json: bool) -> None:
    from phasescope.console import stderr
    from phasescope.reports.live.terminal import follow, live_table_view

    for notice in found.probe.notices:
        stderr().print(notice, markup=False, soft_wrap=True)
    whole = follow(found, as_json)
    tell(found.as_record(), as_json, lambda: live_table_view(found))
    if not whole:
        stderr().print(f"Stopped after {len(found.readings)} of {len(found)} checkpoints.")
    if not whole or all(reading.reason for reading in found.readings):
        raise typer.Exit(1)


def _show_watch(
    run: Path, number: int, component: str, size: str | None, head: int | None, as_json: bool, axis: str | None
) -> None:
    from phasescope.hooks import Site
    from phasescope.reports.kit.tokens_read import counting_of
    from phasescope.reports.live.watched import follow, record_of, watch_view
    from phasescope.store import RunFolder
    from phasescope.visits.live.watching import Watch

    folder = RunFolder(run)
    watched = Watch.begin(folder, size, Site(number, component), head)
    with showing(counting_of(folder.read_manifest(), axis)):
        follow(watched, as_json)
        tell(record_of(watched), as_json, lambda: watch_view(watched))
