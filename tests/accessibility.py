"""What axe-core, which `make setup` takes from npm, finds wrong with a page for people who hear it or have no mouse."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

AXE = Path(sys.prefix) / "node_modules" / "axe-core" / "axe.min.js"
_ALL = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_RUN = """(runOnly) => axe.run(document, { resultTypes: ["violations"], runOnly }).then(({ violations }) => violations
  .filter(({ impact }) => impact === "serious" || impact === "critical")
  .map(({ id, help, nodes }) => `${id}, ${nodes.length} times: ${help}; first ${nodes[0].target}: ${nodes[0].html}`))"""


def serious(page: Page, *rules: str) -> list[str]:
    """What is serious or critical of what axe-core finds by its rules (all), a sentence for each that is broken."""
    if not AXE.is_file():
        if shutil.which("npm") is None:
            pytest.skip("needs axe-core, and npm to install it")
        pytest.fail(f"{AXE} is not there: make setup installs it.")
    page.evaluate(AXE.read_text(encoding="utf-8") + "; undefined")
    found: list[str] = page.evaluate(_RUN, list(rules) or _ALL)
    return found
