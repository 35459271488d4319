"""What geometry, drift, heads and the lens add to a capture of the 70M shape: processor time, as a ratio.

Two checkpoints (random weights, 50 304 rows); 128 sequences of 256 tokens, sampled at the last position for
activations, 18 of them for outputs. A capture without, one that asks for heads and the lens, and the four analyses.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.job import CONTEXT, OUTPUT_SEQUENCES, SEQUENCES
from benchmarks.suites import SHAPES, make

QUESTIONS = ("geometry", "drift", "heads", "lens")


def main() -> None:
    import torch

    import phasescope as ps

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        suite = make(Path(folder) / "suite", {"70m": SHAPES["70m"]}, (1,), (0, 1))
        settings = {"context": CONTEXT, "output_sequences": OUTPUT_SEQUENCES}
        # What is loaded once is no part of either.
        ps.capture(suite, "docs", Path(folder) / "first", context=CONTEXT, sequences=2, behaviour=["heads", "lens"])
        took = {}
        for name, asked in (("without", None), ("with", ["heads", "lens"])):
            begun = time.process_time()
            run = ps.capture(suite, "docs", Path(folder) / name, sequences=SEQUENCES, **settings, behaviour=asked or ())
            took[name] = time.process_time() - begun
        for name in QUESTIONS:
            begun = time.process_time()
            run.analyse(name)
            took[name] = time.process_time() - begun
    added = took["with"] - took["without"] + sum(took[name] for name in QUESTIONS)
    print("  " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in took.items()))
    print(f"  what they add / capture without: {added / took['without']:.2f} (≤ 0.35)")


if __name__ == "__main__":
    main()
