"""The explorer as a person uses it: in a browser, by mouse and by keys."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.accessibility import serious
from tests.explorer.conftest import INJECTION, Served

pytest.importorskip("playwright", reason="needs playwright")
if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WAIT = 60_000


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """A page of a browser that has the token; nothing may go wrong in it, and nothing may be asked of other servers."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="light")
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(served.origin) else wrong.append(asked.url))
    yield page
    context.close()
    assert wrong == []


def look(page: Page, served: Served, asked: str = "") -> None:
    """Open the explorer and wait until the last panel has drawn, and nothing more is asked."""
    from playwright.sync_api import expect

    page.goto(served.address + asked)
    expect(page.locator("#tokens-figure .main-svg").first).to_be_visible(timeout=WAIT)
    expect(page.locator("#neighbours table")).to_be_visible(timeout=WAIT)
    page.wait_for_load_state("networkidle", timeout=WAIT)


def nothing_more(page: Page, asked: list[str]) -> None:
    """Until the page has not asked anything for a while: tokens have their names, for which it asks twice a second."""
    before = -1
    while before != len(asked):
        before = len(asked)
        page.wait_for_timeout(1500)
    asked.clear()


def choose(page: Page, control: str, option: str) -> None:
    page.click(f"#{control}")
    page.locator(".dash-dropdown-option").get_by_text(option, exact=True).click()


