"""How much does what was read before help? (docs/analyses/in_context_learning.md)

The in-context-learning score of Olsson et al. 2022 (In-context Learning and Induction Heads, arXiv 2209.11895), which
study B follows along training: the loss late in the context minus the loss early in it. Below zero the model predicts
better the more it has read. From the surprisal that every capture keeps; intervals by a bootstrap over sequences, in
which early and late tokens of a sequence stay together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.parts import parts_by_shard
from phasescope.analyses.question import Option, Table, question
from phasescope.analyses.reader import as_table
from phasescope.console import counted
from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.store import Part

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey

# Goes up when the same shards give other numbers.
_VERSION = 1
_NATS = "nats per token"
SCORES = {
    "size": "str", "seed": "int64", "step": "int64", "early": "str", "late": "str", "score": "float64",
    "low": "float64", "high": "float64", "early_loss": "float64", "early_low": "float64", "early_high": "float64",
    "late_loss": "float64", "late_low": "float64", "late_high": "float64", "level": "float64", "sequences": "int64",
}  # fmt: skip
BY_POSITION = {
    "size": "str", "seed": "int64", "step": "int64", "first": "int64", "last": "int64", "loss": "float64",
    "low": "float64", "high": "float64", "level": "float64", "sequences": "int64",
}  # fmt: skip
# Token 50 and token 500 of Olsson et al.
_EARLY, _LATE, _CONTEXT = 50, 500, 512
_RANGE = re.compile(r"(\d+)(?:\s*-\s*(\d+))?")


@dataclass(frozen=True)
class Positions:
    """Tokens of a window from `first` to `last`, both included, counted from 0; the first has no loss."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str, option: str) -> Positions:
        """`50`, or `40-60`."""
        match = _RANGE.fullmatch(text.strip())
        if not match:
            raise BadArgumentError(f"{option} {text!r} is no position: write 50, or a range such as 40-60.")
        first, last = int(match.group(1)), int(match.group(2) or match.group(1))
        if not 1 <= first <= last:
            raise BadArgumentError(
                f"{option} {text!r} is no range of positions: they count from 0, the first token has no loss, and a "
                "range goes upwards."
            )
        return cls(first, last)

    @property
    def columns(self) -> slice:
        """Of an array of surprisal, whose column j is about token j + 1."""
        return slice(self.first - 1, self.last)

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def places(context: int, early: str | None, late: str | None) -> tuple[Positions, Positions]:
    """What is compared: what was asked for; else tokens 50 and 500 as Olsson et al., and in shorter contexts ranges.

    A context of 500 tokens or fewer is compared between 5 % and 15 % and in the last tenth, as means over these: fewer
    tokens are less sure, and tokens 50 and 500 are at about these places of a context of 512.

    Raises:
        PhasescopeError: positions that the context does not have, or early ones that do not come first.
    """
    if context > _LATE:
        default = Positions(_EARLY, _EARLY), Positions(_LATE, _LATE)
    else:
        begin = Positions(max(1, round(context * 0.05)), max(1, round(context * 0.15)))
        default = begin, Positions(min(context - 1, max(begin.last + 1, round(context * 0.9))), context - 1)
    before = default[0] if early is None else Positions.parse(early, "--early")
    after = default[1] if late is None else Positions.parse(late, "--late")
    if after.last >= context:
        raise PhasescopeError(
            f"--late {after} lies beyond the windows of this run: they have {counted(context, 'token')}, "
            f"0 to {context - 1}. "
            f"Choose up to {context - 1}, or capture with a longer --context."
        )
    if before.last >= after.first:
        raise PhasescopeError(f"Early ({before}) must end before late ({after}) begins: choose --early and --late.")
    return before, after


