"""What a measure of one's own is to be of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from phasescope.errors import BadArgumentError, did_you_mean
from phasescope.plugins import PAIRS


@dataclass(frozen=True)
class Asked:
    """What a measure is to be of, and how.

    sites: components or single sites; None: all that were recorded. steps: as for `capture`. pairs: what each is
    compared with. resamples: of the bootstrap over sequences; 0: no intervals. level, seed: of the intervals.
    """

    sites: str | Sequence[str] | None = None
    steps: str | int | Sequence[int | str] = "log"
    pairs: str | None = None
    resamples: int = 0
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pairs not in (None, *PAIRS):
            raise BadArgumentError(f"There are no pairs {self.pairs!r}. {did_you_mean(self.pairs, PAIRS)}")
        if self.resamples < 0 or not 0 < self.level < 1:
            raise BadArgumentError(
                f"Intervals need a number of resamples from 0 and a level between 0 and 1, not {self.resamples} and "
                f"{self.level}. Try 500 and 0.95."
            )
