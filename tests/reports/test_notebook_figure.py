from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.reports.browser import reading

MADE = """
import sys
from pathlib import Path
from phasescope.reports.kit.drawing import Drawing, scatter
pages = []
for name in ("first", "second"):
    figure = Drawing([scatter(x=[0, 1], y=[1, 2], name="</script>")], {"height": 300, "title": {"text": name}}).plotly()
    bundle = figure._repr_mimebundle_()
    assert bundle["application/vnd.plotly.v1+json"]["layout"]["title"]["text"] == name
    pages.append(bundle["text/html"])
assert len(pages[0]) > 1e6 > 1e5 > len(pages[1])  # the first brings the script
chosen = pages[1:] if "alone" in sys.argv else pages
Path(sys.argv[1]).write_text("<!DOCTYPE html><meta charset='utf-8'>" + "".join(chosen))
"""


def made(page: Path, *chosen: str) -> Path:
    subprocess.run([sys.executable, "-c", MADE, str(page), *chosen], check=True)
    return page


def test_figures_draw_themselves_without_plotly_and_without_a_network(browser: Browser, tmp_path: Path) -> None:
    with reading(browser, made(tmp_path / "cells.html"), height=900) as page:
        page.wait_for_function("document.querySelectorAll('.main-svg .scatterlayer .trace').length === 2")
        assert page.locator(".gtitle").all_text_contents() == ["first", "second"]


def test_a_figure_whose_script_is_gone_says_so(browser: Browser, tmp_path: Path) -> None:
    with reading(browser, made(tmp_path / "alone.html", "alone"), height=900) as page:
        page.get_by_text("restart the kernel and run all cells").wait_for()


CELLS = (
    "from phasescope.reports.kit.drawing import Drawing, scatter\nDrawing([scatter(x=[0], y=[1])], {}).plotly()",
    "Drawing([scatter(x=[0], y=[1])], {})",
    "import plotly.io\nplotly.io.renderers.default = 'json'\nDrawing([scatter(x=[0], y=[1])], {}).plotly()",
)


def test_a_cell_that_ends_with_a_figure_has_both_ways_of_showing_it_unless_another_was_chosen() -> None:
    """In a real kernel: what IPython takes of an object that offers several is not what each of them says."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    shown: list[dict[str, Any]] = [cell.outputs[-1]["data"] for cell in notebook.cells]
    for data in shown[:2]:
        assert {"application/vnd.plotly.v1+json", "text/html"} <= set(data)
    assert len(shown[0]["text/html"]) > 1e6
    assert "text/html" not in shown[2]
