"""One layer in the terminal while a capture goes on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.kit import cells
from phasescope.reports.kit.along_steps import StepCells, axis_word, picture

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from phasescope.visits.live.watching import Watch

# Seconds between two looks at the folder.
EVERY = 1.0
_MOST_SEEDS = 9


def follow(watch: Watch, quiet: bool = False) -> None:
    """Look again and again until nothing more is to come, or Ctrl-C: a picture in a terminal, else lines.

    quiet: show nothing on stdout.
    """
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    try:
        if console.is_terminal and not quiet:
            with Live(watch_view(watch), console=console, transient=True) as shown:
                while _look(watch):
                    shown.update(watch_view(watch))
        else:
            told = None
            while _look(watch):
                line = _count(watch)
                if not quiet and line.plain != told:
                    console.print(line, soft_wrap=True)
                told = line.plain
    except KeyboardInterrupt:
        return  # Whoever watches ends it so.


def _look(watch: Watch) -> bool:
    """Read what is new; whether more is to come. What has changed is shown at once, the next look is later."""
    if watch.refresh() or watch.done:
        return not watch.done
    time.sleep(EVERY)
    return True


def watch_view(watch: Watch) -> RenderableType:
    """What is there so far: a line for each seed, the effective rank, and how far the capture is."""
    from rich.console import Group

    def told(step: int) -> int:
        return counting.current().of(watch.size, step)

    if not watch.seen:
        return Group(cells.plain(watch.title), _count(watch))
    line = StepCells(map(told, watch.steps))
    rows: list[tuple[str, Text, object]] = []
    for seed in watch.seeds[:_MOST_SEEDS]:
        mine = {step: seen for (of, step), seen in watch.seen.items() if of == seed}
        against = max(seen.against for seen in mine.values())
        curve = line.curve({told(step): seen.cka for step, seen in mine.items()}, 0, 1)
        rows.append(
            (
                f"CKA seed {seed}",
                curve,
                f"with {counting.label(told(against))}; latest {counting.label(told(max(mine)))}",
            )
        )
    first = watch.seeds[0]
    ranks = {told(step): seen.proportional for (of, step), seen in watch.seen.items() if of == first}
    known = [value for value in ranks.values() if cells.known(value)]
    span = f"{min(known):.2f} to {max(known):.2f}" if known else ""
    rows.append((f"rank seed {first}", line.curve(ranks), span))
    rows.append(("", line.ticks(), axis_word()))
    # First, because a caption is broken where its line ends.
    caption = "" if watch.done else "Not final: the step named on the right is of some time ago, and moves on. "
    caption += "CKA with the step on the right, from 0 to 1, green at 0.9 and over. Rank: proportional effective rank."
    parts: list[RenderableType] = [picture(watch.title, rows, caption)]
    if len(watch.seeds) > _MOST_SEEDS:
        parts.append(cells.plain(f"Of {len(watch.seeds)} seeds the first {_MOST_SEEDS}."))
    parts += [
        cells.plain(f"✗ seed {seed}, {counting.at(told(step))}: {why}") for (seed, step), why in watch.problems.items()
    ]
    return Group(*parts, "", _count(watch))


def record_of(watch: Watch) -> dict[str, Any]:
    """What is there, as plain values."""
    rows = [
        {
            "seed": seed,
            "step": step,
            "against": seen.against,
            "cka": seen.cka if cells.known(seen.cka) else None,
            "proportional": seen.proportional if cells.known(seen.proportional) else None,
        }
        for (seed, step), seen in sorted(watch.seen.items())
    ]
    problems = [
        {"seed": seed, "step": step, "reason": reason} for (seed, step), reason in sorted(watch.problems.items())
    ]
    return {
        "site": watch.site.name,
        "size": watch.size,
        "planned": len(watch.planned),
        "done": watch.done,
        "seen": rows,
        "problems": problems,
    }


def _count(watch: Watch) -> Text:
    bad = f", {len(watch.problems)} could not be read" if watch.problems else ""
    there = f"{len(watch.seen)} of {len(watch.planned)} checkpoints of {watch.size} are there{bad}"
    last = counting.current().of(watch.size, max((step for _, step in watch.seen), default=0))
    latest = f"; the latest is {counting.at(last)}" if watch.seen else ""
    return cells.plain(f"{there}{latest}." + (" That is all." if watch.done else ""))
