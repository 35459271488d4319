"""Language models that read from left to right, of layers with attention and an MLP."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.architectures.parallel import IN_PARALLEL, in_parallel
from phasescope.hooks.attending import alibi, learned, rotary_or_alibi
from phasescope.hooks.projections import Concatenated, Interleaved, Separate
from phasescope.hooks.tap import Tap

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
    attention=Attention(Interleaved("attention.query_key_value"), output="attention.dense"),
    matrices={"mlp.W_in": "mlp.dense_h_to_4h", "mlp.W_out": "mlp.dense_4h_to_h"},
    when={"use_parallel_residual": False},
)

GPT_NEOX_PARALLEL = in_parallel(GPT_NEOX, use_parallel_residual=True)

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
    attention=Attention(Concatenated("attn.c_attn"), output="attn.c_proj"),
    matrices={"mlp.W_in": "mlp.c_fc", "mlp.W_out": "mlp.c_proj"},
    positions=learned,
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
    positions=learned,
    when={"do_layer_norm_before": True},
)

# Where the norm comes after, the stream between attention and MLP is what it gives (OPT-350m alone).
OPT_POST_NORM = replace(
    OPT,
    taps={**OPT.taps, "resid_mid": Tap("self_attn_layer_norm", "output")},
    when={"do_layer_norm_before": False},
    transformer_lens={"resid_mid": "ln1.hook_out"},
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
    attention=Attention(Interleaved("self_attention.query_key_value"), output="self_attention.dense"),
    matrices={"mlp.W_in": "mlp.dense_h_to_4h", "mlp.W_out": "mlp.dense_4h_to_h"},
    when={"apply_residual_connection_post_layernorm": False},
    positions=alibi,
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
    missing={"resid_mid": IN_PARALLEL},
)

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
    missing={"resid_mid": IN_PARALLEL},
)

# Its MLP is given the residual stream too, and adds it itself.
MPT = Architecture(
    model_type="mpt",
    layers="transformer.blocks",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("attn.Wqkv", "output"),
        "z": Tap("attn.out_proj", "input"),
        "pattern": Tap("attn", "output", item=1),
        "attn_out": Tap("attn", "output"),
        "resid_mid": Tap("norm_2", "input"),
        "mlp_post": Tap("ffn.down_proj", "input"),
        "mlp_out": Tap("ffn.down_proj", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(Concatenated("attn.Wqkv"), output="attn.out_proj"),
    matrices={"mlp.W_in": "ffn.up_proj", "mlp.W_out": "ffn.down_proj"},
    positions=alibi,
)

GPT_NEO = replace(
    GPT2,
    model_type="gpt_neo",
    taps={
        **GPT2.taps,
        "ov_out": Tap("attn.attention.v_proj", "output"),
        "z": Tap("attn.attention.out_proj", "input"),
    },
    attention=Attention(
        Separate("attn.attention.q_proj", "attn.attention.k_proj", "attn.attention.v_proj"), "attn.attention.out_proj"
    ),
)

# Keys and values of one head for all queries, or of each head.
GPT_BIGCODE = replace(GPT2, model_type="gpt_bigcode", when={"multi_query": True})
GPT_BIGCODE_MULTI_HEAD = replace(
    GPT_BIGCODE, attention=Attention(Interleaved("attn.c_attn"), output="attn.c_proj"), when={"multi_query": False}
)

# Its attention is named as Bloom's is. That of 1B in sequence, of 7B in parallel, of 40B in parallel and in groups.
FALCON = replace(
    BLOOM,
    model_type="falcon",
    taps={
        **BLOOM.taps,
        "attn_out": Tap("self_attention", "output"),
        "mlp_out": Tap("mlp", "output"),
    },
    attention=Attention(Interleaved("self_attention.query_key_value"), output="self_attention.dense"),
    when={"new_decoder_architecture": False, "multi_query": False, "parallel_attn": False},
    positions=rotary_or_alibi,
)
FALCON_7B = replace(
    in_parallel(FALCON, new_decoder_architecture=False, multi_query=True, parallel_attn=True),
    attention=Attention(Concatenated("self_attention.query_key_value"), output="self_attention.dense", key_values=1),
)
FALCON_40B = replace(
    in_parallel(FALCON, new_decoder_architecture=True),
    attention=Attention(
        Interleaved("self_attention.query_key_value"), output="self_attention.dense", key_values="num_kv_heads"
    ),
)

DECODERS = (
    MPT,
    GPT_NEO,
    GPT_BIGCODE,
    GPT_BIGCODE_MULTI_HEAD,
    FALCON,
    FALCON_7B,
    FALCON_40B,
    GPT_NEOX,
    GPT_NEOX_PARALLEL,
    GPT2,
    OPT,
    OPT_POST_NORM,
    PHI,
    BLOOM,
    GPTJ,
)
