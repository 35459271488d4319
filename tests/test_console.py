"""Progress in a notebook that has no ipywidgets."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

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
