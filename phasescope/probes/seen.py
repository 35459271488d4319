"""What a batch of items showed at the positions that predict scored tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int64
    from torch import Tensor

    from phasescope.hooks import Site


@dataclass(frozen=True)
class Seen:
    """Rows are the predicting positions, item by item.

    Attributes:
        sequences: the items of the batch.
        places: of the scored tokens among those of all items.
        activations: of the sites that were asked for.
        final: what the unembedding multiplies.
    """

    sequences: Int64[np.ndarray, "rows"]
    places: Int64[np.ndarray, "tokens"]
    activations: Mapping[Site, Tensor]
    final: Float[Tensor, "tokens d"]
