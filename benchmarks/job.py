"""The whole job against the forward passes and unembeddings that it needs.

24 checkpoints (random weights of the 14M and 70M shapes, three seeds, four steps, 50 304 rows); 128 sequences of 256
tokens, sampled at the last position for activations, 18 of them for outputs; capture and all analyses, no report. What
was asked of a run when the goal was set is told apart from the questions that came later.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.suites import SHAPES, make

SEQUENCES, CONTEXT, OUTPUT_SEQUENCES = 128, 256, 18
SEEDS, STEPS = (1, 2, 3), (0, 1, 10, 100)
LATER = ("drift", "geometry", "experts", "heads", "lens", "learning_coefficient")


def bare(suite: Path, half: int) -> tuple[float, float]:
    """Seconds of the bare forward passes of every other checkpoint, and of one unembedding of its output tokens.

    One half is timed before the job and one after it, so that a machine that speeds up or slows down is fair to both.
    """
    import torch

    from phasescope.suites import open_suite
    from phasescope.suites.load import load_model

    forward = unembedding = 0.0
    for checkpoint in open_suite(suite).checkpoints[half::2]:
        model = load_model(checkpoint, device="cpu")
        tokens = torch.randint(0, 50000, (SEQUENCES, CONTEXT))
        with torch.no_grad():
            for first in range(0, SEQUENCES, 8):
                begun = time.perf_counter()
                hidden = model.base_model(tokens[first : first + 8], use_cache=False).last_hidden_state
                forward += time.perf_counter() - begun
                wanted = hidden[: max(min(OUTPUT_SEQUENCES - first, 8), 0)].flatten(0, 1)
                begun = time.perf_counter()
                for chunk in wanted.split(256):
                    torch.nn.functional.linear(chunk, model.get_output_embeddings().weight)
                unembedding += time.perf_counter() - begun
    return forward, unembedding


def main() -> None:
    import phasescope as ps
    from phasescope.analyses.registry import questions

    with tempfile.TemporaryDirectory() as folder:
        suite = make(Path(folder) / "suite", SHAPES, SEEDS, STEPS)
        forward, unembedding = bare(suite, half=0)
        begun = time.perf_counter()
        run = ps.capture(
            suite, "docs", Path(folder) / "run", sequences=SEQUENCES, context=CONTEXT, output_sequences=OUTPUT_SEQUENCES
        )
        captured = time.perf_counter()
        run.analyse(*(name for name, asked in questions().items() if not asked.by_name and name not in LATER))
        done = time.perf_counter()
        run.analyse(*LATER)
        later = time.perf_counter() - done
        bytes_used = sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file())
        again_forward, again_unembedding = bare(suite, half=1)
    forward, unembedding = forward + again_forward, unembedding + again_unembedding
    job = done - begun
    print(f"  bare forward passes {forward:.1f} s, unembeddings {unembedding:.1f} s each time they are needed")
    print(
        f"  capture {captured - begun:.1f} s, analyses {done - captured:.1f} s, later ones {later:.1f} s, "
        f"disk {bytes_used / 1e9:.3f} GB (< 0.5)"
    )
    print(f"  job / (forward + one unembedding): {job / (forward + unembedding):.3f} (≤ 1.20)")
    print(f"  with the questions that came later: {(job + later) / (forward + unembedding):.3f}")


if __name__ == "__main__":
    main()
