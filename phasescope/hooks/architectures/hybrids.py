"""Language models whose layers differ, or mix positions in two ways at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.architectures.llamas import LLAMA, OLMO2
from phasescope.hooks.architectures.mixtures import mixture, qwen_layers
from phasescope.hooks.attending import nowhere, rotary_if_set
from phasescope.hooks.projections import Gated, Half, Separate
from phasescope.hooks.routing import Experts
from phasescope.hooks.tap import Tap

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def _of_kinds(model_type: str, mixer: str, **kinds: Architecture) -> Architecture:
    """One entry of several kinds of layers, which `layer_types` tells apart; mixer: TransformerLens' name of it."""
    taps = {name: tap for kind in kinds.values() for name, tap in kind.taps.items()}
    hooks = {name: hook for kind in kinds.values() for name, hook in kind.transformer_lens.items()}
    first = next(iter(kinds.values()))
    return Architecture(
        model_type,
        first.layers,
        taps,
        transformer_lens={"mixer_out": f"{mixer}.hook_out", **hooks},
        positions=first.positions,
        kinds={kind: replace(entry, model_type=model_type) for kind, entry in kinds.items()},
    )


def _with_experts(
    sparse: Callable[[PretrainedConfig], Sequence[str]],
    experts: Callable[[Architecture], Architecture],
    model_type: str,
    mixer: str,
    **kinds: Architecture,
) -> Architecture:
    """The same where a mixture of experts may stand in the place of any layer's MLP.

    sparse: of every layer `experts` or `dense`. experts: the layer with a mixture for its MLP.
    """

    def kinds_of(config: PretrainedConfig) -> list[str]:
        both = zip(config.layer_types, sparse(config), strict=True)
        return [kind + "_experts" * (mlp == "experts") for kind, mlp in both]

    mixed = {f"{kind}_experts": experts(entry) for kind, entry in kinds.items()}
    return replace(_of_kinds(model_type, mixer, **kinds, **mixed), kinds_in=kinds_of)


def _moved(entry: Architecture, **modules: str) -> Architecture:
    """The same where modules of the layer have other names."""

    def moved(path: str) -> str:
        first, dot, rest = path.partition(".")
        return f"{modules.get(first, first)}{dot}{rest}"

    own = entry.attention
    assert own is not None
    assert isinstance(own.projections, Separate)
    of_heads = own.projections
    projections = replace(of_heads, query=moved(of_heads.query), key=moved(of_heads.key), value=moved(of_heads.value))
    return replace(
        entry,
        taps={name: replace(tap, module=moved(tap.module)) for name, tap in entry.taps.items()},
        matrices={name: moved(path) for name, path in entry.matrices.items() if isinstance(path, str)},
        attention=replace(own, projections=projections, output=moved(own.output)),
    )


def _mixing(attending: Architecture, mixer: str, *matrices: str) -> Architecture:
    """The same layer with a recurrence or a convolution where attention is."""
    taps = {
        "resid_pre": Tap("", "input"),
        "mixer_out": Tap(mixer, "output"),
        **{name: attending.taps[name] for name in ("resid_mid", "mlp_post", "mlp_out", "resid_post")},
    }
    own = {f"mixer.{name}": f"{mixer}.{name}" for name in matrices}
    return replace(attending, taps=taps, matrices={**own, **attending.matrices}, attention=None)


def _only_mixing(entry: Architecture, mixer: str, *matrices: str) -> Architecture:
    """A layer that is a recurrence and nothing else."""
    taps = {"resid_pre": Tap("", "input"), "mixer_out": Tap(mixer, "output"), "resid_post": Tap("", "output")}
    own = {f"mixer.{name}": f"{mixer}.{name}" for name in matrices}
    return replace(entry, taps=taps, matrices=own, attention=None)


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
    full_attention=replace(OLMO2, positions=rotary_if_set),
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

# Every kind of layer may have experts in its MLP's place.
_JAMBA = _moved(replace(LLAMA, positions=nowhere), mlp="feed_forward", post_attention_layernorm="pre_ff_layernorm")


def _jamba_layers(config: PretrainedConfig) -> list[str]:
    return ["experts" if count > 1 else "dense" for count in config.layers_num_experts]


JAMBA = _with_experts(
    _jamba_layers,
    lambda dense: mixture(dense, "jamba", block="feed_forward", router="router"),
    "jamba",
    "mixer",
    full_attention=_JAMBA,
    linear_attention=_mixing(_JAMBA, "mamba", "in_proj", "x_proj", "dt_proj", "out_proj"),
)

# What attention gives is multiplied by a gate before its output projection.
_QWEN = replace(
    LLAMA, attention=Attention(Gated("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"), "self_attn.o_proj")
)
_QWEN_NEXT = {
    "full_attention": _QWEN,
    "linear_attention": _mixing(_QWEN, "linear_attn", "in_proj_qkvz", "in_proj_ba", "out_proj"),
}
_QWEN_3_5 = {
    "full_attention": _QWEN,
    "linear_attention": _mixing(
        _QWEN, "linear_attn", *(f"in_proj_{part}" for part in ("qkv", "z", "b", "a")), "out_proj"
    ),
}


