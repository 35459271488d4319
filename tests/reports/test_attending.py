"""Figures mark layers that have windows or no positions, and say what the marks mean."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import torch

import phasescope as ps
from phasescope.reports.convergence import ANSWER
from phasescope.reports.kit.answer import Scope
from phasescope.reports.kit.attending import attending_of, marks, marks_sentence, with_marks
from phasescope.reports.kit.panels import Panel
from phasescope.reports.kit.step_map import step_map
from phasescope.reports.kit.tables import read_tables
from tests.conftest import make_tokenizer
from tests.hooks import zoo

ROWS = 320


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, texts_file: Path) -> ps.Run:
    """Of a Cohere 2: its first layer has windows, its second attends to all without positions."""
    root = tmp_path_factory.mktemp("windows")
    for step in (1, 2, 4):
        folder = root / "toy" / "tiny" / "seed1" / f"step{step}"
        model = zoo.make("Cohere 2", vocab_size=ROWS)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)) / step)
        model.save_pretrained(folder)
        make_tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    made = ps.capture(
        root / "toy", texts=texts_file, out=root / "run", sites="attn_out,mlp_out,pattern", sequences=6, context=12
    )
    assert not made.manifest["failed"]
    return made


def test_maps_of_attention_mark_layers(run: ps.Run) -> None:
    told = attending_of(run, "tiny")
    assert told == {0: ("sliding:4", "rotary"), 1: ("full", "none")}
    parts = {
        part.key: part
        for section in ANSWER.sections
        if section.chapter == "size"
        for part in section.parts(Scope(run, read_tables(run).of_size("tiny"), "tiny"))
    }
    panels = {panel.title: panel for key in ("convergence", "heads") for panel in parts[key].panels}
    for name in ("attn_out", "pattern", "pattern by head"):
        assert panels[name].figure.layout["yaxis"]["ticktext"] == ["L0 w4", "L1 np"]
        assert panels[name].caption.endswith(
            "Behind layers, w4: the layer attends to the last 4 tokens; np: attention is told nothing of positions."
        )
        panels[name].figure.plotly()
    assert panels["mlp_out"].figure.layout["yaxis"]["ticktext"] == ["L0", "L1"]


def test_marks_of_each_kind() -> None:
    told = {
        0: ("full", "rotary"),
        1: ("chunked:8192", "rotary"),
        2: ("sliding:512", "none"),
        3: ("full", "learned"),
        4: ("full", "none"),
    }
    assert marks(told) == {1: "c8192", 2: "w512 np", 4: "np"}
    assert marks_sentence(told) == (
        "Behind layers, c8192: the layer attends to its chunk of 8192 tokens; w512: the layer attends to the last 512 "
        "tokens; np: attention is told nothing of positions."
    )


def test_models_that_attend_to_all_have_no_marks() -> None:
    table = pd.DataFrame({"seed": 1, "step": [1, 2], "layer": 0, "head": None, "value": [0.1, 0.2]})
    panel = Panel("attn_out", "A caption.", step_map(table, "value")[0], source="convergence")
    assert with_marks(panel, {0: ("full", "rotary")}) is panel
    assert with_marks(panel, {}) is panel
