"""Small GPT-NeoX models in which every mistake shows: all parameters random, all sizes different."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

Build = Callable[..., PreTrainedModel]


@pytest.fixture(scope="session")
def build() -> Build:
    """Makes a model: 3 layers, 5 heads of 8, of which 4 turn, 56 neurons, 61 tokens."""

    def make(parallel: bool = True, dtype: torch.dtype = torch.float32, **settings: Any) -> PreTrainedModel:
        config = AutoConfig.for_model(
            "gpt_neox",
            **{
                "hidden_size": 40,
                "num_hidden_layers": 3,
                "num_attention_heads": 5,
                "intermediate_size": 56,
                "vocab_size": 61,
                "max_position_embeddings": 64,
                "use_parallel_residual": parallel,
                "rope_parameters": {
                    "rope_type": "default",
                    "rope_theta": 500.0,
                    "partial_rotary_factor": 0.5,
                },
                **settings,
            },
        )
        model = AutoModelForCausalLM.from_config(config).eval().to(dtype)
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in model.parameters():
                # Biases and layer norms too: where they are 0 and 1, leaving them out would not be noticed.
                parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator) + 0.05)
        return model

    return make


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens [2, 11] and positions [2, 4], other ones in every sequence, out of order and once repeated."""
    tokens = torch.randint(61, (2, 11), generator=torch.Generator().manual_seed(1))
    return tokens, torch.tensor([[10, 0, 3, 3], [1, 9, 4, 7]])


@pytest.fixture
def run_modules() -> Callable[[PreTrainedModel], list[str]]:
    """Watches a model from now on: a list that fills with the names of the modules that run."""

    def watch(model: PreTrainedModel) -> list[str]:
        ran: list[str] = []
        for name, module in model.named_modules():
            module.register_forward_hook(lambda *_, name=name: ran.append(name))
        return ran

    return watch
