"""Do induction heads form, and are they found? Two sizes × three seeds read texts that only a look back can tell.

Documents are passages of 6 to 24 letters, no two of a passage alike, each read twice. The second time every letter is
known from what came after it the first time, and from nothing else: all letters are as frequent, and how long ago it
was is another in each passage. (Passages that are read in a cycle are learnt without induction: the next letter is the
one that was read longest ago. Where a lexicon of pairs is read in random order, heads form late.)

    python -m benchmarks induction [--sizes 150k,400k] [--out FOLDER]

takes some minutes of one core, most of it training; `--out` keeps suite, run and report.
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

LETTERS = np.array(list(string.ascii_lowercase + "012345"))
SEEDS, STEPS = (1, 2, 3), 600
RECIPE = {
    "architecture": "llama", "steps": STEPS, "batch": 32, "context": 64, "vocabulary": 257, "learning_rate": 8e-3,
    "schedule": "constant_with_warmup", "warmup": 0.08, "weight_decay": 0.01, "checkpoints": "log,every:50",
}  # fmt: skip


def passages(characters: int, seed: int = 0) -> Iterator[str]:
    """Documents of some 400 letters: passages, each read twice."""
    generator = np.random.default_rng(seed)
    while characters > 0:
        document = ""
        while len(document) < 400:
            document += "".join(generator.choice(LETTERS, generator.integers(6, 25), replace=False)) * 2
        characters -= len(document)
        yield document


def main() -> None:
    """Train, capture, analyse; print when each seed's heads form. Exits with 1 where one is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out")
    parser.add_argument("--sizes", default="150k,400k")
    given = parser.parse_args(sys.argv[2:])
    with tempfile.TemporaryDirectory() as temporary:
        folder, sizes, begun = Path(given.out or temporary), given.sizes.split(","), time.process_time()
        suite = train(folder / "suite", passages(STEPS * 32 * 64), sizes=sizes, seeds=SEEDS, device="cpu", **RECIPE)
        trained = time.process_time() - begun
        texts = folder / "suite" / "heldout.jsonl"
        run = ps.capture(suite, texts, folder / "run", sequences=16, output_sequences=8, behaviour="heads")
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
