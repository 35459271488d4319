"""Pieces of a run's own text whose last tokens are looked at through the lens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.texts.items.items import Items, join

if TYPE_CHECKING:
    from phasescope.texts import Inputs

KIND, TRAINING = "lens", "training"
TRANSLATED = "translators"
"""In the name of a set that is looked at through translators of the file that is its source."""
TOKENS = 256
"""Looked at unless it is said."""
_SEQUENCES, _BEFORE = 32, 56
# Tokens that train translators, for each that is looked at.
_TRAINING = 8
FEWEST = 8
"""Tokens of a sequence of which some have text before them."""


def passages(inputs: Inputs, tokens: int = TOKENS, *, name: str, source: str, train: bool = False) -> Items:
    """One set: the beginnings of up to 32 sequences of the run, spread over all of them, whose last tokens are scored.

    56 tokens stand before the scored ones (fewer where the context is shorter), so that models know where they are.

    Args:
        tokens: scored in all, as near as sequences of equal shares come to it.
        name, source: of the set.
        train: add other sequences of the run, all of whose tokens but the first train translators (`training` is 1).

    Raises:
        PhasescopeError: the context is too short, or no sequence is left to train on.
    """
    context = inputs.context
    if context < FEWEST:
        raise PhasescopeError(
            f"The lens looks at tokens that have some text before them, and the sequences of this run have {context}: "
            f"capture with a --context of at least {FEWEST}, or leave lens out of --behaviour."
        )
    # With training, at least as many sequences are left for it.
    there = inputs.sequences // 2 if train else inputs.sequences
    sequences = min(_SEQUENCES, there, tokens)
    if sequences < 1:
        raise PhasescopeError("Translators are trained on sequences that are not scored: capture two or more.")
    each = min(-(-tokens // sequences), context // 2)
    length = min(context, _BEFORE + each)
    chosen = np.linspace(0, inputs.sequences - 1, sequences).round().astype(np.int64)
    rows = [inputs.tokens[row, :length] for row in chosen]
    spans, training = [(length - each, length)] * sequences, [0] * sequences
    if train:
        wanted, length = _TRAINING * each * sequences, min(context, 2 * _BEFORE)
        left = np.setdiff1d(np.arange(inputs.sequences), chosen)
        others = left[
            np.linspace(0, len(left) - 1, min(len(left), -(-wanted // (length - 1)))).round().astype(np.int64)
        ]
        rows += [inputs.tokens[row, :length] for row in others]
        spans += [(1, length)] * len(others)
        training += [1] * len(others)
        chosen = np.concatenate([chosen, others])
    return join(KIND, name, rows, spans, {"sequence": chosen.tolist(), TRAINING: training}, source)
