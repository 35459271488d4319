"""Tables of how far apart models are, of a made-up suite that learns word frequencies by step 16, then leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from phasescope.analyses.reader import as_table
from phasescope.analyses.seeds.columns import (
    KL_ACROSS,
    NEXT_BYTE,
    REFERENCES,
    SEEDS_BY,
    SEEDS_BY_CONTRASTS,
    SEEDS_BY_PEAKS,
    TURNS,
)

GROUPS = {
    "frequency": ("10 to 100 per million", "100 to 1000 per million", "frequent", "rare"),
    "pos": ("function", "content", "NOUN", "VERB", "ADJ"),
}
TURN = 16


def seed_tables(sizes: Sequence[str], seeds: Sequence[int], steps: Sequence[int]) -> dict[str, pd.DataFrame]:
    """Every table of the analysis but `seeds` and `seed_pairs`."""
    several = len(seeds) > 1
    along = {step: float(np.log2(1.0 + step)) for step in steps}
    references = [
        (size, seed, step, 0.3 * along[step], 0.2, 9.0, 0.2 + abs(along[step] - 4) / 2, 0.1, 9.0, 0.95, 18, 4590, "")
        for size, seed, step in product(sizes, seeds, steps)
    ]
    turns = [
        (size, TURN, 8, 32, 2.2, 0.2, 3.2, 2.0, 1.9, 2.1, 3.0, 2.9, 3.1, 0.1, steps[-1], 0.9, 0.8, 0.7, 0.9, True,
         several, 0.95, len(seeds))
        for size in sizes if len(steps) > 2
    ]  # fmt: skip
    groups = [(by, name) for by, names in GROUPS.items() for name in names]
    by_group = [
        (size, step, by, name, 0.1 * place + 0.1 * along[step], 0.05, 9.0, 0.95, 20 if name == "ADJ" else 800, 18)
        for size in sizes
        for place, (by, name) in enumerate(groups)
        for step in steps
        if several
    ]
    peaks = [
        (size, by, name, TURN, steps[-1], steps[-1], steps[-1], 1.0, steps[-1], 1.0, 1.0, 1.0, 1.0, True, 0.95, 800)
        for size in sizes
        for by, name in groups
        if several
    ]
    contrasts = [
        (size, "pos", "function", "content", "last_kl", 0.3, 0.5, -0.2, -0.25, -0.15, 0.95) for size in sizes if several
    ]
    across = [
        (relation, size, seed, step, size, steps[-1], 2 - 0.1 * along[step], 0.1, 3.0, 2.0, 1.9, 2.1, 0.95, 18, 4590)
        for relation in ("last", "previous")
        for size, seed, step in product(sizes, seeds, steps)
    ]
    across += [
        ("size", sizes[0], seed, step, other, step, 0.5, 0.4, 0.6, 0.5, 0.4, 0.6, 0.95, 18, 4590)
        for other, seed, step in product(sizes[1:], seeds, steps)
    ]
    nan = float("nan")
    bytes_ = [
        ("seeds", size, "", size, step, 0.1 + 0.01 * along[step], 0.05, 0.9, nan, nan, nan, 0.95, 6, 4590, 18, 0.0)
        for size, step in product(sizes, steps)
    ]
    return {
        "references": as_table(references, REFERENCES),
        "reference_turns": as_table(turns, TURNS),
        "seeds_by": as_table(by_group, SEEDS_BY),
        "seeds_by_peaks": as_table(peaks, SEEDS_BY_PEAKS),
        "seeds_by_contrasts": as_table(contrasts, SEEDS_BY_CONTRASTS),
        "kl_across": as_table(across, KL_ACROSS),
        "next_byte": as_table(bytes_, NEXT_BYTE),
    }
