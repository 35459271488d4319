"""A report in a real browser, and what a reader does in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_FIGURES = """() => [...document.querySelectorAll("figure")].map((figure) => {
  const plot = figure.querySelector(".plot"), data = plot.data || [], drawing = plot.querySelector(".main-svg");
  return {
    title: figure.querySelector("h4").textContent,
    drawn: Boolean(drawing),
    room: Math.round(plot.getBoundingClientRect().width),
    wide: drawing ? Math.round(drawing.getBoundingClientRect().width) : 0,
    type: data.length ? data[0].type : null,
    z: data.length && data[0].z ? data[0].z : null,
    hover: data.length && data[0].z ? [data[0].text[1][0], data[0].customdata[1][2]] : null,
  };
})"""
_CHOOSE = """() => {
  document.querySelectorAll("details").forEach((details) => { details.open = true; });
  for (const select of document.querySelectorAll("select")) {
    select.selectedIndex = select.options.length - 1;
    select.dispatchEvent(new Event("change", { bubbles: true }));
  }
}"""
_LOOK = """async () => {
  const shown = () => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
  for (let at = 0; at < document.documentElement.scrollHeight; at += window.innerHeight) {
    window.scrollTo({ top: at, behavior: "instant" });
    await shown();
  }
  window.scrollTo({ top: 0, behavior: "instant" });
  await shown();
}"""


@contextmanager
def reading(browser: Browser, report: Path, *, width: int = 1400, height: int = 1000, **options: Any) -> Iterator[Page]:
    """The page in a window; nothing may go wrong or be asked from elsewhere."""
    wrong: list[str] = []
    context = browser.new_context(viewport={"width": width, "height": height}, offline=True, **options)
    context.set_default_timeout(120_000)  # of milliseconds: no test of how fast
    page = context.new_page()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda asked: None if asked.url == report.as_uri() else wrong.append(asked.url))
    page.goto(report.as_uri())
    yield page
    context.close()
    assert wrong == []


def figures(page: Page) -> list[dict[str, Any]]:
    """What each figure of the page shows now."""
    found: list[dict[str, Any]] = page.evaluate(_FIGURES)
    return found


def choose_last(page: Page) -> None:
    """Open what is folded, and choose the last of everything there is to choose."""
    page.evaluate(_CHOOSE)


def look_through(page: Page) -> None:
    """Scroll from the beginning to the end and back: figures are drawn when they come near."""
    page.evaluate(_LOOK)


def eventually(holds: Callable[[], None], seconds: float = 60) -> None:
    """A page draws when it comes to it: what is asserted has to hold in the end."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            return holds()
        except AssertionError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)