def position_bins(context: int) -> list[Positions]:
    """Bins of positions, each half as wide as its first position: 1, 2-3, 4-6, 7-10, 11-16, …"""
    bins, first = [], 1
    while first < context:
        last = min(first + first // 2, context - 1)
        bins.append(Positions(first, last))
        first = last + 1
    return bins


@question(
    "How much does what was read before help?",
    [
        Table(
            "in_context_learning",
            "Loss late in the context minus loss early in it per size, seed and step, with intervals.",
            SCORES,
            {_NATS: "score low high early_loss early_low early_high late_loss late_low late_high"},
        ),
        Table(
            "loss_by_position",
            "Mean loss of the tokens at each position, in bins that widen.",
            BY_POSITION,
            {_NATS: "loss low high"},
        ),
    ],
    options=[
        Option("early", "early tokens, 50 or 40-60.", shown="50, or 5 to 15 % of windows"),
        Option("late", "late tokens.", shown="500, or the last tenth of windows"),
    ],
    place=120,
    by_training=True,
)
def analyse(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `in_context_learning` and `loss_by_position`; empty where no outputs were captured.

    For masked language models, which read both sides of every token, they are empty, and `attrs["absent"]` says so.
    """
    reader.require_shards()
    context, masked = reader.inputs.context, reader.inputs.framing is not None
    absent = "Masked language models read what comes after a token too: late tokens know no more than early ones."
    if not masked and context < 4:
        absent = f"Windows of {counted(context, 'token')} have no early and late part."
    if masked or context < 4:
        return _tables([], [], absent)
    early, late = places(context, options.early, options.late)
    bins = position_bins(context)
    asked = (_VERSION, str(early), str(late), options.seed, options.level, options.resamples)
    scores: list[tuple[Any, ...]] = []
    curves: list[tuple[Any, ...]] = []
    for key, part in parts_by_shard(
        reader, "in_context_learning", asked, partial(_part, reader, (early, late), options)
    ):
        where, rows = (key.size, key.seed, key.step), part["numbers"].tolist()
        for sequences in part["sequences"].tolist():
            numbers = [number for row in rows[:3] for number in row]
            scores.append((*where, str(early), str(late), *numbers, options.level, sequences))
            for place, row in zip(bins, rows[3:], strict=True):
                curves.append((*where, place.first, place.last, *row, options.level, sequences))
    return _tables(scores, curves, "" if scores else "No outputs were captured: there is no loss.")


def _part(reader: RunReader, compared: tuple[Positions, Positions], options: Options, key: ShardKey) -> Part:
    """Means with intervals: late less early, early, late, and of each bin. Nothing where no outputs were captured."""
    with reader.folder.open_shard(key) as shard:
        if "outputs/surprisal" not in shard.names("outputs"):
            return {"numbers": np.zeros((0, 3)), "sequences": np.zeros(0, dtype=np.int64)}
        surprisal = shard.read("outputs/surprisal").astype(np.float64)
    early, late = (surprisal[:, place.columns].mean(1) for place in compared)
    losses = [surprisal[:, place.columns].mean(1) for place in position_bins(reader.inputs.context)]
    numbers = _with_intervals(np.stack([late - early, early, late, *losses]), options)
    return {"numbers": numbers, "sequences": np.array([len(surprisal)])}


def _with_intervals(values: Float64[np.ndarray, "rows sequences"], options: Options) -> Float64[np.ndarray, "rows 3"]:
    """Mean over sequences and its interval, row by row; of one sequence the mean alone."""
    from phasescope.measures import bootstrap_weights, interval

    mean = values.mean(1)
    low = high = np.full(len(values), np.nan)
    sequences = values.shape[1]
    if sequences > 1:
        weights = bootstrap_weights(sequences, options.resamples, options.seed).numpy()
        low, high = (edge.numpy() for edge in interval(weights @ values.T / sequences, mean, options.level))
    return np.stack([mean, low, high], 1)


def _tables(scores: list[tuple[Any, ...]], curves: list[tuple[Any, ...]], absent: str) -> dict[str, DataFrame]:
    tables = {"in_context_learning": as_table(scores, SCORES), "loss_by_position": as_table(curves, BY_POSITION)}
    for table in tables.values():
        if absent:
            table.attrs["absent"] = absent
    return tables
