"""What a `TrainingProbe` adds to a nursery run of 1 000 steps; how fast the nursery trains each architecture.

The probe captures with its default settings at steps 0, 1, 2, 4, …, 512, 1000: 16 sequences of 128 tokens, 16 positions
of each, attn_out, mlp_out and ov_out of all layers, spectra of all weights, surprisal and entropy of 8 sequences.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

STEPS = 1000
SIZES = ("400k", "1m")


def overhead(size: str, corpus: Any, recipe: Any, out: Path) -> tuple[float, float, int]:
    """Seconds of a whole training with the probe, of its updates alone, and how many steps were captured."""
    from transformers import PreTrainedTokenizerFast

    import phasescope as ps
    from phasescope.suites.shapes import find_shape
    from phasescope.suites.training import Windows, new_model, new_optimizer, update

    shape = find_shape(size)
    model = new_model(shape, recipe, seed=1).train()
    optimizer = new_optimizer(model, shape, recipe)
    windows = Windows(corpus.tokens, recipe.context, recipe.batch, 1)
    for step in range(3):  # warm up
        update(new := new_model(shape, recipe, seed=2), new_optimizer(new, shape, recipe), windows.at(step))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(corpus.tokenizer)
    held_out = corpus.folder / "heldout.jsonl"
    updates = 0.0
    begun = time.perf_counter()
    with ps.TrainingProbe(out, held_out, tokenizer, size=size, seed=1, strict=True) as probe:
        probe.step(model, 0)
        for step in range(STEPS):
            before = time.perf_counter()
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate_at(step, shape)
            update(model, optimizer, windows.at(step))
            updates += time.perf_counter() - before
            probe.step(model, step + 1)
    return time.perf_counter() - begun, updates, len(ps.open_run(out).steps(size))


def tokens_per_second(architecture: str, size: str, corpus: Any, steps: int = 6) -> float:
    """Of updates after a first one."""
    from phasescope.suites.reading import quiet_transformers
    from phasescope.suites.recipe import Recipe
    from phasescope.suites.shapes import find_shape
    from phasescope.suites.training import Windows, new_model, new_optimizer, update

    recipe = Recipe(architecture=architecture)
    shape = find_shape(size, architecture)
    model = new_model(shape, recipe, seed=1).train()
    optimizer = new_optimizer(model, shape, recipe)
    windows = Windows(corpus.tokens, recipe.context, recipe.batch, 1)
    with quiet_transformers():
        update(model, optimizer, windows.at(0))
        begun = time.perf_counter()
        for step in range(steps):
            update(model, optimizer, windows.at(step))
    return steps * recipe.batch * recipe.context / (time.perf_counter() - begun)


def main() -> None:
    from phasescope.suites.corpus import Corpus, Text
    from phasescope.suites.recipe import Recipe
    from phasescope.suites.shapes import ARCHITECTURES
    from phasescope.texts import read_documents

    recipe = Recipe(steps=STEPS)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder) / "corpus")
        corpus.write(Text.read((document.text for document in read_documents("docs")), recipe), recipe)
        whole = bare = 0.0
        for size in SIZES:
            total, updates, captured = overhead(size, corpus, recipe, Path(folder) / size)
            whole, bare = whole + total, bare + updates
            print(
                f"  {size}: {STEPS} updates {updates:.1f} s, with {captured} captures {total:.1f} s: "
                f"ratio {total / updates:.4f}",
                flush=True,
            )
        print(f"  both, which is the nursery's default run: ratio {whole / bare:.4f} (≤ 1.03)", flush=True)
        for architecture in ARCHITECTURES:
            speeds = [f"{size} {tokens_per_second(architecture, size, corpus):,.0f}" for size in ("150k", *SIZES)]
            print(f"  {architecture}: tokens a second: {', '.join(speeds)}", flush=True)


if __name__ == "__main__":
    main()