def test_a_layer_is_chosen_slid_through_and_kept_in_the_address(page: Page, served: Served, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    look(page, served, "&size=tiny&component=z&layer=1&head=0&step=4")
    assert "token" not in page.url
    expect(page.locator("#step-name")).to_have_text("4")
    # A curve and its interval for each of two seeds.
    expect(page.locator("#convergence-figure .scatterlayer .trace")).to_have_count(5)
    page.locator("#step").get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#step-name")).to_have_text("16")
    expect(page.locator("#spectrum-figure .legend")).to_contain_text("step 16")
    expect(page.locator("#neighbours th.here")).to_have_text("16")
    expect(page.get_by_role("slider", name="Step 16")).to_be_visible()
    expect(page.get_by_role("button", name="Layer 1")).to_be_visible()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(str(request.post_data)) if request.method == "POST" else None)
    nothing_more(page, asked)
    choose(page, "layer", "0")
    expect(page.locator("#convergence-says")).to_contain_text("L0.z head 0 of tiny settles")
    page.wait_for_load_state("networkidle", timeout=WAIT)
    # The choice, then six panels and the choice of bands at the same time; nothing else is asked or drawn anew.
    assert len(asked) == 8
    expect(page).to_have_url(f"{served.origin}/?size=tiny&component=z&layer=0&head=0&seed=1&step=16")
    choose(page, "bands", "surprisal")
    # The label of a phase is text, also where it looks like markup.
    expect(page.locator("#convergence-figure .annotation-text").last).to_have_text("<b>slowly</b>falling")
    page.screenshot(path=tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 20_000


def test_back_undoes_a_choice_and_forward_makes_it_again(page: Page, served: Served) -> None:
    from playwright.sync_api import expect

    look(page, served, "&size=tiny&component=mlp_out&layer=1&step=4")
    first = f"{served.origin}/?size=tiny&component=mlp_out&layer=1&seed=1&step=4"
    second, third = first.replace("layer=1", "layer=0"), first.replace("layer=1", "layer=0").replace("mlp_out", "z")
    choose(page, "layer", "0")
    expect(page).to_have_url(second)
    choose(page, "component", "z")
    expect(page).to_have_url(third)
    for way, address, says in ((page.go_back, second, "L0.mlp_out"), (page.go_back, first, "L1.mlp_out"),
                               (page.go_forward, second, "L0.mlp_out")):  # fmt: skip
        way()
        expect(page.locator("#convergence-says")).to_contain_text(f"{says} of tiny settles")
        expect(page).to_have_url(address)
    # What was seen before is found again by the same way.
    choose(page, "component", "z")
    expect(page).to_have_url(third)
    page.go_back()
    expect(page.locator("#convergence-says")).to_contain_text("L0.mlp_out of tiny settles")
    page.wait_for_load_state("networkidle", timeout=WAIT)


def test_nothing_keeps_people_out_of_the_page(page: Page, served: Served) -> None:
    look(page, served, "&size=tiny&component=z&layer=1&head=0")
    assert serious(page) == []
    page.click("#theme")
    page.click("#layer")
    assert page.locator(".dash-dropdown-option").count() > 1
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.wait_for_function("!document.querySelector('.dash-dropdown-option')")
    page.wait_for_timeout(300)  # until the menu that was closed has given back the focus
    reached = set()
    page.locator("#theme").focus()
    for _ in range(17):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id"))
    assert {"size", "component", "layer", "head", "seed", "bands", "rank-of", "weight", "token"} <= reached


def test_neighbours_say_where_they_stand_and_among_which_words(page: Page, served: Served) -> None:
    look(page, served, "&size=tiny&component=mlp_out&layer=1&step=4")
    cells = page.locator("#neighbours td .place").all_inner_texts()
    assert cells
    assert all(re.fullmatch(r"text [1-8], position \d+", place) for place in cells)
    around = page.locator("#neighbours .around li").all_inner_texts()
    here = [row.locator("td").nth(2) for row in page.locator("#neighbours tbody tr").all()]
    assert len(around) == len(here) > 2
    for told, cell in zip(around, here, strict=True):
        word, _, place = cell.inner_text().splitlines()[0], "", cell.locator(".place").inner_text()
        assert f"[{word}]" in told
        assert place in told


def test_what_is_not_there_is_said_and_the_nearest_is_shown(page: Page, served: Served) -> None:
    from playwright.sync_api import expect

    look(page, served, "&size=tiny&component=mlp_out&layer=99&head=3&step=5&seed=x")
    notices = page.locator("#notices")
    expect(notices).to_contain_text("There is no layer 99 of mlp_out in tiny. The nearest is 1.")
    expect(notices).to_contain_text("mlp_out has no heads: the whole of it is shown.")
    expect(notices).to_contain_text("There is no step 5 of tiny. The nearest is 4.")
    expect(notices).to_contain_text("'x' is no seed")
    expect(page.locator("#layer")).to_contain_text("1")
    look(page, served, f"&component={INJECTION}")
    expect(notices).to_contain_text(f"There is no component {INJECTION!r} in small")


def test_a_damaged_shard_is_named_and_the_other_panels_go_on(page: Page, served: Served) -> None:
    from playwright.sync_api import expect

    look(page, served, "&size=small&seed=2&step=1")
    expect(page.locator("#notices")).to_contain_text("step00000001.h5 is damaged", timeout=WAIT)
    expect(page.locator("#convergence-figure .scatterlayer .trace").first).to_be_visible()


def test_nothing_of_a_text_or_a_folder_is_run(page: Page, served: Served) -> None:
    from playwright.sync_api import expect

    look(page, served)
    # The slash of the folder's name had to be another one.
    expect(page.locator("h1")).to_have_text(INJECTION.replace("/", "⁄"))
    expect(page).to_have_title(INJECTION.replace("/", "⁄") + " · phasescope")
    for seed in page.locator("#seeds input").all():
        seed.uncheck()
    expect(page.locator("#convergence-figure .annotation-text")).to_contain_text("No seed is chosen")
    page.fill("#live-text", INJECTION)
    page.click("#live-go")
    # Without any that is ticked it is the one of single checkpoints.
    expect(page.locator("#live-state")).to_contain_text("done: 4 of 4", timeout=WAIT)
    expect(page.locator("#live-says")).to_contain_text("each token of seed 1")
    assert page.locator("script", has_text="taken").count() == 0


def test_a_text_is_probed_live_by_keys_alone(page: Page, served: Served) -> None:
    from playwright.sync_api import expect

    look(page, served, "&size=tiny&component=mlp_out&layer=1")
    page.locator("#live-text").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("The layers say what the weather is.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#live-state")).to_contain_text("done: 8 of 8 checkpoints of L1.mlp_out", timeout=WAIT)
    expect(page.locator("#live-strip .heatmaplayer image")).to_be_visible()
    expect(page.locator("#live-curves .scatterlayer .trace")).to_have_count(4)
    page.fill("#live-text", "")
    page.click("#live-go")
    expect(page.locator("#live-notes")).to_contain_text("There is no text to read", timeout=WAIT)


def test_light_and_dark_and_narrow(page: Page, served: Served) -> None:
    from playwright.sync_api import expect

    look(page, served)
    paper = page.locator("body")
    expect(paper).to_have_css("background-color", "rgb(244, 245, 247)")
    page.click("#theme")
    expect(paper).to_have_css("background-color", "rgb(15, 18, 22)")
    page.reload()
    expect(paper).to_have_css("background-color", "rgb(15, 18, 22)")
    expect(page.locator("#neighbours table")).to_be_visible(timeout=WAIT)
    page.wait_for_load_state("networkidle", timeout=WAIT)
    wide = page.locator("#convergence-figure .main-svg").first.get_attribute("width") or ""
    page.set_viewport_size({"width": 500, "height": 900})
    # Figures follow a moment later; then nothing is cut off at the side.
    expect(page.locator("#convergence-figure .main-svg").first).not_to_have_attribute("width", wide)
    page.wait_for_timeout(500)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 500
