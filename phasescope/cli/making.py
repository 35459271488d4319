"""Commands that make something: a suite, a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasescope.cli.app import command
from phasescope.cli.options import (
    Behaviour,
    CacheLimit,
    Cluster,
    Device,
    Dtype,
    Engine,
    Json,
    MovedSuite,
    RunPath,
    Seeds,
    Sizes,
    Steps,
    SuiteName,
    Texts,
    TrustRemoteCode,
    Workers,
    names_in,
    positions_of,
    seeds_in,
    tell,
)
from phasescope.console import none_of
from phasescope.errors import PhasescopeError


@command("index corpus.txt --out corpus-index", long=True)
def index(
    corpus: Annotated[
        str,
        typer.Argument(
            help="A text, as for capture, or the folder of a suite from the nursery.",
            metavar="CORPUS",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder of the index.", show_default=False)],
    tokenizer: Annotated[
        str | None,
        typer.Option(help="A folder with a tokenizer.json: index tokens instead of words.", show_default=False),
    ] = None,
    json_: Json = False,
) -> None:
    """Index a corpus, so that analyses can count n-grams in it: --reference INDEX."""
    from dataclasses import asdict

    from phasescope.analyses.heuristics.references import build_from
    from phasescope.reports import listings

    about = build_from(corpus, out, tokenizer).description
    tell({"index": str(out), **asdict(about)}, json_, lambda: listings.index_view(about, out))


@command("capture runs/nursery --out runs/probed --sites attn_out,mlp_out", long=True)
def capture(
    suite: SuiteName,
    out: Annotated[Path, typer.Option(help="The folder of the run.", show_default=False)],
    texts: Texts = None,
    sites: Annotated[
        str | None,
        typer.Option(
            help="Components or sites, joined by commas: mlp_out, L3.z, blocks.3.hook_resid_post.",
            show_default="attn_out,mlp_out,ov_out; of Mamba mixer_out",
        ),
    ] = None,
    module: Annotated[
        list[str] | None,
        typer.Option(
            help="A site by module path, for architectures that are not known: 'model.layers.{layer}.mlp=mlp_out'. "
            "Again for each site.",
            metavar="PATH=COMPONENT",
            show_default=False,
        ),
    ] = None,
    sizes: Sizes = None,
    seeds: Seeds = None,
    steps: Steps = "all",
    sequences: Annotated[int, typer.Option(help="Token windows to read.")] = 128,
    context: Annotated[
        int | None, typer.Option(help="Tokens in each.", show_default="256, or what models allow")
    ] = None,
    output_sequences: Annotated[
        int | None,
        typer.Option(help="How many of them feed surprisal, entropy and KL.", show_default="18, or all if fewer"),
    ] = None,
    positions: Annotated[str, typer.Option(help="Which positions to sample: last, all, or so many of each.")] = "last",
    seed: Annotated[int, typer.Option(help="Random seed of the choice of windows and positions.")] = 0,
    bos: Annotated[
        str,
        typer.Option(
            help="Begin windows with the beginning-of-text token: auto (as the tokenizer itself does), always or never."
        ),
    ] = "auto",
    engine: Engine = "torch",
    remote: Annotated[bool, typer.Option("--remote", help="Read on NDIF; with --engine nnsight.")] = False,
    device: Device = "auto",
    dtype: Dtype = None,
    storage: Annotated[
        str, typer.Option(help="What is kept of activations: float32, or float16 for half the disk.")
    ] = "float32",
    batch: Annotated[int | None, typer.Option(help="Sequences at once.", show_default="8 on a CPU, else 32")] = None,
    outputs: Annotated[bool, typer.Option(help="Surprisal and entropy of the next token.")] = True,
    compare_seeds: Annotated[bool, typer.Option(help="KL between the seeds of each size.")] = True,
    compare: Annotated[
        str | None,
        typer.Option(
            help="KL across steps (each with the last and the one before), across sizes, or steps,sizes.",
            show_default="seeds only",
        ),
    ] = None,
    next_byte: Annotated[
        bool, typer.Option("--next-byte", help="Keep what other tokenizers can be compared by: the next byte.")
    ] = False,
    keep_weights: Annotated[bool, typer.Option(help="Keep weight matrices too; their spectra always are.")] = False,
    gradients: Annotated[
        str | None,
        typer.Option(
            help="Gradients of the loss, on the inputs or on the training batches around each step (nursery).",
            metavar="inputs|training",
            show_default="none",
        ),
    ] = None,
    gradient_sequences: Annotated[
        int | None,
        typer.Option(help="Windows of the inputs that are read for gradients.", show_default="32, or all if fewer"),
    ] = None,
    gradient_batches: Annotated[
        int | None, typer.Option(help="Batches into which these windows are cut.", show_default="8, or all if fewer")
    ] = None,
    keep_gradients: Annotated[bool, typer.Option(help="Keep gradient matrices too; their spectra always are.")] = False,
    probe: Annotated[
        list[str] | None,
        typer.Option(
            help="A probe of an installed plug-in (phasescope plugins lists them), in the same pass. Again for each.",
            metavar="PACKAGE:NAME",
            show_default=False,
        ),
    ] = None,
    behaviour: Behaviour = None,
    cache_limit: CacheLimit = None,
    workers: Workers = None,
    cluster: Cluster = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="A folder with the models' config.json, for weights that lie without one (.pt, .ckpt, .distcp).",
            metavar="FOLDER",
            show_default="beside the weights or in a folder above",
        ),
    ] = None,
    prefix: Annotated[
        str, typer.Option(help="What stands before the names of such weights: model.", show_default="found out")
    ] = "",
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
) -> None:
    """Visit every checkpoint of a suite and record it. Does only what is missing; a bad checkpoint is passed over."""
    from phasescope.probes import Probes
    from phasescope.reports.runs import capture_summary
    from phasescope.run import open_run
    from phasescope.store import RunFolder
    from phasescope.suites import open_suite
    from phasescope.suites.room import bytes_in
    from phasescope.visits import Request, capture_into
    from phasescope.workers import Workforce

    probes = Probes(
        sites=None if sites is None else tuple(names_in(sites)),
        outputs=outputs,
        compare_seeds=compare_seeds,
        next_byte=next_byte,
        keep_weights=keep_weights,
        engine=engine,
        device=device,
        dtype=dtype,
        storage=storage,
        batch=batch,
        modules=tuple(module or ()),
        remote=remote,
        trust_remote_code=trust_remote_code,
        gradients=gradients,
        gradient_sequences=gradient_sequences,
        gradient_batches=gradient_batches,
        keep_gradients=keep_gradients,
        probe=tuple(probe or ()),
    )
    request = Request(
        texts, sequences, context, output_sequences, positions_of(positions), seed, probes, tuple(behaviour or ()), bos
    )
    chosen = open_suite(suite, config=config, prefix=prefix, sizes=names_in(sizes or "")).select(
        sizes=None if sizes is None else names_in(sizes),
        seeds=None if seeds is None else seeds_in(seeds),
        steps=steps,
    )
    limit = None if cache_limit is None else bytes_in(cache_limit)
    done = capture_into(chosen, RunFolder(out), request, limit, names_in(compare or ""), Workforce(workers, cluster))
    record = {"run": str(out), **done.as_record(), "audit": open_run(out).audit_records()} if json_ else {}
    tell(record, json_, lambda: capture_summary(open_run(out)))
    if done.nothing_works:
        raise PhasescopeError(f"{none_of(len(done.visits), 'checkpoint')} could be read: the reasons are above.")


@command("visit runs/demo --behaviour minimal_pairs=blimp/", long=True)
def visit(
    run: RunPath,
    behaviour: Behaviour = None,
    suite: MovedSuite = None,
    engine: Engine = "torch",
    device: Device = "auto",
    batch: Annotated[
        int | None, typer.Option(help="Sequences of 256 tokens at once.", show_default="8 on a CPU, else 32")
    ] = None,
    cache_limit: CacheLimit = None,
    workers: Workers = None,
    cluster: Cluster = None,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
) -> None:
    """Ask the checkpoints of a run for behaviour that they were not asked for when they were captured."""
    from phasescope.probes import Probes
    from phasescope.reports.runs import visit_summary
    from phasescope.run import open_run
    from phasescope.store import RunFolder
    from phasescope.suites.room import bytes_in
    from phasescope.visits import revisit
    from phasescope.workers import Workforce

    limit = None if cache_limit is None else bytes_in(cache_limit)
    probes = Probes(engine=engine, device=device, batch=batch, trust_remote_code=trust_remote_code)
    done = revisit(RunFolder(run), tuple(behaviour or ()), probes, suite, limit, Workforce(workers, cluster))
    tell({"run": str(run), **done.as_record()}, json_, lambda: visit_summary(open_run(run), done.as_record()))
    if done.nothing_works:
        raise PhasescopeError(f"{none_of(len(done.visits), 'checkpoint')} could be asked: the reasons are above.")


@command("compare runs/demo --across steps", long=True)
def compare(
    run: RunPath,
    across: Annotated[str, typer.Option(help="steps, sizes, or both joined by a comma.")] = "steps,sizes",
    suite: MovedSuite = None,
    device: Device = "auto",
    workers: Workers = None,
    cluster: Cluster = None,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
) -> None:
    """KL across the steps of each training and across sizes, of a run that was captured. No model is run again."""
    from phasescope.reports import listings
    from phasescope.store import RunFolder
    from phasescope.visits import compare_run
    from phasescope.workers import Workforce

    found = compare_run(
        RunFolder(run),
        names_in(across),
        suite=suite,
        device=device,
        trust_remote_code=trust_remote_code,
        workers=Workforce(workers, cluster),
    )
    tell({"run": str(run), **found.as_record()}, json_, lambda: listings.compared_view(found, run))
    if found.left_out and not found.made and not found.already:
        raise PhasescopeError(f"{none_of(found.left_out, 'comparison')} could be made: the reasons are above.")
