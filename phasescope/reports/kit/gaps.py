"""Where checkpoints were left out of a figure, being suspect: a mark on its step axis that says which, and why."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.reports.kit import steps_axis, theme
from phasescope.reports.kit.drawing import Drawing

if TYPE_CHECKING:
    from phasescope.analyses import RunReader
    from phasescope.store import ShardKey

# Where nothing is drawn, and where other seeds or sizes are.
_FILL, _FAINT = 0.16, 0.07
# Of the width of the axis, on either side: what one checkpoint's mark takes at least, so that it is seen.
_LEAST = 0.004
# Of hover text, which plotly does not break.
_LINES, _NAMED = 6, 8


@dataclass(frozen=True)
class Gap:
    """Neighbouring checkpoints of a size that are left out.

    Attributes:
        first, last: their steps, in what is counted.
        before, after: those of the size beside them; None at an end.
        lines: which they are and why, a line each.
        whole: whether no seed is left there, of a figure about one size.
    """

    first: int
    last: int
    before: int | None
    after: int | None
    lines: tuple[str, ...]
    whole: bool = True

    @property
    def text(self) -> str:
        """What the mark says."""
        shown = self.lines[:_LINES]
        more = len(self.lines) - len(shown)
        return "<br>".join(
            ["left out: " + theme.plain(line) for line in shown] + ([f"and {more} more"] if more else [])
        )


def gaps(reader: RunReader | None, size: str | None = None) -> list[Gap]:
    """What is left out of the figures of a size of a run; None: of all sizes. Where nothing is known of it, none."""
    if reader is None:
        return []
    omitted = sorted(reader.omitted)
    found: list[Gap] = []
    for one in dict.fromkeys(key.size for key in omitted if size in (None, key.size)):
        out = [key for key in omitted if key.size == one]
        every = sorted({key.step for key in reader.shards if key.size == one})
        for steps in _neighbouring(sorted({key.step for key in out}), every):
            left, right = every.index(steps[0]), every.index(steps[-1]) + 1
            place = functools.partial(counting.current().of, one)
            found.append(
                Gap(
                    place(steps[0]),
                    place(steps[-1]),
                    place(every[left - 1]) if left else None,
                    place(every[right]) if right < len(every) else None,
                    _lines([key for key in out if key.step in steps], reader, named=size is None),
                    size is not None and not any(key.size == one and key.step in steps for key in reader.keys),
                )
            )
    return found


def _neighbouring(steps: Sequence[int], every: Sequence[int]) -> list[list[int]]:
    """Steps in groups with no other step of the size between them."""
    groups: list[list[int]] = []
    for step in steps:
        if groups and every.index(step) == every.index(groups[-1][-1]) + 1:
            groups[-1].append(step)
        else:
            groups.append([step])
    return groups


def _lines(keys: Sequence[ShardKey], reader: RunReader, *, named: bool) -> tuple[str, ...]:
    """Which checkpoints and why, those of one seed that have one reason together. named: with their size."""
    from phasescope.audit.why import why_left_out

    together: dict[tuple[int, str], list[int]] = {}
    for key in keys:
        together.setdefault((key.seed, why_left_out(key, reader.findings)), []).append(key.step)
    size = f" of {keys[0].size}" if named else ""
    several = len({key.seed for key in reader.shards if key.size == keys[0].size}) > 1
    return tuple(
        f"{_steps(steps)}{size}{f' seed {seed}' if several else ''}, {why}" for (seed, why), steps in together.items()
    )


def _steps(steps: Sequence[int]) -> str:
    if len(steps) == 1:
        return f"step {steps[0]}"
    if len(steps) <= _NAMED:
        return f"steps {', '.join(map(str, steps))}"
    return f"steps {', '.join(map(str, steps[: _NAMED - 1]))}, … {steps[-1]} ({len(steps)} in all)"


def with_gaps(figure: Drawing, name: str, found: Sequence[Gap]) -> Drawing:
    """The figure with a grey band and, on top, a cross for each gap.

    name: of the layout's axis that is of steps (`xaxis`).
    """
    for gap in found:
        figure = _with_gap(figure, name, gap)
    return figure


def _with_gap(figure: Drawing, name: str, gap: Gap) -> Drawing:
    axis, across = figure.layout[name], name.replace("axis", "")
    low, high = axis["range"]
    left, right = _edges(gap, high - low)
    middle = min(max((left + right) / 2, left), right)
    if not low <= middle <= high:
        if "never" in axis.get("ticktext", ()):
            return figure  # beyond the last step there is the place of what never happens
        low, high = min(low, left - 0.2), max(high, right + 0.2)
        figure = figure.and_layout(**{name: {**axis, "range": [low, high]}})
    place = {"xref": across, **figure.upright_of(across)}
    edge = {"color": theme.NEUTRAL, "width": 0.8, "dash": "dot"}
    band = {"type": "rect", **place, "x0": left, "x1": right, "layer": "above"}
    cross = {
        "xref": across, "yref": place["yref"], "x": round(middle, 4), "y": place["y1"], "yanchor": "top", "text": "✕",
        "showarrow": False, "hovertext": gap.text, "captureevents": True, "font": {"size": 9, "color": "white"},
        "bgcolor": theme.NEUTRAL,
    }  # fmt: skip
    fill = f"rgba(128, 136, 148, {_FILL if gap.whole else _FAINT})"
    return figure.and_shapes({**band, "fillcolor": fill, "line": edge}, annotations=(cross,))


def _edges(gap: Gap, width: float) -> tuple[float, float]:
    """Half-way to the steps beside it, as a cell of a map is wide; at an end a little beyond."""
    first, last = steps_axis.position(gap.first), steps_axis.position(gap.last)
    least = _LEAST * width
    left = first - least if gap.before is None else (first + steps_axis.position(gap.before)) / 2
    right = last + least if gap.after is None else (last + steps_axis.position(gap.after)) / 2
    return round(left, 4), round(right, 4)
