"""What the nursery trains: the shapes of the models, by size, and how each architecture is built to such a shape."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from phasescope.errors import BadArgumentError, did_you_mean


@dataclass(frozen=True)
class Shape:
    """The shape of one model; architectures without heads make no use of these."""

    name: str
    d_model: int
    layers: int
    heads: int

    @property
    def is_small(self) -> bool:
        """Whether its matrices are too small to be worth more than one core."""
        return self.d_model <= SMALL


# Width up to which a product of matrices takes about as long as it takes threads to share it.
SMALL = 128
# The first four are named by their parameters with 2048 vocabulary entries. The others have the shapes of the Pythia
# models of that name (Biderman et al. 2023), and fewer parameters: the names count 50 304 entries.
SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape("150k", d_model=32, layers=2, heads=2),
        Shape("400k", d_model=64, layers=3, heads=4),
        Shape("1m", d_model=128, layers=4, heads=4),
        Shape("6m", d_model=256, layers=6, heads=8),
        Shape("14m", d_model=128, layers=6, heads=4),
        Shape("31m", d_model=256, layers=6, heads=8),
        Shape("70m", d_model=512, layers=6, heads=8),
        Shape("160m", d_model=768, layers=12, heads=12),
    )
}


@dataclass(frozen=True)
class Architecture:
    """How a model of one architecture is built to a shape, with about as many parameters as the others.

    settings: of its configuration in `transformers`, beyond width, depth and vocabulary, which are called alike
        everywhere. There is no dropout: it would draw random numbers while training.
    deeper: so many layers for each of a transformer. A Mamba block, which is both halves of a layer in one, has half
        of a transformer layer's parameters (Gu & Dao 2023).
    not_decayed: endings of the names of tensors that are stored like matrices and are none.
    """

    settings: Callable[[Shape], Mapping[str, Any]]
    deeper: int = 1
    not_decayed: tuple[str, ...] = ()


ARCHITECTURES: Mapping[str, Architecture] = {
    "gpt_neox": Architecture(
        lambda shape: {
            "num_attention_heads": shape.heads,
            "intermediate_size": 4 * shape.d_model,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.25},
            "use_parallel_residual": True,
        }
    ),
    "gpt2": Architecture(
        lambda shape: {
            "num_attention_heads": shape.heads,
            "n_inner": 4 * shape.d_model,
            "resid_pdrop": 0.0,
            "embd_pdrop": 0.0,
            "attn_pdrop": 0.0,
        }
    ),
    # Three matrices make the MLP: two thirds as wide, they have as many parameters as the two of the others.
    "llama": Architecture(
        lambda shape: {"num_attention_heads": shape.heads, "intermediate_size": 8 * round(shape.d_model / 3)}
    ),
    # Each token goes through two of eight experts, together as wide as the MLP of the others.
    "olmoe": Architecture(
        lambda shape: {
            "num_attention_heads": shape.heads,
            "intermediate_size": 4 * round(shape.d_model / 3),
            "num_experts": 8,
            "num_experts_per_tok": 2,
            "tie_word_embeddings": False,
            "pad_token_id": None,
        }
    ),
    # A short convolution in the first layers, attention in every other.
    "lfm2": Architecture(
        lambda shape: {
            "num_attention_heads": shape.heads,
            "num_key_value_heads": shape.heads,
            "block_ff_dim": 8 * round(shape.d_model / 3),
            "block_auto_adjust_ff_dim": False,
            "layer_types": ["conv", "full_attention"] * (shape.layers // 2) + ["conv"] * (shape.layers % 2),
            "tie_word_embeddings": False,
            "pad_token_id": None,
        },
        not_decayed=("conv.conv.weight",),
    ),
    # mambapy's parallel scan, which transformers uses where there is no CUDA kernel, instead of a loop over tokens.
    "mamba": Architecture(
        lambda shape: {"use_mambapy": True, "tie_word_embeddings": False}, deeper=2, not_decayed=("A_log",)
    ),
    # Rescaling is for float16: it would change the weights in place as soon as a model is only read.
    "rwkv": Architecture(
        lambda shape: {"intermediate_size": 4 * shape.d_model, "rescale_every": 0},
        not_decayed=("time_mix_key", "time_mix_value", "time_mix_receptance"),
    ),
}


def find_shape(size: str, architecture: str = "gpt_neox") -> Shape:
    """The shape of that name in that architecture. Raises `PhasescopeError` with the nearest if there is none."""
    if size not in SHAPES:
        raise BadArgumentError(f"The nursery knows no size {size!r}. {did_you_mean(size, SHAPES)}")
    shape = SHAPES[size]
    return replace(shape, layers=ARCHITECTURES[architecture].deeper * shape.layers)


def settings_of(architecture: str, shape: Shape) -> dict[str, Any]:
    """The settings of a configuration in `transformers`, all but vocabulary and context.

    Weights are drawn from N(0, 2/(5 d_model)) (Nguyen & Salazar 2019, "small init"), as in GPT-NeoX; what an
    architecture of `transformers` draws otherwise (Mamba's state space, all of RWKV) is left to it.
    """
    return {
        "hidden_size": shape.d_model,
        "num_hidden_layers": shape.layers,
        "initializer_range": math.sqrt(2 / (5 * shape.d_model)),
        **ARCHITECTURES[architecture].settings(shape),
    }
