"""The map from architecture to sites and weights: one declarative entry each.

To add one, write an `Architecture` and put it into `ARCHITECTURES`; `docs/extending.md` goes through it step by step.
"""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture, Attention, Tap
from phasescope.hooks.projections import InterleavedPerHead, Separate, Thirds
from phasescope.hooks.twins import without_rescaling

_IN_PARALLEL = "its attention and MLP work in parallel on the same residual stream, so nothing lies between them"
_NO_ATTENTION = "its layers mix positions by a recurrence, not by attention"
_NO_HEADS = {"pattern": _NO_ATTENTION, "z": _NO_ATTENTION, "ov_out": _NO_ATTENTION}


def _in_parallel(sequential: Architecture) -> Architecture:
    """The same where a setting puts attention and MLP side by side."""
    return replace(
        sequential,
        taps={name: tap for name, tap in sequential.taps.items() if name != "resid_mid"},
        when={"use_parallel_residual": True},
        missing={"resid_mid": _IN_PARALLEL},
    )


GPT_NEOX = Architecture(
    model_type="gpt_neox",
    layers="gpt_neox.layers",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("attention.query_key_value", "output"),
        "z": Tap("attention.dense", "input"),
        "pattern": Tap("attention", "output", item=1),
        "attn_out": Tap("attention", "output"),
        "resid_mid": Tap("post_attention_layernorm", "input"),
        "mlp_post": Tap("mlp.dense_4h_to_h", "input"),
        "mlp_out": Tap("mlp", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(InterleavedPerHead("attention.query_key_value"), output="attention.dense"),
    matrices={"mlp.W_in": "mlp.dense_h_to_4h", "mlp.W_out": "mlp.dense_4h_to_h"},
    when={"use_parallel_residual": False},
)

GPT_NEOX_PARALLEL = _in_parallel(GPT_NEOX)

GPT2 = Architecture(
    model_type="gpt2",
    layers="transformer.h",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("attn.c_attn", "output"),
        "z": Tap("attn.c_proj", "input"),
        "pattern": Tap("attn", "output", item=1),
        "attn_out": Tap("attn", "output"),
        "resid_mid": Tap("ln_2", "input"),
        "mlp_post": Tap("mlp.c_proj", "input"),
        "mlp_out": Tap("mlp", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(Thirds("attn.c_attn"), output="attn.c_proj"),
    matrices={"mlp.W_in": "mlp.c_fc", "mlp.W_out": "mlp.c_proj"},
)

OPT = Architecture(
    model_type="opt",
    layers="model.decoder.layers",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("self_attn.v_proj", "output"),
        "z": Tap("self_attn.out_proj", "input"),
        "pattern": Tap("self_attn", "output", item=1),
        "attn_out": Tap("self_attn", "output"),
        "resid_mid": Tap("final_layer_norm", "input"),
        "mlp_post": Tap("fc2", "input"),
        "mlp_out": Tap("fc2", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(Separate("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.out_proj"),
    matrices={"mlp.W_in": "fc1", "mlp.W_out": "fc2"},
    when={"do_layer_norm_before": True},
)

# Where the norm comes after, the stream between attention and MLP is what it gives (OPT-350m alone).
OPT_POST_NORM = replace(
    OPT,
    taps={**OPT.taps, "resid_mid": Tap("self_attn_layer_norm", "output")},
    when={"do_layer_norm_before": False},
    transformer_lens={"resid_mid": "ln1.hook_out"},
)

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
MISTRAL, QWEN2, QWEN3, OLMO = (replace(LLAMA, model_type=name) for name in ("mistral", "qwen2", "qwen3", "olmo"))

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

BLOOM = Architecture(
    model_type="bloom",
    layers="transformer.h",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("self_attention.query_key_value", "output"),
        "z": Tap("self_attention.dense", "input"),
        "attn_out": Tap("self_attention.dense", "output"),
        "pattern": Tap("self_attention", "output", item=1),
        "resid_mid": Tap("post_attention_layernorm", "input"),
        "mlp_post": Tap("mlp.dense_4h_to_h", "input"),
        "mlp_out": Tap("mlp.dense_4h_to_h", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(InterleavedPerHead("self_attention.query_key_value"), output="self_attention.dense"),
    matrices={"mlp.W_in": "mlp.dense_h_to_4h", "mlp.W_out": "mlp.dense_4h_to_h"},
    when={"apply_residual_connection_post_layernorm": False},
)

GPTJ = Architecture(
    model_type="gptj",
    layers="transformer.h",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("attn.v_proj", "output"),
        "z": Tap("attn.out_proj", "input"),
        "pattern": Tap("attn", "output", item=1),
        "attn_out": Tap("attn", "output"),
        "mlp_post": Tap("mlp.fc_out", "input"),
        "mlp_out": Tap("mlp", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(Separate("attn.q_proj", "attn.k_proj", "attn.v_proj"), "attn.out_proj"),
    matrices={"mlp.W_in": "mlp.fc_in", "mlp.W_out": "mlp.fc_out"},
    missing={"resid_mid": _IN_PARALLEL},
)

STABLELM = replace(LLAMA, model_type="stablelm", when={"use_parallel_residual": False})
STABLELM_PARALLEL = _in_parallel(STABLELM)

# Attention and MLP are given the same normed stream; both are added to it (behind a dropout).
PHI = Architecture(
    model_type="phi",
    layers="model.layers",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("self_attn.v_proj", "output"),
        "z": Tap("self_attn.dense", "input"),
        "pattern": Tap("self_attn", "output", item=1),
        "attn_out": Tap("self_attn", "output"),
        "mlp_post": Tap("mlp.fc2", "input"),
        "mlp_out": Tap("mlp", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(Separate("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.dense"),
    matrices={"mlp.W_in": "mlp.fc1", "mlp.W_out": "mlp.fc2"},
    missing={"resid_mid": _IN_PARALLEL},
)

MAMBA = Architecture(
    model_type="mamba",
    layers="backbone.layers",
    taps={
        "resid_pre": Tap("", "input"),
        "mixer_out": Tap("mixer", "output"),
        "resid_post": Tap("", "output"),
    },
    matrices={f"mixer.{name}": f"mixer.{name}" for name in ("in_proj", "x_proj", "dt_proj", "out_proj")},
    missing={
        **_NO_HEADS,
        **dict.fromkeys(
            ("attn_out", "mlp_out", "mlp_post", "resid_mid"), "its layers are one mixer each (see mixer_out)"
        ),
    },
)
MAMBA2 = replace(
    MAMBA, model_type="mamba2", matrices={f"mixer.{name}": f"mixer.{name}" for name in ("in_proj", "out_proj")}
)

# Time mixing stands in attention's place, channel mixing in the MLP's.
RWKV = Architecture(
    model_type="rwkv",
    layers="rwkv.blocks",
    taps={
        "resid_pre": Tap("", "input"),
        "attn_out": Tap("attention", "output"),
        "resid_mid": Tap("ln2", "input"),
        "mlp_post": Tap("feed_forward.value", "input"),
        "mlp_out": Tap("feed_forward", "output"),
        "resid_post": Tap("", "output"),
    },
    matrices={
        "attn.W_R": "attention.receptance",
        "attn.W_K": "attention.key",
        "attn.W_V": "attention.value",
        "attn.W_O": "attention.output",
        "mlp.W_gate": "feed_forward.receptance",
        "mlp.W_in": "feed_forward.key",
        "mlp.W_out": "feed_forward.value",
    },
    missing=_NO_HEADS,
    transformer_lens={
        "attn_out": "hook_time_mix_out",
        "mlp_post": "channel_mix.out.hook_in",
        "mlp_out": "hook_channel_mix_out",
    },
    while_read=without_rescaling,
)

BERT = Architecture(
    model_type="bert",
    layers="bert.encoder.layer",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("attention.self.value", "output"),
        "pattern": Tap("attention.self", "output", item=1),
        "z": Tap("attention.output.dense", "input"),
        "attn_out": Tap("attention.output.dense", "output"),
        "resid_mid": Tap("attention.output", "output"),
        "mlp_post": Tap("output.dense", "input"),
        "mlp_out": Tap("output.dense", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(
        Separate("attention.self.query", "attention.self.key", "attention.self.value"), "attention.output.dense"
    ),
    matrices={"mlp.W_in": "intermediate.dense", "mlp.W_out": "output.dense"},
    when={"is_decoder": False},
    transformer_lens={"attn_out": "attn.o.hook_out", "resid_mid": "attn.hook_out"},
    masked=True,
)

# TransformerLens' own models.
NATIVE = Architecture(
    model_type="transformer_lens",
    layers="native.layers",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("attn.v", "output"),
        "z": Tap("attn.o", "input"),
        "pattern": Tap("attn", "output", item=1),
        "attn_out": Tap("attn", "output"),
        "resid_mid": Tap("ln2", "input"),
        "mlp_post": Tap("mlp.fc_out", "input"),
        "mlp_out": Tap("mlp", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(Separate("attn.q", "attn.k", "attn.v"), output="attn.o"),
    matrices={"mlp.W_in": "mlp.fc_in", "mlp.W_out": "mlp.fc_out"},
    when={"attn_only": False},
)
NATIVE_ATTENTION_ONLY = replace(
    NATIVE,
    taps={name: tap for name, tap in NATIVE.taps.items() if name not in ("resid_mid", "mlp_post", "mlp_out")},
    matrices={},
    when={"attn_only": True},
    missing=dict.fromkeys(("resid_mid", "mlp_post", "mlp_out"), "its layers are attention alone, without an MLP"),
)

ARCHITECTURES: tuple[Architecture, ...] = (
    GPT_NEOX,
    GPT_NEOX_PARALLEL,
    GPT2,
    OPT,
    OPT_POST_NORM,
    LLAMA,
    MISTRAL,
    QWEN2,
    QWEN3,
    OLMO,
    OLMO2,
    GEMMA2,
    STABLELM,
    STABLELM_PARALLEL,
    PHI,
    BLOOM,
    GPTJ,
    MAMBA,
    MAMBA2,
    RWKV,
    BERT,
    NATIVE,
    NATIVE_ATTENTION_ONLY,
)
