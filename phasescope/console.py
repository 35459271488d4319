"""The terminal: messages and progress go to stderr, so that stdout stays machine-readable."""

from __future__ import annotations

import functools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, Task, TaskID

from phasescope.errors import BadArgumentError, did_you_mean

ProgressStyle = Literal["auto", "bar", "lines", "none"]
PROGRESS_STYLES: tuple[ProgressStyle, ...] = get_args(ProgressStyle)
# Seconds between two drawings in a notebook, each of which is a message to a browser.
_REDRAW = 0.2
# Seconds until the first line, so that what is done in no time leaves none; and from one line to the next.
_FIRST_LINE, _BETWEEN_LINES = 2.0, 30.0
# How many lines back the rate is taken from: five minutes, so that what went fast or slowly at first is forgotten.
_RATE_OVER = 10
_style: ProgressStyle | None = None


@functools.cache
def stderr() -> Console:
    """The console for people: messages, warnings, progress."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def show_progress(style: ProgressStyle | None) -> None:
    """How progress is shown on stderr from now on.

    style: `bar`; `lines` for logs (one every 30 s: done, failed, rate, time left); `none`; `auto`: a bar in a terminal
        or notebook, else lines; None, as at first: a bar in a terminal or notebook, else nothing.

    >>> import phasescope as ps
    >>> ps.show_progress("lines")  # doctest: +SKIP
    """
    global _style
    if style not in (None, *PROGRESS_STYLES):
        raise BadArgumentError(f"Progress is not shown as {style!r}. {did_you_mean(style, PROGRESS_STYLES)}")
    _style = style


def _shown_as() -> ProgressStyle:
    """`bar`, `lines` or `none`."""
    if _style is not None and _style != "auto":
        return _style
    if stderr().is_terminal or stderr().is_jupyter:
        return "bar"
    return "lines" if _style == "auto" else "none"


def stage(what: str) -> None:
    """Say, where progress is shown as lines, which part of a long job begins now."""
    if _shown_as() == "lines":
        _say(what)


def duration(seconds: float) -> str:
    """`41.7 s`, `12 min 5 s`, `3 h 20 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number of things: `1 checkpoint`, `2,310 checkpoints`, `1 entry`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def too_few(number: int, noun: str) -> str:
    """`1 sample is too few`, `3 samples are too few`."""
    return f"{counted(number, noun)} {'is' if number == 1 else 'are'} too few"


def none_of(number: int, noun: str) -> str:
    """`None of the 3 checkpoints`, `No checkpoint`."""
    return f"No {noun}" if number == 1 else f"None of the {number:,} {noun}s"


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
def progress(total: int | None, doing: str, unit: str) -> Iterator[Tracker]:
    """A progress display: what is being done, how many of `total` done, failed and left, rate, time left.

    total: None where nobody knows. How it is shown, and whether: `show_progress`.
    """
    from rich.console import Console
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
            return Text(_rate(speed, unit) if speed else "", "cyan")

    class Failed(ProgressColumn):
        def render(self, task: Task) -> Text:
            failed = task.fields.get("failed", 0)
            return Text(f"{failed} failed", "red") if failed else Text("")

    style = _shown_as()
    console = stderr()
    if style == "bar" and not (console.is_terminal or console.is_jupyter):
        console = Console(stderr=True, highlight=False, force_terminal=True)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Failed(), Rate()]
    left = [TextColumn("left"), TimeRemainingColumn()] if total is not None else []
    bar = Progress(
        *columns,
        TextColumn("for"),
        TimeElapsedColumn(),
        *left,
        console=console,
        disable=style != "bar" or not console.is_terminal,
    )
    with bar:
        task = bar.add_task(doing, total=total, failed=0)
        lines: AbstractContextManager[object] = nullcontext()
        if style == "lines" and total != 0:
            lines = _Lines(bar.tasks[0], doing, unit)
        if not (style == "bar" and console.is_jupyter and total):
            with lines:
                yield Tracker(bar, task, _doing=doing)
            return
        drawing = _NotebookBar(bar.tasks[0], unit)
        try:
            yield Tracker(bar, task, _doing=doing, _shown=drawing.redraw)
        finally:
            drawing.redraw(last=True)


def _rate(speed: float, unit: str) -> str:
    """Of so many a second: `3.2 steps/s`, `12.0 checkpoints/min`, `2.5 checkpoints/h`."""
    for word, seconds in (("s", 1), ("min", 60)):
        if speed * seconds >= 1:
            return f"{speed * seconds:.1f} {unit}/{word}"
    return f"{speed * 3600:.1f} {unit}/h"


def _say(line: str) -> None:
    """A line for a log: when, and what. In one write, so that lines of several processes do not mix."""
    stderr().print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {line}", markup=False, soft_wrap=True)


class _Lines:
    """Says where a task is every 30 s, from a thread of its own: also while one of its steps takes long."""

    def __init__(self, task: Task, doing: str, unit: str) -> None:
        self._task, self._doing, self._unit = task, doing, unit
        self._ended = threading.Event()
        self._said = 0
        self._marks = deque([(time.monotonic(), 0.0)], maxlen=_RATE_OVER)
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> None:
        self._begun = time.monotonic()
        self._thread.start()

    def __exit__(self, problem: type[BaseException] | None, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._said:
            how = "in" if problem is None else "stopped after"
            _say(f"{self._doing}: {self._count()}, {how} {duration(time.monotonic() - self._begun)}")

    def _run(self) -> None:
        pause = _FIRST_LINE
        while not self._ended.wait(pause):
            _say(self._line())
            self._said += 1
            pause = _BETWEEN_LINES

    def _count(self) -> str:
        task, failed = self._task, self._task.fields.get("failed", 0)
        of = "" if task.total is None else f" of {int(task.total)}"
        return f"{int(task.completed)}{of} {self._unit}" + (f", {failed} failed" if failed else "")

    def _line(self) -> str:
        task, now, said = self._task, time.monotonic(), [self._count()]
        since, before = self._marks[0]
        if task.completed <= before:  # Nothing lately: then since the beginning.
            since, before = self._begun, 0.0
        self._marks.append((now, task.completed))
        if speed := (task.completed - before) / (now - since):
            said.append(_rate(speed, self._unit))
            if task.total is not None:
                said.append(f"{duration((task.total - task.completed) / speed)} left")
        doing = f" ({task.description})" if task.description != self._doing else ""
        return f"{self._doing}: {', '.join(said)}{doing}"


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
