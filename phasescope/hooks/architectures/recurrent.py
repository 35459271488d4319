"""Language models whose layers mix positions by a recurrence."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture
from phasescope.hooks.tap import Tap
from phasescope.hooks.twins import without_rescaling

_NO_ATTENTION = "its layers mix positions by a recurrence, not by attention"
_NO_HEADS = {"pattern": _NO_ATTENTION, "z": _NO_ATTENTION, "ov_out": _NO_ATTENTION}

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

# Where gates and projections are modules of their own, as transformers has them unless it is asked to fuse them.
XLSTM = Architecture(
    model_type="xlstm",
    layers="backbone.blocks",
    taps={
        "resid_pre": Tap("", "input"),
        "mixer_out": Tap("mlstm_layer", "output"),
        "resid_mid": Tap("norm_ffn", "input"),
        "mlp_post": Tap("ffn.proj_down", "input"),
        "mlp_out": Tap("ffn", "output"),
        "resid_post": Tap("", "output"),
    },
    matrices={
        **{f"mixer.{name}": f"mlstm_layer.{name}" for name in ("q", "k", "v", "ogate_preact", "out_proj")},
        "mlp.W_gate": "ffn.proj_up_gate",
        "mlp.W_in": "ffn.proj_up",
        "mlp.W_out": "ffn.proj_down",
    },
    missing={**_NO_HEADS, "attn_out": f"{_NO_ATTENTION} (see mixer_out)"},
    when={"weight_mode": "single"},
)

RECURRENT = (MAMBA, MAMBA2, RWKV, XLSTM)
