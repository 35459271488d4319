"""The terminal: messages and progress go to stderr, so that stdout stays machine-readable."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID

# Seconds between two drawings in a notebook, each of which is a message to a browser.
_REDRAW = 0.2


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
    _shown: Callable[[], None] = lambda: None

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
        self._shown()

    def _describe(self) -> None:
        self._progress.update(self._task, description=" · ".join(filter(None, (self._doing, self._beside))))
        self._shown()


@contextmanager
def progress(total: int, doing: str, unit: str) -> Iterator[Tracker]:
    """A progress display: what is being done, how many of `total` done, failed and left, rate, time left.

    It is live in a terminal and in a notebook, and silent where stderr is neither.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
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
        disable=not stderr().is_terminal,
    )
    with bar:
        task = bar.add_task(doing, total=total, failed=0)
        if not (stderr().is_jupyter and total):
            yield Tracker(bar, task, _doing=doing)
            return
        drawing = _NotebookBar(bar.tasks[0], unit)
        try:
            yield Tracker(bar, task, _doing=doing, _shown=drawing.redraw)
        finally:
            drawing.redraw(last=True)


class _NotebookBar:
    """The same as HTML below a cell. rich's own needs ipywidgets, which a notebook need not have."""

    def __init__(self, task: Task, unit: str) -> None:
        from IPython.display import display

        self._task, self._unit, self._drawn = task, unit, time.monotonic()
        self._handle = display(self._html(), display_id=True)

    def redraw(self, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._drawn >= _REDRAW:
            self._drawn = now
            self._handle.update(self._html())

    def _html(self) -> object:
        from IPython.display import HTML

        task, total = self._task, int(self._task.total or 0)
        said = [f"{int(task.completed)}/{total} {self._unit}", task.description]
        said += [f"{task.fields['failed']} failed"] if task.fields.get("failed") else []
        if task.time_remaining and not task.finished:
            said += [f"{task.time_remaining:.0f} s left"]
        elif task.elapsed:
            said += [f"{task.elapsed:.1f} s"]
        return HTML(
            f'<progress value="{int(task.completed)}" max="{max(total, 1)}"></progress> {escape(" · ".join(said))}'
        )
