"""The nursery: a suite of small language models of several sizes and seeds, trained on a given text."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from phasescope.errors import BadArgumentError, PhasescopeWarning
from phasescope.store import remove_leftovers, sole_writer
from phasescope.suites.corpus import Corpus, Text
from phasescope.suites.device import resolve_device
from phasescope.suites.local import open_local
from phasescope.suites.provenance import Provenance
from phasescope.suites.reading import quiet_transformers
from phasescope.suites.recipe import Recipe
from phasescope.suites.shapes import find_shape
from phasescope.suites.suite import Suite
from phasescope.suites.trainee import Trainee
from phasescope.suites.training import Windows, deterministic
from phasescope.suites.trainings import train_all


def train(
    out: str | Path,
    documents: Iterable[str],
    *,
    sizes: str | Sequence[str] = ("400k", "1m"),
    seeds: int | Sequence[int] = (1, 2, 3),
    device: str = "auto",
    state_seconds: float = 20.0,
    **options: Any,
) -> Suite:
    """Train small language models of several sizes and seeds on a text, with checkpoints all along.

    Each checkpoint is an ordinary Hugging Face folder, `<out>/<size>/seed<k>/step<n>/`, with the tokenizer that
    was trained on the same text. The seed sets the initialisation and the order of the data, and nothing else does:
    the same call gives the same weights, bit for bit, on the same machine. The end of the text is held out and
    written to `<out>/heldout.jsonl`; `<out>/token_counts.npy` counts the tokens trained on; `<out>/suite.json`
    says how all was made.

    Killed and called again, it goes on from where it was, to the same weights; called again when all is there, it
    trains nothing. Sizes and seeds can be added by a later call. Progress is shown on stderr.

    Args:
        out: the suite's folder: new, empty, or one that this function began.
        documents: the text, one string for each document; read once.
        sizes: names in `phasescope.suites.shapes.SHAPES`.
        seeds: whole numbers from 0.
        device: `cpu`, `cuda`, …; `auto` takes a GPU if there is one.
        state_seconds: how often what is needed to go on after a kill is saved.
        options: of the recipe, by name: `steps`, `batch`, `vocabulary`, … (`phasescope.suites.recipe.Recipe`).

    Raises `PhasescopeError` if an option makes no sense, if the text is too short, if `out` cannot be written,
    holds something else or was begun with other options or another text, or if training diverges.

    >>> train("runs/nursery", documents, sizes=["400k", "1m"], seeds=[1, 2, 3], steps=512)  # doctest: +SKIP
    Suite(nursery: 2 sizes × 3 seeds × 11 steps = 66 checkpoints, from runs/nursery)
    """
    if isinstance(documents, str):
        raise ValueError("documents is one string: give an iterable of strings, one for each document")
    recipe = Recipe.of(options)
    wanted_sizes = dict.fromkeys([sizes] if isinstance(sizes, str) else sizes)
    shapes = [find_shape(size, recipe.architecture) for size in wanted_sizes]
    wanted_seeds = [_checked_seed(seed) for seed in dict.fromkeys([seeds] if isinstance(seeds, int) else seeds)]
    if not (shapes and wanted_seeds):
        raise BadArgumentError("There is nothing to train: name at least one size and one seed.")
    device = resolve_device(device)
    folder = Path(out).expanduser()
    with sole_writer(folder, "training", "folder"), quiet_transformers(), deterministic():
        before = Provenance.read(folder)
        remove_leftovers(folder)
        text = Text.read(documents, recipe)
        now = Provenance.of(recipe, shapes, wanted_seeds, text, device)
        corpus = _corpus(folder, text, recipe, before, now)
        trainees = [
            Trainee(
                folder=folder / shape.name / f"seed{seed}",
                shape=shape,
                seed=seed,
                recipe=recipe,
                windows=Windows(corpus.tokens, recipe.context, recipe.batch, seed),
                tokenizer=corpus.tokenizer,
                device=device,
                state_seconds=state_seconds,
            )
            for shape in shapes
            for seed in wanted_seeds
        ]
        unfinished = [trainee for trainee in trainees if trainee.missing()]
        if before and unfinished and (changes := before.other_environment(now)):
            warnings.warn(
                f"{folder} was begun elsewhere ({changes}): the weights to come may differ in their last bits from "
                "those of an undisturbed training.",
                PhasescopeWarning,
                stacklevel=2,
            )
        train_all(unfinished)
        for trainee in trainees:
            trainee.tidy()
    return open_local(folder)


def _corpus(folder: Path, text: Text, recipe: Recipe, before: Provenance | None, now: Provenance) -> Corpus:
    """The text as tokens: written now, or by an earlier call that was asked for the same."""
    corpus = Corpus(folder)
    if before:
        before.require_same(now, folder)
    else:
        corpus.write(text, recipe)
    (before.joined(now) if before else now).write(folder)
    return corpus


def _checked_seed(seed: int) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**63:
        raise BadArgumentError(f"A seed is a whole number from 0 to 2**63 - 1, not {seed!r}.")
    return seed
