"""OLMo 3's configurations that name one base of rotary positions: those of files before transformers 5, and by hand.

transformers 5.24.0 uses `rope_theta` for layers that attend to all and 500 000 for those of windows (4.57.1: for both),
and of `rope_parameters` with one `rope_theta` nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from phasescope.errors import BadCheckpointError
from phasescope.suites import Checkpoint
from phasescope.suites.load import load_config, load_model

ONE = {"rope_type": "default", "rope_theta": 10_000.0}
KINDS = ("full_attention", "sliding_attention")


def saved(folder: Path, **told: Any) -> torch.Tensor:
    """Logits of a model whose layers all have the base 10 000, and a file that says it in other words."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "olmo3", vocab_size=64, hidden_size=32, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=2,
        intermediate_size=64, sliding_window=8, max_position_embeddings=64, pad_token_id=0, eos_token_id=1,
        rope_parameters={kind: dict(ONE) for kind in KINDS},
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config).eval()
    model.save_pretrained(folder)
    file = folder / "config.json"
    kept = json.loads(file.read_text())
    del kept["rope_parameters"]
    file.write_text(json.dumps(kept | told))
    return said(model)


def said(model: Any) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model(torch.arange(30)[None]).logits
    return logits


def test_one_base_of_an_older_file_is_that_of_all_layers(tmp_path: Path) -> None:
    expected = saved(tmp_path, rope_theta=10_000)
    checkpoint = Checkpoint("mine", "tiny", 0, 8, str(tmp_path))
    assert {load_config(checkpoint).rope_parameters[kind]["rope_theta"] for kind in KINDS} == {10_000}
    torch.testing.assert_close(said(load_model(checkpoint)), expected, rtol=0, atol=0)
    saved(tmp_path, rope_theta=500_000)
    assert not torch.allclose(said(load_model(checkpoint)), expected, atol=1e-4)


def test_a_base_that_no_layer_would_have_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, rope_parameters=ONE)
    with pytest.raises(
        BadCheckpointError, match=r"one rope_theta, 10000, which transformers uses for no layer of olmo3"
    ):
        load_model(Checkpoint("mine", "tiny", 0, 8, str(tmp_path)))


def test_bases_for_each_kind_are_as_they_are_told(tmp_path: Path) -> None:
    expected = saved(tmp_path, rope_parameters=dict.fromkeys(KINDS, ONE))
    torch.testing.assert_close(said(load_model(Checkpoint("mine", "tiny", 0, 8, str(tmp_path)))), expected)
