"""Heads are asked for as behaviour is: in the capture or later, of models that have attention."""

from __future__ import annotations

from pathlib import Path

import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.texts.made.repeats import KIND
from tests.conftest import make_suite

ASKED = {"sequences": 2, "context": 16, "output_sequences": 1, "sites": "resid_post"}


def test_all_asks_for_heads_and_a_later_visit_finds_them(short_suite: Path, texts_file: Path, tmp_path: Path) -> None:
    run = ps.capture(short_suite, texts_file, tmp_path / "run", behaviour="heads", **ASKED)
    later = ps.capture(short_suite, texts_file, tmp_path / "later", **ASKED)
    later.visit("all")
    [items] = run.reader.item_sets(KIND)
    assert later.reader.item_sets(KIND)[0].differences(items) == ""
    for (key, one), (_, other) in zip(run.reader.scores(items), later.reader.scores(items), strict=True):
        assert one.heads, key
        for site, scores in one.heads.items():
            assert scores.shape == (items.items, 2, 5)
            assert (scores == other.heads[site]).all()
            assert ((scores[..., :4] >= 0) & (scores[..., :4] <= 1)).all()


def test_models_without_attention_are_told_or_passed_over(texts_file: Path, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    suite = make_suite(tmp_path / "toy", ("tiny",), (1,), (0,))
    config = AutoConfig.for_model("mamba", hidden_size=16, num_hidden_layers=1, vocab_size=320)
    AutoModelForCausalLM.from_config(config).save_pretrained(suite / "tiny/seed1/step0")
    with pytest.raises(PhasescopeError, match="hand out no pattern of attention: leave heads out of --behaviour"):
        ps.capture(suite, texts_file, tmp_path / "run", behaviour="heads", **ASKED)
    run = ps.capture(suite, texts_file, tmp_path / "run", behaviour="all", **ASKED)
    assert run.reader.item_sets(KIND) == []
    assert run.reader.item_sets("minimal_pairs")


def test_heads_take_no_file(short_suite: Path, texts_file: Path, tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="not on a file"):
        ps.capture(short_suite, texts_file, tmp_path / "run", behaviour="heads=text.txt", **ASKED)
