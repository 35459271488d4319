from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
