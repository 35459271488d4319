"""Language models whose layers are named as Llama's are."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.architectures.parallel import in_parallel
from phasescope.hooks.attending import rotary_in_windows
from phasescope.hooks.projections import Concatenated, Half, Separate
from phasescope.hooks.tap import Tap

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

# An MLP without a gate.
ARCEE = replace(LLAMA, model_type="arcee", matrices={"mlp.W_in": "mlp.up_proj", "mlp.W_out": "mlp.down_proj"})
APERTUS = replace(ARCEE, model_type="apertus", taps={**LLAMA.taps, "resid_mid": Tap("feedforward_layernorm", "input")})
STARCODER2 = replace(
    LLAMA,
    model_type="starcoder2",
    taps={**LLAMA.taps, "mlp_post": Tap("mlp.c_proj", "input")},
    matrices={"mlp.W_in": "mlp.c_fc", "mlp.W_out": "mlp.c_proj"},
)
NANOCHAT = replace(
    LLAMA,
    model_type="nanochat",
    taps={**LLAMA.taps, "mlp_post": Tap("mlp.fc2", "input")},
    matrices={"mlp.W_in": "mlp.fc1", "mlp.W_out": "mlp.fc2"},
)

VAULTGEMMA = replace(
    LLAMA, model_type="vaultgemma", taps={**LLAMA.taps, "resid_mid": Tap("pre_feedforward_layernorm", "input")}
)

# One module gives both what is gated and the gate.
GLM = replace(
    LLAMA,
    model_type="glm",
    matrices={
        "mlp.W_gate": Half("mlp.gate_up_proj", 0),
        "mlp.W_in": Half("mlp.gate_up_proj", 1),
        "mlp.W_out": "mlp.down_proj",
    },
)
GLM4 = replace(
    GLM,
    model_type="glm4",
    taps={
        **LLAMA.taps,
        "attn_out": Tap("post_self_attn_layernorm", "output"),
        "resid_mid": Tap("post_attention_layernorm", "input"),
        "mlp_out": Tap("post_mlp_layernorm", "output"),
    },
)
PHI3 = replace(
    GLM,
    model_type="phi3",
    taps={**LLAMA.taps, "ov_out": Tap("self_attn.qkv_proj", "output")},
    attention=Attention(Concatenated("self_attn.qkv_proj"), "self_attn.o_proj"),
)

# What attention and MLP give is multiplied before it is added.
GRANITE = replace(
    LLAMA,
    model_type="granite",
    taps={
        **LLAMA.taps,
        **{name: replace(LLAMA.taps[name], scale="residual_multiplier") for name in ("attn_out", "mlp_out")},
    },
)

LLAMAS = (
    LLAMA,
    *(replace(LLAMA, model_type=name) for name in _AS_LLAMA),
    OLMO2,
    replace(OLMO2, model_type="olmo3"),
    replace(OLMO2, model_type="exaone4", positions=rotary_in_windows),
    GEMMA2,
    replace(GEMMA2, model_type="gemma3_text"),
    STABLELM,
    STABLELM_PARALLEL,
    COHERE,
    replace(COHERE, model_type="cohere2", positions=rotary_in_windows),
    ARCEE,
    replace(ARCEE, model_type="nemotron"),
    APERTUS,
    STARCODER2,
    NANOCHAT,
    VAULTGEMMA,
    GLM,
    GLM4,
    PHI3,
    GRANITE,
)
