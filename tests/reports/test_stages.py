"""Axes named for what they count, and stages behind figures."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

from phasescope import capture, counting, open_run
from phasescope.reports import layer_figure
from phasescope.reports.kit import steps_axis
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.stages import staged
from phasescope.reports.kit.tokens_read import counting_of

STAGES = {"stages": {"7b": [["stage1", 0, 1000], ["stage2", 1100, 1500]]}, "sizes": ["7b"]}


def figure() -> Drawing:
    steps = [0, 10, 1000, 1100, 1500]
    table = pd.DataFrame({"seed": 0, "step": steps, "cka": 0.5, "low": 0.4, "high": 0.6, "estimator": "biased"})
    return layer_figure(table.assign(shuffled=0.1))


def by_hand() -> Drawing:
    """As a plug-in may draw it, which knows of steps alone."""
    return Drawing([], {"xaxis": {"title": {"text": steps_axis.TITLE}, "range": [0, 3]}, "height": 100})


@pytest.mark.parametrize(
    ("unit", "title"),
    [
        ("steps", steps_axis.TITLE),
        ("words", "words read (log scale, with 0)"),
        ("chunks", "chunks of the data (log scale, with 0)"),
        ("pages", "pages (log scale, with 0)"),
    ],
)
def test_the_axis_is_called_for_what_it_counts(unit: str, title: str) -> None:
    with counting.showing(counting_of({"unit": unit})):
        drawn = staged(figure(), {})
        assert drawn.layout["xaxis"]["title"]["text"] == title
        assert staged(by_hand(), {}).layout["xaxis"]["title"]["text"] == title
    noun = {"steps": "step", "words": "word", "chunks": "chunk"}.get(unit, unit)
    assert drawn.data[-1]["hovertemplate"].startswith(f"{noun} %{{customdata[0]")
    drawn.plotly()  # checked against plotly's schema


def test_stages_are_bands_with_their_names() -> None:
    before = figure()
    drawn = staged(before, STAGES, "7b")
    more = drawn.layout["shapes"][len(before.layout.get("shapes", ())) :]
    border, end = steps_axis.position(1000), steps_axis.position(1500)
    assert [(one["type"], one["x0"], one["x1"]) for one in more] == [("rect", border, end), ("line", border, border)]
    words = [one["text"] for one in drawn.layout["annotations"][len(before.layout.get("annotations", ())) :]]
    assert words == ["stage1"]  # the band of stage2 has no room for a word
    drawn.plotly()
    assert staged(before, STAGES).layout == drawn.layout
    assert staged(before, STAGES, "1b") == before
    assert staged(before, {**STAGES, "sizes": ["1b", "7b"]}) == before


def test_a_figure_without_steps_stays_as_it_is() -> None:
    other = Drawing([], {"xaxis": {"title": {"text": "layer"}}, "height": 100})
    assert staged(other, STAGES, "7b") is other


def test_a_run_knows_its_unit_and_stages(tmp_path: Path) -> None:
    from tests.suites.conftest import tiny_model, tiny_tokenizer

    tiny_model().config.save_pretrained(tmp_path / "mine")
    tiny_tokenizer().save_pretrained(tmp_path / "mine")
    for name in ("stage1-step1", "stage1-step2", "stage2-step1"):
        torch.save(tiny_model(seed=len(name)).state_dict(), tmp_path / "mine" / f"{name}.pt")
    (tmp_path / "texts.txt").write_text("the cat sat on the mat. " * 40)
    texts, out = tmp_path / "texts.txt", tmp_path / "run"
    capture(tmp_path / "mine", texts, out, steps=[1, 2], sequences=4, context=16)
    capture(tmp_path / "mine", texts, out, sequences=4, context=16)
    manifest = open_run(out).manifest
    assert manifest["stages"] == {"mine": [["stage1", 1, 2], ["stage2", 3, 3]]}
    assert "unit" not in manifest
    words = tmp_path / "words"
    words.mkdir()
    tiny_model().save_pretrained(words / "chck_1M")
    tiny_tokenizer().save_pretrained(words / "chck_1M")
    run = capture(words, texts, tmp_path / "run2", sequences=4, context=16)
    assert (run.manifest["unit"], run.steps("words")) == ("words", [1_000_000])
