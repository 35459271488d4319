"""The training-step axis: logarithmic, and yet it shows step 0.

Checkpoints are dense early and sparse late, so a linear axis hides what happens first; a plain logarithmic one has no
place for step 0, the untrained model, which every curve starts from. A step is therefore drawn at `log2(1 + step)`:
0 lands on 0, 1 on 1, and powers of two are soon one unit apart. Ticks sit at steps that were really probed.

Where something else is counted (`phasescope.counting`), all numbers here are of that: tokens, say, of which as many as
one step reads are drawn where that step is.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from typing import Any

from phasescope import counting

TITLE = "training step (log scale, with step 0)"
_LOG = " (log scale)"
_READ = {"words": "words read", "chunks": "chunks of the data", "tokens": "tokens read"}


def title(*, short: bool = False) -> str:
    """What the axis is called: of steps, or of what else is counted."""
    unit = counting.current().unit
    if unit == "steps":
        return "training step" if short else TITLE
    return _READ.get(unit, unit) + ("" if short else " (log scale, with 0)")


def settling_title() -> str:
    """What an axis is called on which it is told when something settles."""
    unit = counting.current().unit
    return f"settling step{_LOG}" if unit == "steps" else f"{unit} until it settles{_LOG}"


def position(step: float) -> float:
    """Where a training step is drawn: log2(1 + step), rounded to what a screen can show.

    >>> [position(step) for step in (0, 1, 3, 1023)]
    [0.0, 1.0, 2.0, 10.0]
    """
    if step < 0:
        raise ValueError(f"a training step is at least 0, not {step}")
    return round(exactly(step), 4)


def label(step: int) -> str:
    """A step as a short tick label that is still exact; of tokens and words three digits.

    >>> [label(step) for step in (0, 512, 1000, 1500, 16384, 143000, 2000000)]
    ['0', '512', '1k', '1.5k', '16384', '143k', '2M']
    """
    if counting.current().unit in ("tokens", "words"):
        return counting.label(step)
    if step >= 1_000_000 and step % 100_000 == 0:
        return f"{step / 1_000_000:g}M"
    if step >= 1000 and step % 100 == 0:
        return f"{step / 1000:g}k"
    return str(step)


def thin(steps: Iterable[int], at_most: int = 60) -> list[int]:
    """The steps worth drawing: all if there are few, else the ones nearest an even grid of positions.

    Hundreds of late checkpoints fall on the same few pixels of a logarithmic axis; drawing them all costs bytes and
    shows nothing. The first and the last step are always kept, and only real steps are returned.
    """
    ordered = tuple(sorted(set(steps)))
    if at_most < 2:
        raise ValueError(f"at least 2 steps are drawn, not {at_most}")
    return list(ordered if len(ordered) <= at_most else _thinned(ordered, at_most, counting.current().scale))


@functools.lru_cache(maxsize=64)  # all curves of a page have a few grids of steps
def _thinned(ordered: tuple[int, ...], at_most: int, scale: float) -> tuple[int, ...]:
    places = [math.log2(1 + step / scale) for step in ordered]
    low, high = places[0], places[-1]
    kept: dict[int, tuple[float, int]] = {}
    for step, place in zip(ordered, places, strict=True):
        grid = (place - low) / (high - low) * (at_most - 1)
        slot = round(grid)
        kept[slot] = min(kept.get(slot, (math.inf, step)), (abs(grid - slot), step))
    return tuple(sorted({step for _, step in kept.values()} | {ordered[0], ordered[-1]}))


def ticks(steps: Iterable[int], at_most: int = 12) -> list[int]:
    """The steps that get a label: the ends, and between them round ones far enough apart not to collide."""
    ordered = sorted(set(steps))
    if len(ordered) <= 2:
        return ordered
    first, last = ordered[0], ordered[-1]
    gap = (exactly(last) - exactly(first)) / max(at_most - 1, 1)
    chosen = [first]
    while True:
        here = exactly(chosen[-1])
        free = [step for step in ordered if exactly(step) >= here + gap and exactly(step) <= exactly(last) - gap]
        if not free:
            return [*chosen, last]
        near = [step for step in free if exactly(step) <= max(here + 1.5 * gap, exactly(free[0]))]
        chosen.append(min(near, key=lambda step: (_awkwardness(step), step)))


def axis(steps: Sequence[int], *, at_most: int = 12, never: bool = False) -> dict[str, Any]:
    """The plotly layout of an x-axis for these steps.

    With `never` there is one more place at the right edge, after the last step, for what never happened.
    """
    # Labels of tokens and words (`33.6M`) are twice as wide as those of steps.
    labelled = ticks(steps, at_most // 2 if counting.current().unit in ("tokens", "words") else at_most)
    places = [position(step) for step in labelled]
    names = [label(step) for step in labelled]
    low, high = places[0], places[-1]
    margin = max((high - low) * 0.025, 0.2)
    if never:
        places.append(never_position(steps))
        names.append("never")
        high = places[-1]
    return {
        "title": {"text": title()},
        "tickmode": "array",
        "tickvals": places,
        "ticktext": names,
        "tickangle": 0,
        "minor": {
            "tickmode": "array",
            "tickvals": [position(step) for step in thin(steps)],
            "ticks": "outside",
            "ticklen": 3,
        },
        "range": [low - margin, high + margin],
        "zeroline": False,
    }


def log_ticks(low: float, high: float) -> dict[str, Any]:
    """Ticks of a logarithmic axis of other numbers: 1, 2 and 5 times powers of ten; of a wide range powers alone.

    Where fewer than two of these lie between low and high, plotly chooses.

    >>> log_ticks(3, 40)["ticktext"]
    ['5', '10', '20']
    """
    span = math.log10(high) - math.log10(low)
    digits = (1, 2, 5) if span < 2.5 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = 1 if span < 6 else 2
    found = [digit * 10.0**power for power in powers if power % every == 0 for digit in digits]
    found = [tick for tick in found if low <= tick <= high]
    if len(found) < 2:
        return {"nticks": 6}
    return {"tickmode": "array", "tickvals": found, "ticktext": [f"{tick:.6g}" for tick in found]}


def never_position(steps: Sequence[int]) -> float:
    """The place at the right edge, beyond the last step, for what never happened."""
    low, high = position(min(steps)), position(max(steps))
    return round(high + max((high - low) * 0.09, 0.5), 4)


def exactly(step: float) -> float:
    """The position before rounding: different for different steps, however late and close."""
    return math.log2(1 + step / counting.current().scale)


def back(place: float) -> float:
    """The step that is drawn at a position."""
    return float((2**place - 1) * counting.current().scale)


def _awkwardness(step: int) -> int:
    """How hard a number is to read as a tick: powers of two and ten are easiest."""
    if counting.current().unit in ("tokens", "words"):
        return len(counting.label(step).rstrip("KMBT").replace(".", "").rstrip("0"))
    digits = str(step).rstrip("0") or "0"
    if step & (step - 1) == 0 or digits == "1":
        return 0
    if digits in {"2", "5"}:
        return 1
    return 2 if len(digits) == 1 else 3
