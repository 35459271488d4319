"""Language models whose MLPs are mixtures of experts."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architectures.llamas import LLAMA

_MIXED = "its neurons are those of experts, and each token has some of them"
_WITHOUT_NEURONS = {name: tap for name, tap in LLAMA.taps.items() if name != "mlp_post"}

# A row of the pattern leaves to the sink what it does not give to tokens.
GPT_OSS = replace(
    LLAMA,
    model_type="gpt_oss",
    taps={
        name: tap
        for known, tap in _WITHOUT_NEURONS.items()
        for name in ((known, "sink") if known == "pattern" else (known,))
    },
    matrices={},
    missing={"mlp_post": _MIXED},
)

MIXTURES = (GPT_OSS,)
