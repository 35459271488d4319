"""The commands: parse, call, print. Results go to stdout, messages and progress to stderr."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame
    from rich.console import RenderableType


class _Commands(TyperGroup):
    """Turns what users can put right into one sentence and exit status 1."""

    def invoke(self, ctx: Any) -> Any:
        from rich.markup import escape

        from phasescope.console import stderr

        try:
            return super().invoke(ctx)
        except PhasescopeError as error:
            stderr().print(f"[bold red]Error:[/] {escape(str(error))}", soft_wrap=True)
        except KeyboardInterrupt:
            stderr().print("Stopped. Nothing captured is lost: run the same command again to go on.")
        raise typer.Exit(1)


app = typer.Typer(
    cls=_Commands,
    help="See when, where and why a language model settles: probe every checkpoint of a training run.",
    epilog="Start with: phasescope demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

RunPath = Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN", show_default=False)]
SuiteName = Annotated[
    str, typer.Argument(help="A folder, a preset, or owner/name (or owner/name@pattern) on the hub.", metavar="SUITE")
]
Json = Annotated[bool, typer.Option("--json", help="Print machine-readable JSON only.")]
Sizes = Annotated[str | None, typer.Option(help="Sizes, joined by commas.", show_default="all")]
Seeds = Annotated[str | None, typer.Option(help="Seeds, joined by commas.", show_default="all")]
Steps = Annotated[str, typer.Option(help="all, log, last, every:10000, or steps joined by commas.")]
Texts = Annotated[
    str | None,
    typer.Option(
        help="What the models read: a .txt, .jsonl or .conllu file, docs, or a data set on the hub.",
        show_default="the suite's held-out text, else docs",
    ),
]


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False) -> None:
    if version:
        from phasescope import __version__

        print(f"phasescope {__version__}")
        raise typer.Exit


@app.command(epilog="Example: phasescope demo --out runs/demo")
def demo(
    out: Annotated[Path, typer.Option(help="The run; the suite is trained beside it, in OUT-suite.")] = Path(
        "runs/demo"
    ),
) -> None:
    """Train a small real suite, probe it, analyse it, write the report. No network, under five minutes."""
    from phasescope.demo import run_demo
    from phasescope.reports import listings

    finished = run_demo(out)
    listings.show(listings.findings_view(finished.findings, out, finished.run.sizes[-1], finished.report))


@app.command(epilog="Example: phasescope train runs/nursery --sizes 400k,1m --seeds 1,2,3 --steps 512")
def train(
    out: Annotated[Path, typer.Argument(help="The folder of the suite.", metavar="OUT", show_default=False)],
    texts: Annotated[str, typer.Option(help="What to train on: a file, docs, or a data set on the hub.")] = "docs",
    sizes: Annotated[str, typer.Option(help="Sizes, joined by commas.")] = "400k,1m",
    seeds: Annotated[str, typer.Option(help="Seeds, joined by commas: initialisation and data order.")] = "1,2,3",
    steps: Annotated[int, typer.Option(help="Updates of the weights.")] = 512,
    batch: Annotated[int, typer.Option(help="Sequences in one update.")] = 8,
    context: Annotated[int, typer.Option(help="Tokens in one sequence.")] = 128,
    vocabulary: Annotated[int, typer.Option(help="Entries of the tokenizer that is trained on the text.")] = 2048,
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest, after warm-up.", show_default="by width")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    json_: Json = False,
) -> None:
    """The nursery: train small models of several sizes and seeds, with log-spaced checkpoints. Resumes by itself."""
    from phasescope.reports import listings
    from phasescope.suites import train as train_suite
    from phasescope.texts import read_documents

    suite = train_suite(
        out,
        (document.text for document in read_documents(texts)),
        sizes=_names(sizes),
        seeds=_numbers(seeds, "--seeds"),
        device=device,
        steps=steps,
        batch=batch,
        context=context,
        vocabulary=vocabulary,
        learning_rate=learning_rate,
    )
    _tell({"suite": str(out), "checkpoints": len(suite)}, json_, lambda: listings.suite_view(suite))


@app.command(epilog="Example: phasescope capture runs/nursery --out runs/probed --sites attn_out,mlp_out")
def capture(
    suite: SuiteName,
    out: Annotated[Path, typer.Option(help="The folder of the run.", show_default=False)],
    texts: Texts = None,
    sites: Annotated[
        str, typer.Option(help="Components or sites, joined by commas: mlp_out, L3.z, blocks.3.hook_resid_post.")
    ] = "attn_out,mlp_out,ov_out",
    sizes: Sizes = None,
    seeds: Seeds = None,
    steps: Steps = "all",
    sequences: Annotated[int, typer.Option(help="Token windows to read.")] = 128,
    context: Annotated[
        int | None, typer.Option(help="Tokens in each.", show_default="256, or what models allow")
    ] = None,
    output_sequences: Annotated[int, typer.Option(help="How many of them feed surprisal, entropy and KL.")] = 18,
    positions: Annotated[str, typer.Option(help="Which positions to sample: last, all, or so many of each.")] = "last",
    seed: Annotated[int, typer.Option(help="Of the choice of windows and positions.")] = 0,
    engine: Annotated[str, typer.Option(help="torch, transformer_lens or nnsight.")] = "torch",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")] = "auto",
    dtype: Annotated[str | None, typer.Option(help="What models compute in.", show_default="as stored")] = None,
    storage: Annotated[str, typer.Option(help="float32, or float16 for half the disk.")] = "float32",
    batch: Annotated[int | None, typer.Option(help="Sequences at once.", show_default="8 on a CPU, else 32")] = None,
    outputs: Annotated[bool, typer.Option(help="Surprisal and entropy of the next token.")] = True,
    compare_seeds: Annotated[bool, typer.Option(help="KL between the seeds of each size.")] = True,
    keep_weights: Annotated[bool, typer.Option(help="Keep weight matrices, not their spectra alone.")] = False,
    json_: Json = False,
) -> None:
    """Visit every checkpoint of a suite and record it. Does only what is missing; a bad checkpoint is passed over."""
    from phasescope.probes import Probes
    from phasescope.reports import terminal
    from phasescope.run import open_run
    from phasescope.store import RunFolder
    from phasescope.suites import open_suite
    from phasescope.visits import Request, capture_into

    probes = Probes(tuple(_names(sites)), outputs, compare_seeds, keep_weights, engine, device, dtype, storage, batch)
    request = Request(texts, sequences, context, output_sequences, _positions(positions), seed, probes)
    chosen = open_suite(suite).select(
        sizes=None if sizes is None else _names(sizes),
        seeds=None if seeds is None else _numbers(seeds, "--seeds"),
        steps=steps,
    )
    done = capture_into(chosen, RunFolder(out), request)
    _tell({"run": str(out), **done.as_record()}, json_, lambda: terminal.capture_summary(open_run(out)))
    if done.nothing_works:
        raise PhasescopeError(f"None of the {len(done.visits)} checkpoints could be read: the reasons are above.")


@app.command(epilog="Example: phasescope analyse runs/demo convergence rank --csv")
def analyse(
    run: RunPath,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="convergence, rank, surprisal, seeds.", metavar="[NAME ...]", show_default="all"),
    ] = None,
    tau: Annotated[
        str, typer.Option(help="CKA at which a layer counts as settled; several joined by commas.")
    ] = "0.8,0.9,0.95",
    resamples: Annotated[int, typer.Option(help="Of the bootstrap over sequences.")] = 500,
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 0,
    csv: Annotated[bool, typer.Option("--csv", help="Write each table as .csv too.")] = False,
    json_: Json = False,
) -> None:
    """Run all analyses, or the named ones; tables go to RUN/results."""
    from rich.console import Group

    from phasescope.analyses import ANALYSES, Options
    from phasescope.reports import terminal
    from phasescope.run import open_run

    options = Options(resamples, level, seed, tuple(_fractions(tau, "--tau")))
    opened = open_run(run)
    tables = opened.analyse(*(names or []), options=options, csv=csv)
    tau_shown = 0.9 if 0.9 in options.taus else options.taus[0]
    shown = [name for name in ANALYSES if not names or name in names]
    _tell(
        _records(tables),
        json_,
        lambda: Group(
            *(terminal.table_view(name, tables.__getitem__, tau=tau_shown) for name in shown),
            f"Tables: {opened.path / 'results'}",
        ),
    )


@app.command(epilog="Example: phasescope report runs/demo")
def report(
    run: RunPath,
    out: Annotated[Path | None, typer.Option(help="The page.", show_default="RUN/report/index.html")] = None,
) -> None:
    """Write the HTML report: one page that opens offline."""
    from phasescope.run import open_run

    print(open_run(run).report(out))


@app.command(epilog="Example: phasescope layer runs/demo 1 mlp_out --size 1m")
def layer(
    run: RunPath,
    number: Annotated[int, typer.Argument(help="The layer, counted from 0.", metavar="LAYER")],
    component: Annotated[str, typer.Argument(help="attn_out, mlp_out, ov_out, …", metavar="COMPONENT")],
    size: Annotated[str | None, typer.Option(help="Which size; needed where there are several.")] = None,
    head: Annotated[int | None, typer.Option(help="One head of a component that has heads.")] = None,
    json_: Json = False,
) -> None:
    """One layer in the terminal: convergence, settling and rank along training."""
    from phasescope.reports import terminal
    from phasescope.run import open_run

    opened = open_run(run).layer(number, component, size=size, head=head)
    tables = {
        "convergence": opened.convergence(),
        "settling": opened.settling(),
        "effective_rank": opened.effective_rank(),
    }
    _tell(
        _records(tables),
        json_,
        lambda: terminal.layer_view(
            tables["convergence"], tables["settling"], str(opened), rank=tables["effective_rank"]
        ),
    )


@app.command(epilog="Example: phasescope info runs/demo")
def info(run: RunPath, json_: Json = False) -> None:
    """What a run holds, and how it was made."""
    from phasescope.reports import terminal
    from phasescope.run import open_run

    opened = open_run(run)
    _tell(opened.manifest, json_, lambda: terminal.run_info(opened))


@app.command(epilog="Example: phasescope verify runs/demo")
def verify(run: RunPath, json_: Json = False) -> None:
    """Re-read every byte of a run and say what does not fit."""
    from phasescope.reports import listings
    from phasescope.store import RunFolder
    from phasescope.store import verify as verify_run

    findings = list(verify_run(RunFolder(run)))
    problems = [finding for finding in findings if finding.problem]
    record = {"files": len(findings), "problems": [{"path": str(f.path), "problem": f.problem} for f in problems]}
    _tell(record, json_, lambda: listings.verify_view(findings))
    if problems:
        raise typer.Exit(1)


@app.command(epilog="Example: phasescope suites polypythia")
def suites(
    suite: Annotated[
        str | None, typer.Argument(help="One of them, or a folder or repository.", metavar="SUITE")
    ] = None,
    json_: Json = False,
) -> None:
    """The suites that are known by name; or the sizes, seeds and steps of one."""
    from phasescope.reports import listings
    from phasescope.suites import PRESETS, open_suite

    if suite is None:
        known = {name: asdict(preset) for name, preset in PRESETS.items()}
        _tell(known, json_, lambda: listings.presets_view(PRESETS.values()))
    else:
        opened = open_suite(suite)
        record = {"family": opened.family, "checkpoints": [asdict(checkpoint) for checkpoint in opened]}
        _tell(record, json_, lambda: listings.suite_view(opened))


def _tell(record: object, as_json: bool, view: Callable[[], RenderableType]) -> None:
    """Print the record as JSON, or what people look at."""
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
        return
    from phasescope.reports import listings

    listings.show(view())


def _records(tables: dict[str, DataFrame]) -> dict[str, Any]:
    return {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in _names(text)]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers such as 1,2,3", param_hint=option) from error


def _fractions(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in _names(text)]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.8,0.9", param_hint=option) from error


def _positions(text: str) -> str | int:
    return int(text) if text.isdigit() else text


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
