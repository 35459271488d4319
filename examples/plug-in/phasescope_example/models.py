"""phasescope capture early-pythia --out RUN; and models whose config.json says `"model_type": "our_model"`."""

import phasescope as ps
from phasescope.hooks import Separate
from phasescope.suites.preset import Preset

EARLY = Preset(
    name="early-pythia",
    about="The first 512 steps of the smallest Pythia (Biderman et al. 2023)",
    repository="EleutherAI/pythia-{size}",
    sizes=("14m",),
    steps=(0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512),
)

OURS = ps.Architecture(
    model_type="our_model",
    layers="model.layers",
    taps={"attn_out": ps.Tap("attn", "output"), "mlp_out": ps.Tap("mlp", "output"), "resid_post": ps.Tap("", "output")},
    attention=ps.Attention(Separate("attn.q", "attn.k", "attn.v"), output="attn.o"),
    matrices={"mlp.W_in": "mlp.up", "mlp.W_out": "mlp.down"},
)
