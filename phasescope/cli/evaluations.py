"""Commands about behaviour that others measure: bring it in, or have it measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from phasescope.cli.app import command
from phasescope.cli.options import (
    Device,
    Dtype,
    Json,
    MovedSuite,
    RunPath,
    Seeds,
    Sizes,
    Steps,
    TrustRemoteCode,
    names_in,
    numbers_in,
    tell,
)
from phasescope.console import none_of
from phasescope.errors import PhasescopeError


@command("import runs/p160 results/*.json", name="import", long=True)
def import_(
    run: RunPath,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Results of lm-evaluation-harness (.json, or folders of them), tables (.csv, .tsv, .parquet).",
            metavar="FILES",
            show_default=False,
        ),
    ],
    size: Annotated[str | None, typer.Option(help="The size that is meant.", show_default="told by names")] = None,
    seed: Annotated[
        int | None, typer.Option(help="The seed that is meant.", show_default="told by names, or the only one")
    ] = None,
    step: Annotated[int | None, typer.Option(help="The step that is meant.", show_default="told by names")] = None,
    step_pattern: Annotated[
        str | None,
        typer.Option(
            help=r"Where names tell the step: a regular expression with (?P<step>\d+).", show_default="step512"
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Of several models that names tell: whose results are meant. Those of another than the run's are "
            "kept apart. Again for each.",
            metavar="NAME",
            show_default="the run's own",
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            help="What a column of a table is: step, size, seed, task, metric, value, stderr, low, high or shots. "
            "Again for each.",
            metavar="ROLE=NAME",
            show_default="told by its name",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Put results that were measured elsewhere beside the run's own curves, matched by size, seed and step."""
    from phasescope.reports.evaluations.terminal import import_view
    from phasescope.store import RunFolder
    from phasescope.visits.importing.importing import import_into

    done = import_into(
        RunFolder(run),
        files,
        size=size,
        seed=seed,
        step=step,
        step_pattern=step_pattern,
        model=model,
        columns=_columns(column or []),
    )
    tell(done.as_record(), json_, lambda: import_view(done, run))


@command("evaluate runs/demo --tasks arc_easy,piqa --limit 100", long=True)
def evaluate(
    run: RunPath,
    tasks: Annotated[str, typer.Option(help="Tasks or groups of lm_eval, joined by commas.", show_default=False)],
    limit: Annotated[
        float | None, typer.Option(help="Documents of each task, or such a part of them below 1.", show_default="all")
    ] = None,
    num_fewshot: Annotated[
        int | None, typer.Option(help="Examples in each prompt.", show_default="as each task says")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Sequences at once.")] = 8,
    include_path: Annotated[
        Path | None, typer.Option(help="A folder with tasks of your own (lm_eval's YAML files).", show_default=False)
    ] = None,
    suite: MovedSuite = None,
    sizes: Sizes = None,
    seeds: Seeds = None,
    steps: Steps = "all",
    device: Device = "auto",
    dtype: Dtype = None,
    trust_remote_code: TrustRemoteCode = False,
    json_: Json = False,
) -> None:
    """Run lm-evaluation-harness on each checkpoint of a run; needs phasescope[evaluate]. Resumes by itself."""
    from phasescope.reports.evaluations.terminal import evaluate_view
    from phasescope.store import RunFolder
    from phasescope.visits.importing.evaluating import Evaluation, evaluate_into
    from phasescope.visits.recorded import suite_of

    folder = RunFolder(run)
    asked = Evaluation(
        tuple(names_in(tasks)), limit, num_fewshot, batch_size, include_path, device, dtype, trust_remote_code
    )
    chosen = suite_of(folder.read_manifest(), suite).select(
        sizes=None if sizes is None else names_in(sizes),
        seeds=None if seeds is None else numbers_in(seeds, "--seeds"),
        steps=steps,
    )
    done = evaluate_into(folder, chosen, asked)
    tell(done.as_record(), json_, lambda: evaluate_view(done, run))
    if done.failed and not done.evaluated and not done.already:
        raise PhasescopeError(f"{none_of(len(done.failed), 'checkpoint')} could be read: the reasons are above.")


@command("learning-coefficient runs/demo --at full,layers", name="learning-coefficient", long=True)
def learning_coefficient(
    run: RunPath,
    at: Annotated[
        str,
        typer.Option(help="Weights to let free: full, layers, heads, or l0, l0h1, l0 attn, l0 mlp; joined by commas."),
    ] = "full",
    chains: Annotated[int, typer.Option(help="Chains around each checkpoint.")] = 4,
    draws: Annotated[int, typer.Option(help="Draws of each chain.")] = 48,
    batch_size: Annotated[int, typer.Option(help="Sequences that a draw reads.")] = 8,
    lr: Annotated[float, typer.Option(help="Size of a step, ε.")] = 1e-3,
    n_beta: Annotated[float, typer.Option(help="Inverse temperature, nβ.")] = 30.0,
    localization: Annotated[float, typer.Option(help="Pull back to the checkpoint, γ.")] = 300.0,
    seed: Annotated[int, typer.Option(help="Random seed of the draws.")] = 0,
    suite: MovedSuite = None,
    sizes: Sizes = None,
    seeds: Seeds = None,
    steps: Steps = "all",
    device: Device = "auto",
    json_: Json = False,
) -> None:
    """Draw weights around each checkpoint of a run, for its local learning coefficient; needs phasescope[learning]."""
    from phasescope.reports.learning_coefficient.terminal import drawn_view
    from phasescope.store import RunFolder
    from phasescope.visits.importing.weight_draws import Sampling, draw_into
    from phasescope.visits.recorded import suite_of

    folder = RunFolder(run)
    asked = Sampling(chains, draws, batch_size, lr, n_beta, localization, seed)
    chosen = suite_of(folder.read_manifest(), suite).select(
        sizes=None if sizes is None else names_in(sizes),
        seeds=None if seeds is None else numbers_in(seeds, "--seeds"),
        steps=steps,
    )
    done = draw_into(folder, chosen, names_in(at), asked, device)
    tell(done.as_record(), json_, lambda: drawn_view(done, run))
    if done.failed and not done.drawn and not done.already:
        raise PhasescopeError(f"{none_of(len(done.failed), 'checkpoint')} could be read: the reasons are above.")


def _columns(given: list[str]) -> dict[str, list[str]]:
    columns: dict[str, list[str]] = {}
    for text in given:
        role, equals, name = text.partition("=")
        if not (role and equals and name):
            raise typer.BadParameter(f"{text!r} is not ROLE=NAME, such as step=iteration", param_hint="--column")
        columns.setdefault(role.strip(), []).append(name)
    return columns
