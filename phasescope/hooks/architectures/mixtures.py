"""Language models whose MLPs are mixtures of experts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.architectures.llamas import GRANITE, LLAMA, OLMO2
from phasescope.hooks.latent import Latent, OneHead
from phasescope.hooks.routing import Chosen, ChosenAndWeighted, Columns, Experts, Routed, Router
from phasescope.hooks.sites import CHOSEN
from phasescope.hooks.tap import Tap

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    Kinds = Callable[[PretrainedConfig], Sequence[str]]

_HALVES: tuple[Columns, Columns] = ("first half", "second half")
_TURN_BY_TURN: tuple[Columns, Columns] = ("even", "odd")


def experts(
    module: str, *, interleaved: bool = False, stored: Literal["out in", "in out"] = "out in"
) -> dict[str, Any]:
    """Where the matrices of all experts are: gate and up projection in one parameter, halves or turn by turn."""
    gate, up = _TURN_BY_TURN if interleaved else _HALVES
    return {
        "mlp.experts.W_gate": Experts(module, "gate_up_proj", gate, stored),
        "mlp.experts.W_in": Experts(module, "gate_up_proj", up, stored),
        "mlp.experts.W_out": Experts(module, "down_proj", "all", stored),
    }


def mixture(
    dense: Architecture,
    model_type: str,
    block: str = "mlp",
    router: str = "gate",
    by: Literal["softmax", "sigmoid"] = "softmax",
    matrices: Mapping[str, Any] | None = None,
    shared: str | None = None,
) -> Architecture:
    """A family whose layers are another's, with a mixture of experts in the place of the MLP.

    block: the module that holds the experts. by: what makes probabilities of the router's scores. matrices: where the
    experts' are, if they are not as most are. shared: the MLP beside them that every token goes through.
    """
    place = f"{block}.{router}"
    beside = {f"mlp.shared.{name}": f"{block}.{shared}.{path}" for name, path in _PROJECTIONS.items() if shared}
    taps: dict[str, Tap] = {}
    for name, tap in dense.taps.items():
        if name == "mlp_post":
            taps |= {"router": Router(place, "output", by=by), "routed": Routed(place, "output")}
            taps |= chosen_experts(f"{block}.experts", dense.taps["mlp_out"].scale)
        else:
            taps[name] = replace(tap, module=block) if tap.module == "mlp" else tap
    own = experts(f"{block}.experts") if matrices is None else matrices
    kept = {name: path for name, path in dense.matrices.items() if not name.startswith("mlp.")}
    return replace(
        dense,
        model_type=model_type,
        taps=taps,
        matrices={**kept, "mlp.W_router": place, **own, **beside},
        transformer_lens={**dense.transformer_lens, **dict.fromkeys(("router", "routed", *CHOSEN))},
    )


def chosen_experts(module: str, scale: str | None = None) -> dict[str, Tap]:
    """Neurons and writings of the experts chosen; scale: what multiplies all that a mixture adds."""
    return {"mlp_post": Chosen(module, "input"), "expert_out": Chosen(module, "input", scale=scale)}


_PROJECTIONS = {"W_in": "up_proj", "W_gate": "gate_proj", "W_out": "down_proj"}

OLMOE = mixture(LLAMA, "olmoe")

# A row of the pattern leaves to the sink what it does not give to tokens.
_GPT_OSS = mixture(
    LLAMA, "gpt_oss", router="router", matrices=experts("mlp.experts", interleaved=True, stored="in out")
)
GPT_OSS = replace(
    _GPT_OSS,
    taps={
        name: tap
        for known, tap in _GPT_OSS.taps.items()
        for name in ((known, "sink") if known == "pattern" else (known,))
    },
)


def _with_dense_layers(mixture: Architecture, dense: Architecture, kinds: Kinds) -> Architecture:
    """The same with dense layers among those that have experts."""
    both = {"dense": replace(dense, model_type=mixture.model_type), "experts": mixture}
    taps = {**dense.taps, **mixture.taps}
    return replace(mixture, taps=taps, missing={}, kinds=both, kinds_in=kinds)


def qwen_layers(config: PretrainedConfig) -> list[str]:
    every, dense = config.decoder_sparse_step, config.mlp_only_layers or ()
    sparse = (number not in dense and (number + 1) % every == 0 for number in range(config.num_hidden_layers))
    return ["experts" if experts and config.num_experts > 0 else "dense" for experts in sparse]


def _llama4_layers(config: PretrainedConfig) -> list[str]:
    return ["experts" if number in config.moe_layers else "dense" for number in range(config.num_hidden_layers)]


def _first_dense(config: PretrainedConfig) -> list[str]:
    layers = range(config.num_hidden_layers)
    return ["experts" if number >= config.first_k_dense_replace else "dense" for number in layers]


def _latent(entry: Architecture, **down: str) -> Architecture:
    """The same with latent attention, the latent matrices beside the products that they stand for."""
    own = {f"attn.{name}": f"self_attn.{path}" for name, path in down.items()}
    return replace(
        entry,
        taps={**entry.taps, "ov_out": OneHead("self_attn.kv_b_proj", "output")},
        attention=Attention(Latent("self_attn"), "self_attn.o_proj", key_values=0, size="v_head_dim"),
        matrices={**own, **entry.matrices},
        transformer_lens={**entry.transformer_lens, "ov_out": None, "z": None},
    )


_LATENT = {"W_Q_down": "q_a_proj", "W_Q_up": "q_b_proj", "W_KV_down": "kv_a_proj_with_mqa", "W_KV_up": "kv_b_proj"}
_MINICPM3 = replace(
    LLAMA,
    model_type="minicpm3",
    taps={
        **LLAMA.taps,
        **{name: replace(LLAMA.taps[name], scale="residual_scale") for name in ("attn_out", "mlp_out")},
    },
)


# Experts are given the token multiplied by its weight, and the router gives these weights as it gives its scores.
_LLAMA4_DENSE = replace(
    LLAMA,
    taps={
        **LLAMA.taps,
        "mlp_post": Tap("feed_forward.down_proj", "input"),
        "mlp_out": Tap("feed_forward", "output"),
    },
    matrices={name: f"feed_forward.{path}" for name, path in {f"mlp.{n}": p for n, p in _PROJECTIONS.items()}.items()},
)
_LLAMA4 = mixture(
    _LLAMA4_DENSE,
    "llama4_text",
    block="feed_forward",
    router="router",
    by="sigmoid",
    matrices=experts("feed_forward.experts", stored="in out"),
    shared="shared_expert",
)
_ROUTED = {
    **dict.fromkeys(CHOSEN, ChosenAndWeighted("feed_forward.router", "input")),
    "router": replace(_LLAMA4.taps["router"], item=1),
    "routed": Tap("feed_forward.router", "output"),
}
_LLAMA4 = replace(
    _LLAMA4,
    taps={
        name: tap
        for known, own in _LLAMA4.taps.items()
        if known == "router" or known not in _ROUTED
        for name, tap in (_ROUTED.items() if known == "router" else [(known, own)])
    },
)

# Small ones (V2-Lite) make queries without latent dimensions.
_LATENT_KEYS = {name: path for name, path in _LATENT.items() if path.startswith("kv")}


def _deepseek(model_type: str, by: Literal["softmax", "sigmoid"], latent: Mapping[str, str] = _LATENT) -> Architecture:
    mixed = _latent(mixture(LLAMA, model_type, by=by, shared="shared_experts"), **latent)
    return _with_dense_layers(mixed, _latent(LLAMA, **latent), _first_dense)


MIXTURES = (
    OLMOE,
    replace(OLMOE, model_type="mixtral"),
    _with_dense_layers(replace(OLMOE, model_type="qwen3_moe"), LLAMA, qwen_layers),
    mixture(OLMO2, "flex_olmo"),
    _with_dense_layers(mixture(LLAMA, "qwen2_moe", shared="shared_expert"), LLAMA, qwen_layers),
    _with_dense_layers(mixture(LLAMA, "glm4_moe", by="sigmoid", shared="shared_experts"), LLAMA, _first_dense),
    mixture(GRANITE, "granitemoe", block="block_sparse_moe", router="router"),
    mixture(LLAMA, "phimoe", router="router"),
    GPT_OSS,
    _latent(_MINICPM3, **_LATENT),
    _deepseek("deepseek_v2", "softmax"),
    replace(_deepseek("deepseek_v2", "softmax", _LATENT_KEYS), when={"q_lora_rank": None}),
    _deepseek("deepseek_v3", "sigmoid"),
    _with_dense_layers(_LLAMA4, _LLAMA4_DENSE, _llama4_layers),
)
