"""Python on the manual's pages runs, one page after the other block by block, on a small run that is made for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROSE, make_suite, tagged_prose
from tests.docs.pages import ROOT

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PAGES = ("python", "cookbook")


def blocks_in(page: str) -> list[str]:
    return _BLOCK.findall((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `runs/demo` is a run of one size, with seeds and steps as the demonstration has, as small as can be."""
    import phasescope as ps

    place = tmp_path_factory.mktemp("pages")
    make_suite(place / "suite", ("1m",), (1, 2), (0, 8, 64, 512))
    (place / "texts.txt").write_text("\n\n".join(PROSE for _ in range(40)), encoding="utf-8")
    tagged_prose(place / "tagged.jsonl")
    ps.capture(
        place / "suite", texts=place / "tagged.jsonl", out=place / "runs" / "demo", sequences=8, context=16,
        positions="all", keep_weights=True, sites="attn_out,mlp_out,ov_out,z,pattern,mlp_post,resid_post",
    )  # fmt: skip
    return place


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Questions that a page makes known are not there for other tests."""
    yield
    from phasescope.analyses import registry

    registry.forget()


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_runs(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    known: dict[str, object] = {"__name__": "page"}
    for block in blocks_in(page):
        exec(compile(block, f"{page}.md", "exec"), known)


def test_the_cookbook_answers_twenty_questions_in_ten_lines_each() -> None:
    text = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")
    assert len(re.findall(r"^\*\*.+\?\*\*", text, re.MULTILINE)) == 20 == len(blocks_in("cookbook")) - 1
    assert all(len([line for line in block.splitlines() if line.strip()]) <= 10 for block in blocks_in("cookbook"))


def test_every_public_name_is_on_the_page_of_python() -> None:
    import phasescope as ps

    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    missing = [name for name in ps.__all__ if not re.search(rf"^::: phasescope\.[\w.]*\b{name}$", text, re.MULTILINE)]
    assert not missing
