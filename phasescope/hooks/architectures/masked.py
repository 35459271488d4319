"""Masked language models, which see both sides of a token."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.attending import learned
from phasescope.hooks.projections import Separate
from phasescope.hooks.tap import Tap

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
    positions=learned,
)

ROBERTA = replace(BERT, model_type="roberta", layers="roberta.encoder.layer")
ELECTRA = replace(BERT, model_type="electra", layers="electra.encoder.layer")

MASKED = (BERT, ROBERTA, ELECTRA)
