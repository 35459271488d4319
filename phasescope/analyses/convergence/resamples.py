"""How an error of the texts moves CKA at all checkpoints, seeds and sizes together.

The interval of one CKA says how sure that one is. Of a difference, a share or a mean over seeds it does not:
checkpoints of one seed, and seeds, read the same texts and err together. So some resamples of the bootstrap are kept
whole: one column is the same draw of sequences in every row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.analyses.convergence.columns import KEYS

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame
    from torch import Tensor

# They tell a standard error to 9 %. Of 108 sites (5 sizes), 9 seeds and 154 steps they take 58 MB.
MOST_KEPT = 64


@dataclass(frozen=True)
class Deviations:
    """From the median resample, by size, seed and site: tables of steps by resamples."""

    of: dict[tuple[str, int, str], DataFrame]

    def at(self, size: str, seed: int, site: str, steps: Sequence[int]) -> Float64[np.ndarray, "resamples steps"]:
        """NaN at a step that has none."""
        rows = self.of[size, seed, site].reindex(list(steps))
        found: Float64[np.ndarray, "steps resamples"] = rows.to_numpy(np.float64)
        return found.T


def kept_resamples(replicates: Tensor, size: str, seed: int, steps: Sequence[int], site: str) -> DataFrame:
    """Rows of the table `convergence_resamples`: one per step; `r0`, `r1` … are deviations from the median resample.

    replicates: CKA `[resamples, steps]`; the first of them are kept.
    """
    import pandas as pd

    deviations = (replicates - replicates.nanmedian(0).values)[:MOST_KEPT].T.float().numpy()
    made = pd.DataFrame(deviations, columns=[f"r{number}" for number in range(deviations.shape[1])])
    keys = pd.DataFrame({"size": size, "seed": seed, "step": list(steps), "site": site})
    return pd.concat([keys, made], axis=1)


def together(parts: Sequence[DataFrame]) -> DataFrame:
    """The table `convergence_resamples`."""
    import pandas as pd

    made = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(KEYS))
    return made.astype(KEYS)


def deviations_of(table: DataFrame) -> Deviations:
    """What the table `convergence_resamples` holds."""
    found = {}
    for (size, _, site), rows in table.groupby(["size", "seed", "site"], sort=False):
        key = (str(size), int(rows["seed"].iloc[0]), str(site))
        found[key] = rows.drop(columns=["size", "seed", "site"]).set_index("step")
    return Deviations(found)
