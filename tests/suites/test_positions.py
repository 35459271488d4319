"""How many tokens a model can read: what its rotary embedding does, asked of models themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from phasescope.suites.positions import UNLIMITED, most_positions


def config_of(model_type: str, **changes: Any) -> Any:
    return AutoConfig.for_model(
        model_type, vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=8, **changes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("model_type", "changes", "most"),
    [
        ("gpt_neox", {}, 8),
        ("llama", {}, 8),
        ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, 8),
        ("llama", {"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, UNLIMITED),
        ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, UNLIMITED),
    ],
)
def test_what_a_configuration_allows(model_type: str, changes: dict[str, Any], most: int) -> None:
    assert most_positions(config_of(model_type, **changes)) == most


def test_models_that_name_no_limit_have_none() -> None:
    assert most_positions(AutoConfig.for_model("bloom")) == UNLIMITED


def test_a_model_of_dynamic_type_reads_beyond_and_changes_its_base_there() -> None:
    """Else it would be a model like others, whose limit is one."""
    tokens = torch.arange(24)[None] % 32
    torch.manual_seed(0)
    dynamic = AutoModelForCausalLM.from_config(config_of("llama", rope_scaling={"rope_type": "dynamic", "factor": 2.0}))
    plain = AutoModelForCausalLM.from_config(config_of("llama"))
    plain.load_state_dict(dynamic.state_dict())
    with torch.no_grad():
        short, long = (tuple(model.eval()(tokens[:, :n]).logits for model in (dynamic, plain)) for n in (8, 24))
    assert torch.equal(*short)
    assert torch.isfinite(long[0]).all()
    assert not torch.allclose(*long)


def test_positions_of_robertas_family_begin_after_that_of_padding() -> None:
    from transformers import RobertaConfig

    assert most_positions(RobertaConfig(max_position_embeddings=514)) == 512
