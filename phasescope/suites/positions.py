"""How many tokens a model can read at once, by its configuration."""

from __future__ import annotations

from typing import Any

UNLIMITED = 2**31
# Positions of RoBERTa's family are counted from the one after that of padding.
_AFTER_PADDING = {
    "camembert",
    "data2vec-text",
    "ibert",
    "luke",
    "mpnet",
    "roberta",
    "roberta-prelayernorm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xmod",
}


def most_positions(config: Any) -> int:
    """Positions that a model allows; `UNLIMITED` where its configuration names no limit, or scales beyond it by itself.

    A rotary embedding of type `dynamic` takes its base from the length that is read, so `max_position_embeddings` is
    the length from which it begins to, not the last position (transformers.modeling_rope_utils).
    """
    for name in ("rope_parameters", "rope_scaling"):
        rope = getattr(config, name, None) or {}
        # Some models have several, by kind of layer.
        for one in (rope, *(part for part in rope.values() if isinstance(part, dict))):
            if (one.get("rope_type") or one.get("type")) == "dynamic":
                return UNLIMITED
    if getattr(config, "model_type", None) in _AFTER_PADDING:
        return int(config.max_position_embeddings) - int(config.pad_token_id) - 1
    named = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len"))  # MPT's name
    return int(next((most for most in named if most), UNLIMITED))
