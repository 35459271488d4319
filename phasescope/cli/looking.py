"""Commands that read a run, or a suite, and show what is there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from phasescope.cli.app import command
from phasescope.cli.options import (
    Axis,
    Cluster,
    Device,
    Engine,
    Json,
    KeepSuspect,
    MovedSuite,
    RunPath,
    Seeds,
    Sizes,
    TablesOf,
    TrustRemoteCode,
    Workers,
    names_in,
    records,
    seeds_in,
    suspects_first,
    tell,
)
from phasescope.cli.questions import chosen, parameters
from phasescope.console import counted
from phasescope.errors import BadArgumentError

if TYPE_CHECKING:
    from pandas import DataFrame

# What says in a table why it has no rows, or lacks some: see `RunFolder.here`.
ABSENT = ("absent", "unscored")
Format = Literal["html", "md"]
Kind = Literal["svg", "pdf", "png"]


@command("analyse runs/demo convergence rank --csv", long=True, more=parameters)
def analyse(
    run: RunPath,
    resamples: Annotated[int, typer.Option(help="Resamples of the bootstrap.")] = 500,
    level: Annotated[float, typer.Option(help="Confidence level of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Random seed of the bootstrap.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            help="Where tables go, of a run that may only be read; --tables of other commands reads them.",
            metavar="FOLDER",
            show_default="RUN",
        ),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Write each table as .csv too.")] = False,
    workers: Workers = None,
    cluster: Cluster = None,
    keep_suspect: KeepSuspect = False,
    axis: Axis = None,
    json_: Json = False,
    **own: Any,
) -> None:
    """Run all analyses, or the named ones; tables go to RUN/results."""
    from rich.console import Group

    from phasescope.analyses import Options, questions
    from phasescope.reports import table_view
    from phasescope.reports.kit.shown import as_shown, shown
    from phasescope.run import open_run

    names = own.pop("names") or []
    options = Options(resamples, level, seed, **chosen(own))
    opened = open_run(run, out, keep_suspect=keep_suspect)
    with shown(opened, axis):
        pass  # an axis that there is not is said before, not after, what takes long
    tables = opened.analyse(*names, options=options, csv=csv, workers=workers, cluster=cluster)
    for table in tables.values():
        table.attrs |= {name: opened.folder.here(text) for name, text in table.attrs.items() if name in ABSENT}
    answered = [name for name, asked in questions().items() if asked.tables[0].name in tables]

    def counted_tables(name: str) -> DataFrame:
        return as_shown(name, tables[name])

    with shown(opened, axis):
        tell(
            records(tables),
            json_,
            lambda: Group(
                *suspects_first(opened),
                *(table_view(name, counted_tables) for name in answered),
                f"Tables: {opened.folder.made / 'results'}",
            ),
        )


@command("report runs/demo --format md --figures svg", long=True)
def report(
    run: RunPath,
    out: Annotated[
        Path | None, typer.Option(help="The page.", show_default="RUN/report/index.html, or report.md there")
    ] = None,
    format_: Annotated[
        Format, typer.Option("--format", help="One HTML page that opens offline, or Markdown.")
    ] = "html",
    figures: Annotated[
        Kind | None, typer.Option(help="Also write every figure to RUN/report/figures, for papers.")
    ] = None,
    own: Annotated[
        list[str] | None,
        typer.Option(
            "--with", help="A measure of your own (phasescope map) to show too; again for more.", metavar="MEASURE"
        ),
    ] = None,
    tables: TablesOf = None,
    keep_suspect: KeepSuspect = False,
    axis: Axis = None,
) -> None:
    """Write the report: one HTML page that opens offline, or Markdown; and its figures as files."""
    from phasescope.run import open_run

    opened = open_run(run, tables, keep_suspect=keep_suspect)
    files = opened.figures(figures, own=own or (), axis=axis) if figures else []
    if files:
        print(f"{counted(len(files), 'figure')}: {files[0].parent}")
    if format_ == "html":
        print(opened.report(out, own=own or (), axis=axis))
    else:
        print(opened.report_markdown(out, figures=files, own=own or (), axis=axis))


@command("explore runs/demo")
def explore(
    run: RunPath,
    port: Annotated[int, typer.Option(help="Where to listen, on this machine alone; if taken, the next.")] = 8765,
    browser: Annotated[bool, typer.Option(help="Open it in a browser.")] = True,
    suite: MovedSuite = None,
    engine: Engine = "torch",
    device: Device = "auto",
    trust_remote_code: TrustRemoteCode = False,
    tables: TablesOf = None,
    keep_suspect: KeepSuspect = False,
    axis: Axis = None,
) -> None:
    """One layer in the browser: what the run recorded, and live probes of any text. Ctrl-C ends it."""
    from phasescope.explorer import explore as serve
    from phasescope.explorer.live_job import How
    from phasescope.run import open_run

    opened = open_run(run, tables, keep_suspect=keep_suspect)
    how = How.of(opened.manifest, suite, engine=engine, device=device, trust_remote_code=trust_remote_code)
    serve(opened, how, port=port, browser=browser, axis=axis)


@command("info runs/demo")
def info(run: RunPath, json_: Json = False) -> None:
    """What a run holds, and how it was made."""
    from phasescope.reports.runs import run_info
    from phasescope.run import open_run
    from phasescope.store import open_container

    opened = open_run(run)
    if opened.folder.inputs.is_file():
        with open_container(opened.folder.inputs, "inputs"):
            pass  # These are the inputs that run.json is of, or it says what is wrong.
    record = {**opened.manifest, "audit": opened.audit_records()} if json_ else {}
    tell(record, json_, lambda: run_info(opened))


@command("verify runs/demo", long=True)
def verify(
    run: RunPath,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only whether all files are there, and whole by their length.")
    ] = False,
    json_: Json = False,
) -> None:
    """Re-read every byte of a run and say what does not fit."""
    from phasescope.console import progress
    from phasescope.reports import listings
    from phasescope.store import RunFolder
    from phasescope.store import verify as verify_run

    findings = []
    with progress(None, "verifying", "files") as tracker:
        for finding in verify_run(RunFolder(run), quick=quick):
            findings.append(finding)
            tracker.doing(finding.path.name)
            tracker.advance(failed=bool(finding.problem))
    problems = [finding for finding in findings if finding.problem]
    record = {"files": len(findings), "problems": [{"path": str(f.path), "problem": f.problem} for f in problems]}
    tell(record, json_, lambda: listings.verify_view(findings))
    if problems:
        raise typer.Exit(1)


@command("audit EleutherAI/pythia-2.8b", long=True)
def audit(
    suite: Annotated[
        str,
        typer.Argument(
            help="A suite as for capture: of one on the hub only listings are asked for. Or the folder of a run.",
            metavar="SUITE|RUN",
            show_default=False,
        ),
    ],
    sizes: Sizes = None,
    seeds: Seeds = None,
    weights: Annotated[
        bool,
        typer.Option("--weights", help="Read some hundred kB of each revision too: order of steps, restarts, step 0."),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with status 1 where a fault is certain.")] = False,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print a table with a row for each finding and checkpoint.")
    ] = False,
    json_: Json = False,
) -> None:
    """Whether the checkpoints of a suite, or of a run, are what their names say."""
    from phasescope.audit import audit_suite
    from phasescope.reports import audits
    from phasescope.run import open_run
    from phasescope.store import RunFolder
    from phasescope.suites import open_suite

    if csv and json_:
        raise BadArgumentError("A table or JSON is printed, not both: leave out --csv or --json.")
    if RunFolder(Path(suite)).exists():
        if sizes or seeds:
            raise BadArgumentError("A run is looked at as a whole: leave out --sizes and --seeds.")
        opened = open_run(suite)
        found, what = opened.audit(anew=True), counted(len(opened.reader.keys), "checkpoint")
    else:
        chosen = open_suite(suite, sizes=names_in(sizes or "")).select(
            sizes=None if sizes is None else names_in(sizes),
            seeds=None if seeds is None else seeds_in(seeds),
        )
        found, what = audit_suite(chosen, weights), counted(len(chosen), "checkpoint")
    if csv:
        print(audits.as_csv(found), end="")
    else:
        record = {"suite": suite, "findings": [finding.as_record() for finding in found]}
        tell(record, json_, lambda: audits.audit_view(found, suite, what))
    if strict and any(finding.certainty == "certain" for finding in found):
        raise typer.Exit(1)


@command("suites polypythia")
def suites(
    suite: Annotated[
        str | None, typer.Argument(help="One of them, or a folder or repository.", metavar="SUITE")
    ] = None,
    json_: Json = False,
) -> None:
    """The suites that are known by name; or the sizes, seeds and steps of one, and the disk that it needs."""
    from phasescope.reports import listings
    from phasescope.suites import PRESETS, open_suite
    from phasescope.suites.offered import offered_suites
    from phasescope.suites.presets import bytes_of_one

    if suite is None:
        theirs = offered_suites()
        known = {name: asdict(preset) for name, preset in PRESETS.items()}
        known |= {one.full: {"name": one.name, "package": one.package} for one in theirs}
        tell(known, json_, lambda: listings.presets_view(PRESETS.values(), theirs))
    else:
        opened = open_suite(suite)
        disk = bytes_of_one(opened)
        record = {
            "family": opened.family,
            "unit": opened.unit,
            "bytes_of_one": disk,
            "left_out": opened.left_out,
            "checkpoints": [asdict(checkpoint) for checkpoint in opened],
        }
        tell(record, json_, lambda: listings.suite_view(opened, disk))


@command("architectures olmo2")
def architectures(
    model_type: Annotated[
        str | None, typer.Argument(help="One of them, as config.json names it.", metavar="MODEL_TYPE")
    ] = None,
    json_: Json = False,
) -> None:
    """The architectures that are known; or where one has its components and weights."""
    from phasescope.hooks.registered import architectures as all_of_them
    from phasescope.hooks.registered import described, entries_of
    from phasescope.reports import listings

    found = [described(entry) for entry in (entries_of(model_type) if model_type else all_of_them())]
    view = listings.architecture_view if model_type else listings.architectures_view
    tell(found, json_, lambda: view(found))
