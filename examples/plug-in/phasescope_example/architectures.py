"""Models whose config.json says `"model_type": "our_model"`."""

import phasescope as ps
from phasescope.hooks import Separate

OURS = ps.Architecture(
    model_type="our_model",
    layers="model.layers",
    taps={"attn_out": ps.Tap("attn", "output"), "mlp_out": ps.Tap("mlp", "output"), "resid_post": ps.Tap("", "output")},
    attention=ps.Attention(Separate("attn.q", "attn.k", "attn.v"), output="attn.o"),
    matrices={"mlp.W_in": "mlp.up", "mlp.W_out": "mlp.down"},
)
