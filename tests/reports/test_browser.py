"""The report in a real browser: drawn, without errors, without the network, and following the reader's choices."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phasescope.reports import write_report
from phasescope.reports.kit import tidy
from tests.accessibility import serious
from tests.reports.browser import choose_last, eventually, figures, look_through, reading
from tests.reports.tables import SyntheticRun, make_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FOLDED = {
    "0.4m",
    "blimp",
    "Phases of unigram",
    "W_Q (weight)",
    "W_K (weight)",
    "W_V (weight)",
    "W_O (weight)",
    "W_E and W_U",
}


@pytest.mark.parametrize("packed", [False, True])
def test_the_page_draws_itself_and_follows_choices(
    browser: Browser, tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    depths = {"0.4m": 2, "1.6m": 2}
    run = make_run(
        tmp_path, depths=depths, heads=2, seeds=(1, 2), steps=(0, 4, 16, 64), components=("mlp_out", "ov_out")
    )
    if packed:
        monkeypatch.setattr("phasescope.reports.page.html._LARGE", 1_000_000)
        run = replace(run, tables={name: run.table(name) for name in ("convergence", "settling", "surprisal")})
    with reading(browser, write_report(run, tmp_path / "report.html")) as page:

        def drawn_but_for_the_folded() -> None:
            for figure in figures(page):
                assert figure["drawn"] == (figure["title"] not in FOLDED), figure["title"]
            cells = _heatmap(figures(page))
            assert cells["hover"] == ["L1", 16]
            assert cells["z"][1][2] == pytest.approx(_cka(run, "cka").median(), abs=5e-4)

        def drawn_as_chosen() -> None:
            for figure in figures(page):
                if figure["title"] == "blimp":  # has no such metric, and says so
                    continue
                assert figure["drawn"], figure["title"]
                assert figure["wide"] == figure["room"] > 500
            cells = _heatmap(figures(page))
            assert cells["hover"] == ["L1", 16]
            assert cells["z"][1][2] == pytest.approx(_cka(run, "cka_debiased", seed=2).item(), abs=5e-4)

        look_through(page)
        eventually(drawn_but_for_the_folded)
        choose_last(page)
        look_through(page)
        eventually(drawn_as_chosen)


@pytest.mark.slow
def test_nothing_keeps_people_out_of_the_page(browser: Browser, small: SyntheticRun, tmp_path: Path) -> None:
    report = write_report(small, tmp_path / "report.html")
    # In the dark the same page has other colours, and nothing else.
    for scheme, rules in (("light", ()), ("dark", ("color-contrast",))):
        with reading(browser, report, color_scheme=scheme) as page:
            choose_last(page)
            look_through(page)
            eventually(lambda page=page: _all_drawn(page))
            assert serious(page, *rules) == []


def _all_drawn(page: Page) -> None:
    assert all(figure["drawn"] or figure["title"] == "blimp" for figure in figures(page))


def test_the_first_screen_is_the_picture_and_three_sentences(
    browser: Browser, small: SyntheticRun, tmp_path: Path
) -> None:
    report = write_report(small, tmp_path / "report.html")
    with reading(browser, report) as page:
        eventually(lambda: _seen(page, ".first .main-svg"))
        sentences = page.locator(".told li")
        assert sentences.count() == 3
        for place in (page.locator(".first .plot"), sentences.last):
            box = place.bounding_box()
            assert box is not None
            assert box["y"] + box["height"] <= 1000
        assert page.locator("details[open]").count() == 0


def _seen(page: Page, what: str) -> None:
    assert page.locator(what).first.is_visible()


@pytest.mark.slow
def test_a_telephone_and_paper_cut_nothing_off(browser: Browser, small: SyntheticRun, tmp_path: Path) -> None:
    report = write_report(small, tmp_path / "report.html")
    with reading(browser, report, width=390) as page:
        choose_last(page)
        look_through(page)
        eventually(lambda: _all_drawn(page))
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate(_CUT) == []
    with reading(browser, report) as page:
        page.emulate_media(media="print")
        page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        eventually(lambda: _all_drawn(page))
        widths = {round(figure["wide"]) for figure in figures(page) if figure["drawn"]}
        assert widths == {319, 660}


# Titles of axes and labels of ticks that stick out of their figure.
_CUT = """() => [...document.querySelectorAll(".plot")].flatMap((plot) => {
  const { left, right } = plot.getBoundingClientRect();
  const titles = plot.querySelectorAll(".xtitle, .x2title, .xtick text, .x2tick text");
  return [...titles].filter((title) => {
    const box = title.getBoundingClientRect();
    return box.left < left - 1 || box.right > right + 1;
  }).map((title) => `${plot.getAttribute("aria-label")}: ${title.textContent}`);
})"""


def _heatmap(seen: list[dict[str, Any]]) -> dict[str, Any]:
    return next(figure for figure in seen if figure["title"] == "mlp_out" and figure["type"] == "heatmap")


def _cka(run: SyntheticRun, column: str, seed: int | None = None) -> Any:
    table = tidy.whole(run.table("convergence"))
    return tidy.of(table, size="0.4m", component="mlp_out", layer=1, step=16, seed=seed)[column]


def test_the_page_is_dark_where_the_reader_wants_it(browser: Browser, tmp_path: Path) -> None:
    run = make_run(tmp_path, depths={"0.4m": 2}, heads=2, seeds=(1,), steps=(0, 4), components=("mlp_out",))
    report = write_report(run, tmp_path / "report.html")
    for scheme, ink in (("light", "rgb(27, 31, 38)"), ("dark", "rgb(231, 234, 238)")):
        with reading(browser, report, color_scheme=scheme) as page:
            assert page.evaluate("getComputedStyle(document.body).color") == ink
