"""Progress: in a notebook that has no ipywidgets, in a log, and none."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from rich.progress import Progress

from phasescope import console
from phasescope.errors import BadArgumentError

CELL = """
import time, warnings
warnings.simplefilter("error")
from phasescope.console import progress
with progress(4, "reading <all>", "checkpoints") as tracker:
    for number in range(4):
        tracker.doing(f"step {number}")
        tracker.advance(failed=number == 2)
"""


def test_progress_is_drawn_below_the_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    (shown,) = notebook.cells[0].outputs  # one, which was redrawn
    html = shown.data["text/html"]
    assert html.startswith('<progress value="4" max="4">')
    assert "4/4 checkpoints · step 3 · 1 failed" in html


SLOW = """
import sys, time
from phasescope import console
style, total, broken = sys.argv[1], int(sys.argv[2]) or None, len(sys.argv) > 3
console._FIRST_LINE, console._BETWEEN_LINES = 0.05, 0.1
console.show_progress(None if style == "python" else style)
console.stage("1 of 1: reading")
with console.progress(total, "reading", "checkpoints") as tracker:
    for number in range(total or 4):
        tracker.doing(f"step {number}")
        time.sleep(0.15)
        tracker.advance(failed=number == 2)
        if broken and number == 2:
            raise KeyboardInterrupt
"""


def shown(style: str, total: int = 4, *more: str) -> list[str]:
    """What a program that makes progress writes to a stderr that is no terminal, line by line; stdout stays empty."""
    done = subprocess.run([sys.executable, "-c", SLOW, style, str(total), *more], capture_output=True, text=True)
    assert done.stdout == ""
    assert done.returncode == (0 if not more else -2), done.stderr  # -2: ended by SIGINT, as Python ends itself
    return done.stderr.splitlines()


@pytest.mark.parametrize("style", ["auto", "lines"])
def test_lines_say_how_far_it_is(style: str) -> None:
    lines = [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", "", line) for line in shown(style)]
    assert lines[0] == "1 of 1: reading"
    told = r"reading: [0-4] of 4 checkpoints(, 1 failed)?(, [\d.]+ checkpoints/(s|min), [\d.]+ s left)? \(step [0-3]\)"
    assert len(lines) >= 3
    assert all(re.fullmatch(told, line) for line in lines[1:-1]), lines
    assert re.fullmatch(r"reading: 4 of 4 checkpoints, 1 failed, in [\d.]+ s", lines[-1])


def test_the_rate_is_that_of_the_last_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten a minute for an hour, then one a minute; nothing for a while; then the rest at once."""
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    bar = Progress(disable=True)
    task = bar.add_task("training", total=1000, failed=0)
    lines = console._Lines(bar.tasks[0], "training", "steps")
    lines._begun, now = now, 2.0
    assert lines._line() == "training: 0 of 1000 steps"
    said = []
    for half_minute in range(1, 180):
        now = 30.0 * half_minute
        rate = 10 if half_minute <= 120 else 1 if half_minute <= 150 else 0
        bar.update(task, advance=rate / 2)
        said.append(lines._line())
    assert said[119].startswith("training: 600 of 1000 steps, 10.0 steps/min, 40 min 0 s left")
    assert said[149].startswith("training: 615 of 1000 steps, 1.0 steps/min, 6 h 25 min left")
    # Of no rate there would be no time left: then the mean since the beginning, 615 steps in 89.5 min.
    assert said[178].startswith("training: 615 of 1000 steps, 6.9 steps/min, 56 min 2 s left")
    bar.update(task, completed=1000, failed=3)
    now += 1
    assert "1000 of 1000 steps, 3 failed, " in lines._line()
    assert "0.0 s left" in lines._line()


def test_lines_where_nobody_knows_how_much_there_is() -> None:
    lines = shown("lines", 0)
    assert re.search(
        r" reading: [0-4] checkpoints(, 1 failed)?(, [\d.]+ checkpoints/(s|min))? \(step [0-3]\)$", lines[-2]
    )
    assert re.search(r" reading: 4 checkpoints, 1 failed, in [\d.]+ s$", lines[-1])


def test_lines_end_with_what_ended_them() -> None:
    lines = shown("lines", 4, "broken")
    last = next(line for line in reversed(lines) if "reading: " in line)
    assert re.search(r"reading: 3 of 4 checkpoints, 1 failed, stopped after [\d.]+ s$", last)


@pytest.mark.parametrize("style", ["none", "python"])
def test_silence_where_it_is_asked_for_and_from_python(style: str) -> None:
    assert shown(style) == []


def test_a_bar_is_drawn_where_it_is_asked_for_though_there_is_no_terminal() -> None:
    text = "\n".join(shown("bar"))
    assert "━" in text
    assert "4/4" in text


def test_what_is_done_at_once_leaves_no_line() -> None:
    code = (
        "from phasescope import console\nconsole.show_progress('lines')\n"
        "with console.progress(3, 'reading', 'files') as tracker: tracker.advance(3)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("speed", "said"), [(9.34, "9.3 steps/s"), (0.5, "30.0 steps/min"), (0.01, "36.0 steps/h"), (1.0, "1.0 steps/s")]
)
def test_rates(speed: float, said: str) -> None:
    assert console._rate(speed, "steps") == said


def test_an_unknown_style_is_refused() -> None:
    with pytest.raises(BadArgumentError, match="Did you mean lines"):
        console.show_progress("line")  # type: ignore[arg-type]
