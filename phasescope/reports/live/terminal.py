"""A live probe in the terminal: a picture that fills while checkpoints come, then tables."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.kit import cells, steps_axis
from phasescope.reports.kit.along_steps import StepCells, axis_word, picture
from phasescope.reports.live.results import record_of

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from phasescope.reports.live.results import LiveResults
    from phasescope.visits.live.probe import LiveReading

# As many tokens as have a cell each in a row of 80.
_MOST_TOKENS = 32
_MOST_STEPS = 24
_NEAR, _FAR = 0.9, 0.5


def follow(results: LiveResults, quiet: bool = False) -> bool:
    """Read on, and show what comes: a picture that is redrawn in a terminal, else a line for each checkpoint.

    quiet: show nothing on stdout, only progress. Returns whether all has come; Ctrl-C ends it before.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    try:
        if quiet:
            results.finish()
        elif console.is_terminal:
            with Live(live_view(results), console=console, transient=True) as shown:
                for _ in results:
                    shown.update(live_view(results))
        else:
            for reading in results:
                console.print(reading_line(reading), soft_wrap=True)
    except KeyboardInterrupt:
        return False
    return True


def live_view(results: LiveResults) -> RenderableType:
    """What has come so far, in a height that does not change: a picture for each seed, and the text."""
    from rich.console import Group

    parts: list[RenderableType] = [_picture(results, size, seed) for size, seed in _trajectories(results)]
    return Group(*parts, _strip(results), "", _progress(results))


def live_table_view(results: LiveResults) -> RenderableType:
    """All that has come: for each seed a picture and a table by steps, then what could not be read."""
    from rich.console import Group

    parts: list[RenderableType] = []
    for size, seed in _trajectories(results):
        parts += [_picture(results, size, seed), _by_step(_of(results, size, seed)), ""]
    for reading in results.readings:
        if reading.reason:
            parts += [cells.plain(f"✗ {reading.reason}")]
    return Group(*parts, _strip(results), "", _progress(results))


def reading_line(reading: LiveReading) -> Text:
    """One checkpoint in a line."""
    if reading.reason:
        return cells.plain(f"{reading.key.label}  ✗ {reading.reason}")
    said = record_of(reading)
    return cells.plain(
        f"{reading.key.label}  CKA {cells.number(said['cka_debiased'])}  cosine {cells.number(said['cosine'])}  "
        f"rank {cells.number(said['effective_rank'], 1)} of {said['largest_rank']}  "
        f"norm {cells.number(said['norm'])}  {said['seconds']:.2f} s"
    )


def _trajectories(results: LiveResults) -> list[tuple[str, int]]:
    return list(dict.fromkeys((checkpoint.size, checkpoint.seed) for checkpoint in results.probe.suite))


def _of(results: LiveResults, size: str, seed: int) -> list[LiveReading]:
    mine = [reading for reading in results.readings if (reading.key.size, reading.key.seed) == (size, seed)]
    return sorted((reading for reading in mine if not reading.reason), key=lambda reading: reading.key.step)


def _picture(results: LiveResults, size: str, seed: int) -> Table:
    suite, readings = results.probe.suite, _of(results, size, seed)
    mine = [one.step for one in suite if (one.size, one.seed) == (size, seed)]
    line = StepCells(counting.current().of(size, step) for step in mine)
    records = {_step(reading): record_of(reading) for reading in readings}
    largest = max((reading.largest_rank for reading in readings), default=0)

    def row(name: str, column: str, digits: int, low: float | None = None, high: float | None = None) -> Any:
        values = {step: record[column] for step, record in records.items()}
        return name, line.curve(values, low, high), _from_to(values, digits)

    against = next((reading.against for reading in readings), None)
    caption = "CKA (debiased) and cosine to the state at " + (
        "the last step" if against is None else counting.at(counting.current().of(readings[0].key.size, against))
    )
    caption += ", from 0 to 1." + (f" Rank: effective, {largest} at most." if largest else "")
    rows = [
        row("CKA", "cka_debiased", 2, 0, 1),
        row("cosine", "cosine", 2, 0, 1),
        row("rank", "effective_rank", 1),
        row("norm", "norm", 2),
        ("", line.ticks(), axis_word()),
    ]
    return picture(f"{results.title}, seed {seed}", rows, caption)


