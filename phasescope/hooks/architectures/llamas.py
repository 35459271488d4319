"""Language models whose layers are named as Llama's are."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture, Attention, Tap
from phasescope.hooks.architectures.parallel import in_parallel
from phasescope.hooks.projections import Separate

LLAMA = Architecture(
    model_type="llama",
    layers="model.layers",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("self_attn.v_proj", "output"),
        "z": Tap("self_attn.o_proj", "input"),
        "pattern": Tap("self_attn", "output", item=1),
        "attn_out": Tap("self_attn", "output"),
        "resid_mid": Tap("post_attention_layernorm", "input"),
        "mlp_post": Tap("mlp.down_proj", "input"),
        "mlp_out": Tap("mlp", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(Separate("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.o_proj"),
    matrices={"mlp.W_in": "mlp.up_proj", "mlp.W_gate": "mlp.gate_proj", "mlp.W_out": "mlp.down_proj"},
)

# What they do differently (norms of queries and keys, windows, layers without positions) is where Llama's layers are.
_AS_LLAMA = (
    "mistral",
    "qwen2",
    "qwen3",
    "olmo",
    "smollm3",
    "gemma",
    "ministral",
    "ministral3",
    "ernie4_5",
    "helium",
    "internlm3",
    "seed_oss",
    "hunyuan_v1_dense",
)

# A norm lies between attention (or MLP) and the residual stream: what is added to the stream is what it gives.
OLMO2 = replace(
    LLAMA,
    model_type="olmo2",
    taps={
        **LLAMA.taps,
        "attn_out": Tap("post_attention_layernorm", "output"),
        "resid_mid": Tap("mlp", "input"),
        "mlp_out": Tap("post_feedforward_layernorm", "output"),
    },
)
GEMMA2 = replace(
    OLMO2, model_type="gemma2", taps={**OLMO2.taps, "resid_mid": Tap("pre_feedforward_layernorm", "input")}
)

STABLELM = replace(LLAMA, model_type="stablelm", when={"use_parallel_residual": False})
STABLELM_PARALLEL = in_parallel(STABLELM, use_parallel_residual=True)

COHERE = replace(in_parallel(LLAMA), model_type="cohere")

LLAMAS = (
    LLAMA,
    *(replace(LLAMA, model_type=name) for name in _AS_LLAMA),
    OLMO2,
    *(replace(OLMO2, model_type=name) for name in ("olmo3", "exaone4")),
    GEMMA2,
    replace(GEMMA2, model_type="gemma3_text"),
    STABLELM,
    STABLELM_PARALLEL,
    COHERE,
    replace(COHERE, model_type="cohere2"),
)
