"""What several commands share: their options, how lists are read, and how results are printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame
    from rich.console import RenderableType

    from phasescope.run import Run

RunPath = Annotated[Path, typer.Argument(help="The folder of a run.", metavar="RUN", show_default=False)]
TablesOf = Annotated[
    Path | None,
    typer.Option(
        "--tables",
        help="Where analyse --out put the tables of a run that may only be read.",
        metavar="FOLDER",
        show_default="RUN",
    ),
]
KeepSuspect = Annotated[
    bool,
    typer.Option(
        "--keep-suspect", help="Keep checkpoints that certainly are not what their names say (phasescope audit RUN)."
    ),
]
Axis = Annotated[
    str | None,
    typer.Option(
        help="What is counted along training: tokens, or tokens=N, where a step reads N and names do not tell it.",
        metavar="steps|tokens[=N]",
        show_default="what the run counts",
    ),
]
SuiteName = Annotated[
    str,
    typer.Argument(
        help="A folder or folder@pattern, a preset, on the hub owner/name, owner/name@pattern, owner/name@commits:, "
        "owner/name@folders:, owner/early+owner/late or owner/name-{size}-seed{seed}, or transformer_lens:NAME.",
        metavar="SUITE",
    ),
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
CacheLimit = Annotated[
    str | None,
    typer.Option(
        help="What may lie in the hub's cache of what is fetched for this: 50GB. Visited checkpoints make room.",
        show_default="everything is kept",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="How many work at once: as many as cores, or one per GPU.", show_default="1; all that a cluster has"
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        help="A Ray cluster whose nodes do the work: auto, local, ray://HOST:10001 or HOST:6379.",
        metavar="ADDRESS",
        show_default="this machine",
    ),
]
MovedSuite = Annotated[
    str | None,
    typer.Option(
        help="Where the checkpoints are: a suite as for capture. One on the hub has to be named.",
        metavar="SUITE",
        show_default="the folder they were captured from",
    ),
]
Engine = Annotated[str, typer.Option(help="torch, transformer_lens or nnsight.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Dtype = Annotated[
    str | None,
    typer.Option(help="What models compute in: float32, float16, bfloat16 or float64.", show_default="as stored"),
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run Python code that comes with a checkpoint.")
]
Behaviour = Annotated[
    list[str] | None,
    typer.Option(
        help="What else the models are asked: minimal_pairs (a small set of ours), minimal_pairs=FILE (or a folder of "
        "BLiMP's), noise, noise=swap,0.05,0.2, multiple_choice=TASK (BIG-Bench's .json, lm-evaluation-harness' .yaml "
        "or samples_*.jsonl; TASK:5 for five shots), heads, lens, lens=FILE (translators), all. Again for each.",
        metavar="KIND[=FILE]",
        show_default=False,
    ),
]


def tell(record: object, as_json: bool, view: Callable[[], RenderableType]) -> None:
    """Print the record as JSON, or what people look at."""
    if as_json:
        print(json.dumps(record, ensure_ascii=False))
        return
    from phasescope.reports import listings

    listings.show(view())


def suspects_first(run: Run) -> list[RenderableType]:
    """Which checkpoints are suspect, for the top of what is shown of a run; nothing where none is."""
    from phasescope.reports.kit.cells import plain

    return [plain(run.reader.suspects_note), ""] if run.reader.suspects else []


def records(tables: dict[str, DataFrame]) -> dict[str, Any]:
    return {name: json.loads(table.to_json(orient="records")) for name, table in tables.items()}


def names_in(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers_in(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in names_in(text)]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers such as 1,2,3", param_hint=option) from error


def seeds_in(text: str) -> list[int | str]:
    """Seeds by number, or by name where a suite calls them so."""
    return [int(part) if part.isdecimal() else part for part in names_in(text)]


def fractions_in(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in names_in(text)]
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a list of numbers such as 0.8,0.9", param_hint=option) from error


def positions_of(text: str) -> str | int:
    return int(text) if text.isdigit() else text
