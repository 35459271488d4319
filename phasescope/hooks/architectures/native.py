"""TransformerLens' own models."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.attending import learned
from phasescope.hooks.projections import Separate
from phasescope.hooks.tap import Tap

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
    positions=learned,
)
NATIVE_ATTENTION_ONLY = replace(
    NATIVE,
    taps={name: tap for name, tap in NATIVE.taps.items() if name not in ("resid_mid", "mlp_post", "mlp_out")},
    matrices={},
    when={"attn_only": True},
    missing=dict.fromkeys(("resid_mid", "mlp_post", "mlp_out"), "its layers are attention alone, without an MLP"),
)

NATIVES = (NATIVE, NATIVE_ATTENTION_ONLY)
