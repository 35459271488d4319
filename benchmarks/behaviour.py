"""n-gram log-probabilities from a local index, and heuristics over a long run: seconds and memory."""

from __future__ import annotations

import resource
import tempfile
import time
from pathlib import Path

WORDS, CHECKPOINTS, SEQUENCES = 100_000, 150, 670


def ngrams(folder: Path) -> None:
    """Five orders of 100 000 held-out words of the built-in prose, counted in the rest of it."""
    import numpy as np

    from phasescope.texts import build_index, docs_texts, ngram_log_probabilities, split_words

    documents = [[text[word.start : word.end] for word in split_words(text)] for text in docs_texts()]
    held_out, total = 0, 0
    while total < WORDS:
        total += len(documents[held_out])
        held_out += 1
    begun = time.perf_counter()
    index = build_index(folder / "index", documents[held_out:], unit="word", source="docs")
    built = time.perf_counter()
    words = [word for document in documents[:held_out] for word in document][:WORDS]
    place = np.concatenate([np.arange(len(document)) for document in documents[:held_out]])[:WORDS]
    ngram_log_probabilities(index.ids(words), place, index)
    done = time.perf_counter()
    print(f"  index of {index.total:,} words: {built - begun:.1f} s")
    print(f"  five orders of {len(words):,} words: {done - built:.1f} s (< 30)")


def heuristics() -> None:
    """Every number of the analysis, with its interval, for 150 checkpoints that were read 100 000 words."""
    import numpy as np

    from phasescope.analyses.heuristics.correlations import NGRAMS, SIMILARITIES, Predictors, rows_of
    from phasescope.analyses.options import Options

    draw = np.random.default_rng(0)
    # As many ties as counts of words have.
    values = np.round(draw.normal(size=(len(NGRAMS) + len(SIMILARITIES), WORDS)), 2)
    values[-2:, :: WORDS // SEQUENCES] = np.nan  # the first word of a window is like nothing before it
    weights = np.linspace(0, 1, CHECKPOINTS)[:, None]
    observed = (1 - weights) * np.nan_to_num(values[0]) + weights * values[1] + draw.normal(size=(CHECKPOINTS, WORDS))
    sequence = np.arange(WORDS) * SEQUENCES // WORDS
    predictors = Predictors([*NGRAMS, *SIMILARITIES], values, sequence, "word", "made up")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    begun = time.perf_counter()
    rows = rows_of([("1m", 1, list(range(CHECKPOINTS)), observed)], predictors, Options())
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    numbers = {name: len(table) for name, table in rows.items()}
    print(f"  {CHECKPOINTS} checkpoints × {WORDS:,} words, {numbers}: {seconds:.1f} s (< 20)")
    print(f"  peak memory {peak:.2f} GB (< 2), {before:.2f} GB of it before the analysis")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ngrams(Path(folder))
    heuristics()


if __name__ == "__main__":
    main()
