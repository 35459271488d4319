"""Language models whose layers differ, or mix positions in two ways at once."""

from __future__ import annotations

from dataclasses import replace

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.architectures.llamas import LLAMA, OLMO2
from phasescope.hooks.projections import Separate
from phasescope.hooks.tap import Tap


def _of_kinds(model_type: str, mixer: str, **kinds: Architecture) -> Architecture:
    """One entry of several kinds of layers, which `layer_types` tells apart; mixer: TransformerLens' name of it."""
    taps = {name: tap for kind in kinds.values() for name, tap in kind.taps.items()}
    layers, hook = next(iter(kinds.values())).layers, {"mixer_out": f"{mixer}.hook_out"}
    return Architecture(model_type, layers, taps, transformer_lens=hook, kinds=kinds)


def _mixing(attending: Architecture, mixer: str, *matrices: str) -> Architecture:
    """The same layer with a recurrence or a convolution where attention is."""
    taps = {
        "resid_pre": Tap("", "input"),
        "mixer_out": Tap(mixer, "output"),
        **{name: attending.taps[name] for name in ("resid_mid", "mlp_post", "mlp_out", "resid_post")},
    }
    own = {f"mixer.{name}": f"{mixer}.{name}" for name in matrices}
    return replace(attending, taps=taps, matrices={**own, **attending.matrices}, attention=None)


_LFM2 = replace(
    LLAMA,
    model_type="lfm2",
    taps={
        **LLAMA.taps,
        "z": Tap("self_attn.out_proj", "input"),
        "resid_mid": Tap("ffn_norm", "input"),
        "mlp_post": Tap("feed_forward.w2", "input"),
        "mlp_out": Tap("feed_forward", "output"),
    },
    attention=Attention(Separate("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.out_proj"),
    matrices={"mlp.W_in": "feed_forward.w3", "mlp.W_gate": "feed_forward.w1", "mlp.W_out": "feed_forward.w2"},
)
LFM2 = _of_kinds("lfm2", "conv", full_attention=_LFM2, conv=_mixing(_LFM2, "conv", "in_proj", "out_proj"))

_BAMBA = replace(
    LLAMA,
    model_type="bamba",
    taps={
        **LLAMA.taps,
        "resid_mid": Tap("pre_ff_layernorm", "input"),
        "mlp_post": Tap("feed_forward.down_proj", "input"),
        "mlp_out": Tap("feed_forward", "output"),
    },
    matrices={
        "mlp.W_in": "feed_forward.up_proj",
        "mlp.W_gate": "feed_forward.gate_proj",
        "mlp.W_out": "feed_forward.down_proj",
    },
)
BAMBA = _of_kinds(
    "bamba", "mixer", full_attention=_BAMBA, linear_attention=_mixing(_BAMBA, "mamba", "in_proj", "out_proj")
)

# Where it attends the norms come after, as in OLMo 2.
OLMO_HYBRID = _of_kinds(
    "olmo_hybrid",
    "linear_attn",
    full_attention=replace(OLMO2, model_type="olmo_hybrid"),
    linear_attention=_mixing(
        replace(LLAMA, model_type="olmo_hybrid"),
        "linear_attn",
        *(f"{letter}_proj" for letter in "qkvabgo"),
    ),
)

# A recurrence and attention side by side in every layer, each with a multiplier.
FALCON_H1 = replace(
    _BAMBA,
    model_type="falcon_h1",
    taps={
        "resid_pre": Tap("", "input"),
        "mixer_out": Tap("mamba", "output", scale="ssm_out_multiplier"),
        **_BAMBA.taps,
        "attn_out": Tap("self_attn", "output", scale="attn_out_multiplier"),
    },
    transformer_lens={"attn_out": None, "mixer_out": None},
    matrices={"mixer.in_proj": "mamba.in_proj", "mixer.out_proj": "mamba.out_proj", **_BAMBA.matrices},
)

HYBRIDS = (LFM2, BAMBA, OLMO_HYBRID, FALCON_H1)
