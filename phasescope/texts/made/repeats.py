"""Random tokens that are read twice, and random tokens that are not: a text in which heads can be told apart.

Tokens of one sequence are all different, so that a token stands in the second half where it stood in the first and
nowhere else. Each sequence has a twin with the same first half and a second half of other tokens: what heads do there
for reasons of position, they do without anything that repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.texts.items.items import Items, join

if TYPE_CHECKING:
    from jaxtyping import Int

KIND, NAME = "heads", "random_tokens"
SEQUENCES, PERIOD = 16, 50
# Fewer fall together: the token before, the one after, and the same.
_SHORTEST = 3
FEWEST = 2 * _SHORTEST + 2
"""Entries of a vocabulary of which such sequences can be made, with one to begin them."""
_SEED = 0


def repeated_items(begin: int, entries: Int[np.ndarray, "entries"], longest: int) -> Items:
    """One set of 16 repeated sequences and their 16 twins; the same for the same arguments.

    A sequence is `begin`, `period` tokens, as many again, and the one that comes next in the pattern. Scored are the
    tokens after those of the second half: what a head that goes by induction foretells.

    Args:
        begin: the token before every sequence.
        entries: of the vocabulary, from which tokens are drawn.
        longest: tokens that an item may have.

    Raises:
        PhasescopeError: too few entries or positions for three tokens that repeat.
    """
    entries = entries[entries != begin]
    period = min(PERIOD, (len(entries) - 1) // 2, (longest - 2) // 2)
    if period < _SHORTEST:
        raise PhasescopeError(
            f"Heads are scored on at least {_SHORTEST} random tokens that are read twice: that takes "
            f"{FEWEST - 1} entries of the vocabulary and {2 * _SHORTEST + 2} positions, and there are "
            f"{len(entries)} and {longest}. Leave heads out of --behaviour."
        )
    generator = np.random.default_rng(_SEED)
    sequences, repeated = [], []
    for _ in range(SEQUENCES):
        first, other, after = np.split(generator.permutation(entries)[: 2 * period + 1], [period, 2 * period])
        sequences += [np.concatenate([[begin], first, first, first[:1]])]
        sequences += [np.concatenate([[begin], first, other, after])]
        repeated += [1, 0]
    spans = [(period + 2, 2 * period + 2)] * len(sequences)
    columns = {"repeated": repeated, "sequence": np.repeat(np.arange(SEQUENCES), 2).tolist()}
    return join(KIND, NAME, sequences, spans, columns, f"{period} random tokens, read twice")
