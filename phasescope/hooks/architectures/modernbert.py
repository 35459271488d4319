"""ModernBERT: as a masked language model, and as one that reads from left to right."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.projections import Concatenated, Half, Separate
from phasescope.hooks.tap import Tap

MODERNBERT = Architecture(
    model_type="modernbert",
    layers="model.layers",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("attn.Wqkv", "output"),
        "z": Tap("attn.Wo", "input"),
        "pattern": Tap("attn", "output", item=1),
        "attn_out": Tap("attn", "output"),
        "resid_mid": Tap("mlp_norm", "input"),
        "mlp_post": Tap("mlp.Wo", "input"),
        "mlp_out": Tap("mlp", "output"),
        "resid_post": Tap("", "output"),
    },
    attention=Attention(Concatenated("attn.Wqkv"), output="attn.Wo"),
    # The half that transformers calls the input is the one that the activation function is given.
    matrices={"mlp.W_gate": Half("mlp.Wi", 0), "mlp.W_in": Half("mlp.Wi", 1), "mlp.W_out": "mlp.Wo"},
    masked=True,
)
MODERNBERT_DECODER = replace(
    MODERNBERT,
    model_type="modernbert-decoder",
    taps={**MODERNBERT.taps, "ov_out": Tap("attn.v_proj", "output")},
    attention=Attention(Separate("attn.q_proj", "attn.k_proj", "attn.v_proj"), output="attn.Wo"),
    masked=False,
)

MODERNBERTS = (MODERNBERT, MODERNBERT_DECODER)