def _qwen_experts(dense: Architecture) -> Architecture:
    return mixture(dense, dense.model_type, shared="shared_expert")


def _all_experts(config: PretrainedConfig) -> list[str]:
    return ["experts"] * int(config.num_hidden_layers)


QWEN3_NEXT = _with_experts(qwen_layers, _qwen_experts, "qwen3_next", "linear_attn", **_QWEN_NEXT)
QWEN3_5 = _of_kinds("qwen3_5_text", "linear_attn", **_QWEN_3_5)
QWEN3_5_MOE = _with_experts(_all_experts, _qwen_experts, "qwen3_5_moe_text", "linear_attn", **_QWEN_3_5)

# A layer is one of four things, and all are called its mixer.
_NEMOTRON_H = _moved(replace(LLAMA, positions=nowhere), self_attn="mixer", mlp="mixer")
_ALONE = "its layers are attention, a recurrence or an MLP alone"


def _alone(*components: str, **matrices: str) -> Architecture:
    taps = {name: _NEMOTRON_H.taps[name] for name in ("resid_pre", *components, "resid_post")}
    return replace(_NEMOTRON_H, taps=taps, matrices=matrices, attention=None)


_NEMOTRON_MLP = _alone("mlp_post", "mlp_out", **{"mlp.W_in": "mixer.up_proj", "mlp.W_out": "mixer.down_proj"})
NEMOTRON_H = replace(
    _of_kinds(
        "nemotron_h",
        "mixer",
        full_attention=replace(
            _alone("ov_out", "z", "pattern", "attn_out"),
            attention=_NEMOTRON_H.attention,
        ),
        linear_attention=_only_mixing(_NEMOTRON_H, "mixer", "in_proj", "out_proj"),
        mlp=_NEMOTRON_MLP,
        moe=mixture(
            _NEMOTRON_MLP,
            "nemotron_h",
            block="mixer",
            by="sigmoid",
            matrices={
                "mlp.experts.W_in": Experts("mixer.experts", "up_proj"),
                "mlp.experts.W_out": Experts("mixer.experts", "down_proj"),
                "mlp.shared.W_in": "mixer.shared_experts.up_proj",
                "mlp.shared.W_out": "mixer.shared_experts.down_proj",
            },
        ),
    ),
    missing={"resid_mid": _ALONE},
)

_GRIFFIN = _moved(LLAMA, self_attn="temporal_block", mlp="mlp_block", post_attention_layernorm="channel_pre_norm")
RECURRENT_GEMMA = _of_kinds(
    "recurrent_gemma",
    "temporal_block",
    sliding_attention=_GRIFFIN,
    linear_attention=_mixing(_GRIFFIN, "temporal_block", "linear_x", "linear_y", "linear_out"),
)

# A block that several layers share reads the stream and the embedding side by side; what it gives goes into the mixer
# alone, and is not added to the stream.
_INTO_MIXER = "what attention and MLP give goes into the layer's mixer, and is not added to the residual stream"
_SHARED = _moved(LLAMA, self_attn="shared_transformer.self_attn", mlp="shared_transformer.feed_forward")
ZAMBA2 = replace(
    _of_kinds(
        "zamba2",
        "mamba",
        linear_attention=_only_mixing(LLAMA, "mamba", "in_proj", "out_proj"),
        hybrid=replace(
            _SHARED,
            taps={
                "resid_pre": Tap("", "input"),
                **{name: _SHARED.taps[name] for name in ("ov_out", "z", "pattern", "mlp_post")},
                "mixer_out": Tap("mamba_decoder.mamba", "output"),
                "resid_post": Tap("", "output"),
            },
            matrices={
                "mlp.W_gate": Half("shared_transformer.feed_forward.gate_up_proj", 0),
                "mlp.W_in": Half("shared_transformer.feed_forward.gate_up_proj", 1),
                "mlp.W_out": "shared_transformer.feed_forward.down_proj",
                "mixer.in_proj": "mamba_decoder.mamba.in_proj",
                "mixer.out_proj": "mamba_decoder.mamba.out_proj",
            },
        ),
    ),
    missing=dict.fromkeys(("attn_out", "mlp_out", "resid_mid"), _INTO_MIXER),
    positions=rotary_if_set,
    # Others add a matrix of each layer's own to the shared projections of queries, keys and values.
    when={"use_shared_attention_adapter": False},
)

HYBRIDS = (
    LFM2,
    BAMBA,
    OLMO_HYBRID,
    FALCON_H1,
    JAMBA,
    QWEN3_NEXT,
    QWEN3_5,
    QWEN3_5_MOE,
    NEMOTRON_H,
    RECURRENT_GEMMA,
    ZAMBA2,
)
