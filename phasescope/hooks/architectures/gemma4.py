"""Gemma 4: heads of two sizes, keys that are values too, layers that use the keys and values of others."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.architectures.llamas import GEMMA2
from phasescope.hooks.architectures.mixtures import experts
from phasescope.hooks.projections import Queries, Separate
from phasescope.hooks.routing import Chosen, Routed, Router
from phasescope.hooks.tap import ByHead

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def _kinds(config: PretrainedConfig) -> list[str]:
    """What each layer makes for itself."""
    kinds = []
    for layer, sharing in zip(config.layer_types, config.kv_sharing_modes, strict=True):
        keys = config.attention_k_eq_v and layer != "sliding_attention"
        kinds.append("queries alone" if sharing == "reuse" else "keys as values" if keys else "keys and values")
    return kinds


def _attending(dense: Architecture) -> Architecture:
    """The three ways in which a layer can attend."""
    query, key, value = (f"self_attn.{letter}_proj" for letter in "qkv")
    output = "self_attn.o_proj"
    # Values are normed before they are mixed.
    taps = {**dense.taps, "ov_out": ByHead("self_attn.v_norm", "output")}
    own = replace(dense, taps=taps, attention=Attention(Separate(query, key, value), output))
    without = {name: tap for name, tap in taps.items() if name != "ov_out"}
    kinds = {
        "keys and values": own,
        "keys as values": replace(own, attention=Attention(Separate(query, key, key), output)),
        "queries alone": replace(own, taps=without, attention=Attention(Queries(query), output)),
    }
    return replace(own, kinds=kinds, kinds_in=_kinds)


_DENSE = replace(GEMMA2, model_type="gemma4_text", transformer_lens={"ov_out": None})
# Experts stand beside a dense MLP in every layer, each with a norm after it, and are added to it.
_EXPERTS = replace(
    _DENSE,
    taps={
        name: tap
        for known, own in _DENSE.taps.items()
        for name, tap in (
            *(
                (
                    ("router", Router("router", "output", by="given")),
                    ("routed", Routed("router", "output")),
                    ("expert_out", Chosen("experts", "input")),
                )
                * (known == "mlp_out")
            ),
            (known, own),
        )
    },
    matrices={**_DENSE.matrices, "mlp.W_router": "router.proj", **experts("experts")},
    transformer_lens={**_DENSE.transformer_lens, "router": None, "routed": None, "expert_out": None},
)

GEMMA4 = tuple(
    replace(_attending(entry), when={"enable_moe_block": mixed}) for entry, mixed in ((_DENSE, False), (_EXPERTS, True))
)
