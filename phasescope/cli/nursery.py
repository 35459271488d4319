"""Commands that make suites: train small ones, and go through all with one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasescope.cli.app import command
from phasescope.cli.options import (
    Device,
    Json,
    names_in,
    numbers_in,
    tell,
)


@command("demo --out runs/demo", long=True)
def demo(
    out: Annotated[Path, typer.Option(help="The run; the suite is trained beside it, in OUT-suite.")] = Path(
        "runs/demo"
    ),
) -> None:
    """Train a small real suite, probe it, analyse it, write the report. No network, some minutes."""
    from phasescope.demo import run_demo
    from phasescope.reports import listings

    finished = run_demo(out)
    listings.show(listings.findings_view(finished.findings, out, finished.run.sizes[-1], finished.report))


@command("train runs/nursery --sizes 400k,1m --seeds 1,2,3 --steps 512", long=True)
def train(
    out: Annotated[Path, typer.Argument(help="The folder of the suite.", metavar="OUT", show_default=False)],
    texts: Annotated[str, typer.Option(help="What to train on: a file, docs, or a data set on the hub.")] = "docs",
    architecture: Annotated[str, typer.Option(help="gpt_neox, gpt2, llama, olmoe, lfm2, mamba or rwkv.")] = "gpt_neox",
    sizes: Annotated[str, typer.Option(help="Sizes, joined by commas.")] = "400k,1m",
    seeds: Annotated[str, typer.Option(help="Seeds, joined by commas: initialisation and data order.")] = "1,2,3",
    steps: Annotated[int, typer.Option(help="Updates of the weights.")] = 512,
    batch: Annotated[int, typer.Option(help="Sequences in one update.")] = 8,
    context: Annotated[int, typer.Option(help="Tokens in one sequence.")] = 128,
    vocabulary: Annotated[int, typer.Option(help="Entries of the tokenizer that is trained on the text.")] = 2048,
    checkpoints: Annotated[
        str, typer.Option(help="Steps to save: all, log, every:100, or steps joined by commas; always the last.")
    ] = "log",
    learning_rate: Annotated[
        float | None, typer.Option(help="The highest learning rate, after warm-up.", show_default="by width")
    ] = None,
    schedule: Annotated[
        str,
        typer.Option(
            help="constant, constant_with_warmup, linear, cosine, cosine_with_min_lr (to a tenth) or "
            "warmup_stable_decay."
        ),
    ] = "cosine_with_min_lr",
    warmup: Annotated[float, typer.Option(help="Part of the steps in which the learning rate rises.")] = 0.1,
    decay: Annotated[float, typer.Option(help="Part of the steps in which warmup_stable_decay falls.")] = 0.2,
    weight_decay: Annotated[float, typer.Option(help="Weight decay, of matrices alone.")] = 0.1,
    device: Device = "auto",
    json_: Json = False,
) -> None:
    """The nursery: train small models of several sizes and seeds, with log-spaced checkpoints. Resumes by itself."""
    from phasescope.reports import listings
    from phasescope.suites import train as train_suite
    from phasescope.texts import read_documents

    suite = train_suite(
        out,
        (document.text for document in read_documents(texts)),
        sizes=names_in(sizes),
        seeds=numbers_in(seeds, "--seeds"),
        device=device,
        steps=steps,
        batch=batch,
        context=context,
        vocabulary=vocabulary,
        architecture=architecture,
        checkpoints=checkpoints,
        learning_rate=learning_rate,
        schedule=schedule,
        warmup=warmup,
        decay=decay,
        weight_decay=weight_decay,
    )
    tell({"suite": str(out), "checkpoints": len(suite)}, json_, lambda: listings.suite_view(suite))
