"""How often words and tokens occur in a reference corpus, and bins of that."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float, Int


def log_frequency(counts: Int[np.ndarray, "..."], total: int) -> Float[np.ndarray, "..."]:
    """ln of the share of each count in `total`; what was never seen counts as seen once (nats, always finite).

    Raises:
        ValueError: the corpus is empty.
    """
    if total < 1:
        raise ValueError("a corpus without words has no frequencies")
    logarithms: Float[np.ndarray, "..."] = np.log(np.maximum(counts, 1) / total)
    return logarithms


def frequency_bins(counts: Int[np.ndarray, "..."], total: int) -> Int[np.ndarray, "..."]:
    """The decade of each count: k stands for 10^k up to 10^(k+1) occurrences per million words.

    What was never seen counts as seen once, as in `log_frequency`.

    >>> frequency_bins(np.array([0, 9, 10, 1234]), 1_000_000)
    array([0, 0, 1, 3])
    """
    if total < 1:
        raise ValueError("a corpus without words has no frequencies")
    # Exact powers of ten stay what they are.
    decades: Int[np.ndarray, "..."] = np.floor(np.log10(np.maximum(counts, 1) * (1e6 / total)) + 1e-12).astype(np.int64)
    return decades
