"""Language models whose MLPs are mixtures of experts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from phasescope.hooks.architecture import Architecture
from phasescope.hooks.architectures.llamas import GRANITE, LLAMA, OLMO2
from phasescope.hooks.routing import Columns, Experts, Routed, Router
from phasescope.hooks.tap import Tap

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    Kinds = Callable[[PretrainedConfig], Sequence[str]]

_HALVES: tuple[Columns, Columns] = ("first half", "second half")
_TURN_BY_TURN: tuple[Columns, Columns] = ("even", "odd")
_MIXED = "its neurons are those of experts, and each token has some of them"


def _experts(
    module: str, *, interleaved: bool = False, stored: Literal["out in", "in out"] = "out in"
) -> dict[str, Any]:
    """Where the matrices of all experts are: gate and up projection in one parameter, halves or turn by turn."""
    gate, up = _TURN_BY_TURN if interleaved else _HALVES
    return {
        "mlp.experts.W_gate": Experts(module, "gate_up_proj", gate, stored),
        "mlp.experts.W_in": Experts(module, "gate_up_proj", up, stored),
        "mlp.experts.W_out": Experts(module, "down_proj", "all", stored),
    }


def _mixture(
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
        else:
            taps[name] = replace(tap, module=block) if tap.module == "mlp" else tap
    own = _experts(f"{block}.experts") if matrices is None else matrices
    return replace(
        dense,
        model_type=model_type,
        taps=taps,
        matrices={"mlp.W_router": place, **own, **beside},
        missing={"mlp_post": _MIXED},
        transformer_lens={"router": None, "routed": None},
    )


_PROJECTIONS = {"W_in": "up_proj", "W_gate": "gate_proj", "W_out": "down_proj"}

OLMOE = _mixture(LLAMA, "olmoe")

# A row of the pattern leaves to the sink what it does not give to tokens.
_GPT_OSS = _mixture(
    LLAMA, "gpt_oss", router="router", matrices=_experts("mlp.experts", interleaved=True, stored="in out")
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


def _qwen_layers(config: PretrainedConfig) -> list[str]:
    every, dense = config.decoder_sparse_step, config.mlp_only_layers or ()
    sparse = (number not in dense and (number + 1) % every == 0 for number in range(config.num_hidden_layers))
    return ["experts" if experts and config.num_experts > 0 else "dense" for experts in sparse]


def _first_dense(config: PretrainedConfig) -> list[str]:
    layers = range(config.num_hidden_layers)
    return ["experts" if number >= config.first_k_dense_replace else "dense" for number in layers]


MIXTURES = (
    OLMOE,
    replace(OLMOE, model_type="mixtral"),
    _with_dense_layers(replace(OLMOE, model_type="qwen3_moe"), LLAMA, _qwen_layers),
    _mixture(OLMO2, "flex_olmo"),
    _with_dense_layers(_mixture(LLAMA, "qwen2_moe", shared="shared_expert"), LLAMA, _qwen_layers),
    _with_dense_layers(_mixture(LLAMA, "glm4_moe", by="sigmoid", shared="shared_experts"), LLAMA, _first_dense),
    _mixture(GRANITE, "granitemoe", block="block_sparse_moe", router="router"),
    _mixture(LLAMA, "phimoe", router="router"),
    GPT_OSS,
)