def _step(reading: LiveReading) -> int:
    """Where in training it is, in what is counted."""
    return counting.current().of(reading.key.size, reading.key.step)


def _from_to(values: dict[int, Any], digits: int) -> str:
    """The number at the first and at the last step there is."""
    known = [values[step] for step in sorted(values) if cells.known(values[step])]
    return " → ".join(f"{value:.{digits}f}" for value in (known[:1] + known[-1:] if len(known) > 1 else known))


def _by_step(readings: list[LiveReading]) -> Table:
    """Numbers by steps; in the last column each token's cosine to its final state."""
    most = max((len(reading.norms) for reading in readings if reading.norms is not None), default=0)
    note = f", the first {_MOST_TOKENS} of {most}" if most > _MOST_TOKENS else ""
    table = cells.table(
        "", f">{counting.noun()}", ">CKA", ">cosine", ">rank", ">norm", "tokens",
        caption=f"Tokens: the cosine of each with its final state, from 0 to 1{note}.",
    )  # fmt: skip
    kept = set(steps_axis.thin([_step(reading) for reading in readings], _MOST_STEPS) if readings else [])
    for reading in readings:
        if _step(reading) in kept:
            said = record_of(reading)
            blocks = cells.sparkline(said["cosines"][:_MOST_TOKENS], 0, 1, at_most=_MOST_TOKENS)
            numbers = [cells.number(said["cka_debiased"]), cells.number(said["cosine"])]
            numbers += [cells.number(said["effective_rank"], 1), cells.number(said["norm"], 2)]
            table.add_row(counting.label(_step(reading)), *numbers, blocks)
    return table


def _strip(results: LiveResults) -> Text:
    """The text, its tokens apart, each in the colour of its cosine at the step at which they differ most."""
    from rich.text import Text

    read = [reading for reading in results.readings if not reading.reason and reading.against != reading.key.step]
    shown = max(read, key=lambda reading: _spread(record_of(reading)["cosines"]), default=None)
    size = shown.key.size if shown else results.probe.suite.sizes[0]
    pieces = results.probe.texts[size].pieces[: 4 * _MOST_TOKENS]
    cosines = record_of(shown)["cosines"][: len(pieces)] if shown else []
    strip = Text()
    strip.append(f"At {counting.at(_step(shown))}, where tokens differ most: " if shown else "The text: ", "dim")
    for piece, cosine in itertools.zip_longest(pieces, cosines):
        word = cells.plain(piece.replace("\n", "⏎"))
        word.stylize(_colour(cosine))
        strip.append_text(word).append("│", "dim")
    return strip.append(" green: cosine ≥ 0.9, magenta: < 0.5" if shown else "", "dim")


def _spread(values: list[float | None]) -> float:
    known = [value for value in values if value is not None]
    return max(known) - min(known) if known else -1.0


def _colour(cosine: float | None) -> str:
    if cosine is None:
        return ""
    return "green" if cosine >= _NEAR else "magenta" if cosine < _FAR else "blue"


def _progress(results: LiveResults) -> Text:
    """How many checkpoints are there, and what one takes."""
    read = [reading for reading in results.readings if not reading.reason]
    bad = len(results.readings) - len(read)
    said = f"{len(read)} of {len(results)} checkpoints" + (f", {bad} could not be read" if bad else "")
    if read:
        # The first pays for imports and, on the hub, for the tokenizer.
        usual = sorted(reading.seconds for reading in read)[len(read) // 2]
        said += f", the first after {read[0].seconds:.2f} s, then {usual:.2f} s each"
    return cells.plain(f"{said}.")
