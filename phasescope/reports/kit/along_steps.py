"""Curves in a line of the terminal, on an even grid of log steps, so that lines below each other can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.kit import cells, steps_axis, tidy

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table
    from rich.text import Text

# A word, a line of this many cells and what it says fit into 80 columns.
WIDTH = 36
_SETTLED = 0.9
# Told apart without colours, too: by direction and by weight.
_MARKS = {"rising": "╱", "falling": "╲", "flat": "─", "undetermined": "┄"}
_SHARP = {"rising": "▲", "falling": "▼"}


class StepCells:
    """The cells of one line: each stands for the checkpoint that is nearest to it in log(1 + step).

    >>> StepCells([0, 1, 3, 7], width=4).curve({0: 0.0, 3: 0.5, 7: 1.0}, 0, 1).plain
    '▁·▅█'
    """

    def __init__(self, steps: Iterable[int], width: int = WIDTH) -> None:
        self.steps = sorted(set(steps))
        first, last = (steps_axis.exactly(self.steps[end]) for end in (0, -1))
        self._places = [first + (last - first) * cell / max(width - 1, 1) for cell in range(width)]
        self._nearest = [self._nearest_to(place) for place in self._places]

    def _nearest_to(self, place: float) -> int:
        return min(self.steps, key=lambda step: abs(steps_axis.exactly(step) - place))

    def curve(self, values: Mapping[int, float | None], low: float | None = None, high: float | None = None) -> Text:
        """Blocks from low to high (not given: the smallest and largest of `values`); `·` where there is none (yet).

        With both given, what is at nine tenths of the way or more is green: the usual τ of CKA.
        """
        from rich.text import Text

        known = tidy.numbers_or_none(values.get(step) for step in self._nearest)
        line = Text(cells.sparkline(known, low, high, at_most=len(known)))
        for place, value in enumerate(known):
            if value is None:
                line.stylize("dim", place, place + 1)
            elif low is not None and high is not None and value >= low + _SETTLED * (high - low):
                line.stylize("green", place, place + 1)
        return line

    def phases(self, phases: pd.DataFrame) -> Text:
        """The phase of each cell as a mark: `╱` rising, `╲` falling, `▲` and `▼` sharply so, `─` flat.

        phases: rows of one curve, columns start, end, label. Cells before its first and after its last step are blank.
        """
        from rich.text import Text

        from phasescope.reports.kit.cells import colour_of

        line = Text()
        for place in self._places:
            label = _label_at(phases, place)
            line.append(_mark(label) if label else " ", style=colour_of(label) if label else "")
        return line

    def ticks(self) -> Text:
        """Some of the steps, each where its cell begins."""
        from rich.text import Text

        width = len(self._places)
        line = [" "] * width
        free = width
        for step in reversed(steps_axis.ticks(self.steps, max(width // 7, 2))):
            word = steps_axis.label(step)
            start = min(self._nearest.index(step), width - len(word)) if step in self._nearest else width
            if start + len(word) <= free:
                line[start : start + len(word)] = word
                free = start - 1
        return Text("".join(line), "dim")


def axis_word() -> str:
    """What stands beside the ticks of a line: `step (log)`."""
    return f"{counting.noun()} (log)"


def picture(title: str, rows: Sequence[tuple[str, Text, object]], caption: str = "") -> Table:
    """Lines below each other: what each is, the line, and what it says in words."""
    from rich.text import Text

    made = cells.table(title, "", "", "", header=False, caption=caption)
    for column in made.columns[:2]:
        column.no_wrap = True
    for name, line, said in rows:
        made.add_row(Text(name), line, said if isinstance(said, Text) else cells.plain(said))
    return made


def phase_words(phases: pd.DataFrame) -> Text:
    """The phases one after the other, in the colours of the line above: `rising to 32, falling to 1000`."""
    from rich.text import Text

    from phasescope.reports.kit.cells import colour_of, step_text

    words: list[Text] = []
    for row in phases.sort_values("start").to_dict("records"):
        word = cells.plain(_named(row))
        word.stylize(colour_of(str(row["label"])))
        words.append(word.append(f" to {step_text(float(row['end']))}", style="default"))
    return Text(", ").join(words)


def _named(row: dict[Any, Any]) -> str:
    """A phase that has a name by its name, with the mark of its line."""
    return f"{_mark(str(row['label']))} {row.get('name') or row['label']}"


def _label_at(phases: pd.DataFrame, place: float) -> str:
    step = steps_axis.back(place)
    # The first and the last cell are exact only up to rounding.
    room = 1e-6 * (1 + step)
    inside = phases[(phases["start"] <= step + room) & (phases["end"] >= step - room)]
    return str(inside.sort_values("start")["label"].iloc[-1]) if len(inside) else ""


def _mark(label: str) -> str:
    trend = label.split()[-1]
    return _SHARP.get(trend, _MARKS[trend]) if label.startswith("sharply") else _MARKS[trend]
