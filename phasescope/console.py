"""The terminal: messages and progress go to stderr, so that stdout stays machine-readable."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


@functools.cache
def stderr() -> Console:
    """The console for people: messages, warnings, progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@dataclass
class Tracker:
    """Counts what is done and what failed in one progress display."""

    _progress: Progress
    _task: TaskID
    failed: int = 0
    _doing: str = ""
    _beside: str = ""

    def doing(self, what: str) -> None:
        """Say what is being done now."""
        self._doing = what
        self._describe()

    def beside(self, what: str) -> None:
        """Say what goes on at the same time; nothing, if `what` is empty. May be called from another thread."""
        self._beside = what
        self._describe()

    def advance(self, steps: int = 1, *, failed: bool = False) -> None:
        """Count `steps` more as finished, or as failed."""
        self.failed += steps if failed else 0
        self._progress.update(self._task, advance=steps, failed=self.failed)

    def _describe(self) -> None:
        self._progress.update(self._task, description=" · ".join(filter(None, (self._doing, self._beside))))


@contextmanager
def progress(total: int, doing: str, unit: str) -> Iterator[Tracker]:
    """A progress display: what is being done, how many of `total` done, failed and left, rate, time left.

    It is live in a terminal and silent where stderr is not one.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            speed = task.finished_speed or task.speed
            if not speed:
                return Text("")
            return Text(f"{speed:.1f} {unit}/s" if speed >= 1 else f"{60 * speed:.1f} {unit}/min", "cyan")

    class Failed(ProgressColumn):
        def render(self, task: Task) -> Text:
            failed = task.fields.get("failed", 0)
            return Text(f"{failed} failed", "red") if failed else Text("")

    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Failed(), Rate()]
    bar = Progress(
        *columns,
        TextColumn("for"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=stderr(),
        disable=not (stderr().is_terminal or stderr().is_jupyter),
    )
    with bar:
        yield Tracker(bar, bar.add_task(doing, total=total, failed=0), _doing=doing)
