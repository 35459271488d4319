"""Whose activations lie nearest to a token's, at one step after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Neighbour:
    """A sample, and the cosine of its activation with the token's."""

    sample: int
    cosine: float


def nearest(activations: Float[NDArray[Any], "samples d"], sample: int, at_most: int = 5) -> list[Neighbour]:
    """The samples with the highest cosine to one of them, itself left out; none where it is zero or not finite.

    Activations are taken as they are, not centred. Raises ValueError for a sample that is not there.
    """
    if not 0 <= sample < len(activations):
        raise ValueError(f"there is no sample {sample} among {len(activations)}")
    rows = activations.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        cosines = unit @ unit[sample]
    cosines[sample] = np.nan
    known = np.flatnonzero(np.isfinite(cosines))
    order = known[np.argsort(-cosines[known], kind="stable")][:at_most]
    return [Neighbour(int(place), float(cosines[place])) for place in order]


def along(
    first: Float[NDArray[Any], "positions d"], last: Float[NDArray[Any], "positions d"]
) -> Float[NDArray[Any], "positions"]:
    """The cosine of each row with the same row at the last step; NaN where one of them is zero."""
    from phasescope.measures import cosine

    found: NDArray[Any] = cosine(first, last).numpy()
    return found
