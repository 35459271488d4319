"""The batches that a model of the nursery was trained on, told again from the suite's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.suites.corpus import Corpus
from phasescope.suites.provenance import Provenance
from phasescope.suites.recipe import Recipe
from phasescope.suites.suite import Checkpoint
from phasescope.suites.training import Windows

if TYPE_CHECKING:
    from jaxtyping import Int
    from torch import Tensor


def training_batches(checkpoint: Checkpoint, around: int) -> dict[int, Int[Tensor, "batch context+1"]]:
    """The batches of the updates from `around` before a checkpoint's step to `around` after it, by step.

    The batch of step n is that of the update which leads from n to n + 1; there is none before 0 or after the end of
    training. Raises `PhasescopeError` for a checkpoint whose batches nobody knows: one that the nursery did not train.
    """
    folder = _nursery_of(checkpoint)
    found = Provenance.read(folder) if folder else None
    if folder is None or found is None:
        raise PhasescopeError(
            f"The batches that {checkpoint.label} was trained on are not known: only suites of phasescope train tell "
            "them. Choose --gradients inputs, with --texts from the training text if that is what you are after."
        )
    recipe = Recipe.of(found.recipe)
    windows = Windows(Corpus(folder).tokens, recipe.context, recipe.batch, checkpoint.seed)
    steps = range(max(checkpoint.step - around, 0), min(checkpoint.step + around + 1, recipe.steps))
    return {step: windows.at(step) for step in steps}


def _nursery_of(checkpoint: Checkpoint) -> Path | None:
    """The folder of the suite, `<size>/seed<k>/step<n>/` above the checkpoint; None if no nursery is there."""
    if not checkpoint.is_local or len(Path(checkpoint.location).parents) < 3:
        return None
    folder = Path(checkpoint.location).parents[2]
    return folder if all((folder / name).is_file() for name in ("suite.json", "tokens.npy")) else None
