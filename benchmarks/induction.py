"""Do induction heads form, and are they found? Three seeds read texts whose order only a look back can tell.

Each document has a lexicon of its own: two to four pairs of letters, read in random order. What comes after the first
letter of a pair is known from where the pair was read before, and from nothing else: neither from the letters of other
documents, nor from how long ago it was. (Passages that are read in a cycle are learnt without induction: the next is
the one that was read longest ago.)

    python -m benchmarks induction [--sizes 150k,400k] [--out FOLDER]

takes some ten minutes of one core for three seeds of 150k, most of it training; `--out` keeps suite and run.
"""

from __future__ import annotations

import argparse
import string
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

import phasescope as ps
from phasescope.suites.nursery import train

LETTERS = np.array(list(string.ascii_letters + string.digits + "+-"))
SEEDS, STEPS = (1, 2, 3), 2000
RECIPE = {
    "architecture": "llama", "steps": STEPS, "batch": 32, "context": 64, "vocabulary": 257,
    "schedule": "constant_with_warmup", "warmup": 0.02, "weight_decay": 0.01, "checkpoints": "log,every:100",
}  # fmt: skip


def lexica(characters: int, seed: int = 0) -> Iterator[str]:
    """Documents of 400 letters: pairs out of a small lexicon, which is another in each."""
    generator = np.random.default_rng(seed)
    for _ in range(0, characters, 400):
        pairs = generator.choice(LETTERS, (generator.integers(2, 5), 2))
        yield "".join(pairs[generator.integers(0, len(pairs), 200)].ravel())


def main() -> None:
    """Train, capture, analyse; print when each seed's heads form. Exits with 1 where one is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    parser.add_argument("--sizes", default="150k")
    given = parser.parse_args(sys.argv[2:])
    with tempfile.TemporaryDirectory() as temporary:
        folder, sizes, begun = Path(given.out or temporary), given.sizes.split(","), time.process_time()
        suite = train(folder / "suite", lexica(STEPS * 32 * 64), sizes=sizes, seeds=SEEDS, device="cpu", **RECIPE)
        trained = time.process_time() - begun
        texts = folder / "suite" / "heldout.jsonl"
        run = ps.capture(suite, texts, folder / "run", sequences=32, output_sequences=8, behaviour="heads")
        bumps = run.table("induction_heads")
        run.report()
    strongest = bumps[bumps["head"].isna()]
    with pd.option_context("display.width", 160):
        print(strongest[["size", "seed", "highest", "highest_low", "highest_high", "forms_step", "low", "high"]])
        print(bumps[bumps["head"].notna()][["size", "seed", "layer", "head", "highest", "forms_step", "low", "high"]])
    whole = time.process_time() - begun
    print(f"training took {trained:.0f} s of processor time; with capture and analysis {whole:.0f} s")
    missed = strongest[strongest["forms_step"].isna()]
    if len(missed) or len(strongest) < len(sizes) * len(SEEDS):
        raise SystemExit(f"not found in {missed[['size', 'seed']].to_numpy().tolist()}")


if __name__ == "__main__":
    main()
