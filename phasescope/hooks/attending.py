"""What a layer's attention can see, and how it knows of positions: as the configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PretrainedConfig

Positions = Literal["rotary", "learned", "alibi", "none"]


def window(config: PretrainedConfig, layer: int) -> str:
    """How far a layer attends: `full`, `sliding:4096` (so many tokens, itself among them) or `chunked:8192`.

    ModernBERT's windows are of both sides together, without the token itself.
    """
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    kind = kinds[layer] if kinds else None
    if kind == "chunked_attention":
        return f"chunked:{config.attention_chunk_size}"
    if kind == "local":
        return f"sliding:{config.window_size}"
    size = getattr(config, "sliding_window", None)
    if kind == "sliding_attention" or (kind is None and size):
        return f"sliding:{config.local_attention if config.model_type == 'modernbert' else size}"
    return "full"


def rotary(config: PretrainedConfig, layer: int) -> Positions:
    """Queries and keys are turned, but for layers that the configuration leaves out."""
    turned = getattr(config, "no_rope_layers", None)
    return "none" if turned and not turned[layer] else "rotary"


def rotary_in_windows(config: PretrainedConfig, layer: int) -> Positions:
    """Where some layers have windows, only these know of positions (Cohere 2, EXAONE 4)."""
    return "rotary" if window(config, layer) != "full" or not config.sliding_window else "none"


def rotary_or_alibi(config: PretrainedConfig, layer: int) -> Positions:
    """As Falcon's configuration says."""
    return "alibi" if config.alibi else "rotary"


def rotary_if_set(config: PretrainedConfig, layer: int) -> Positions:
    """As the configurations of OLMo Hybrid and Zamba2 say."""
    named = getattr(config, "rope_parameters", None) or {}
    return "rotary" if getattr(config, "use_mem_rope", named.get("rope_theta") is not None) else "none"


def learned(config: PretrainedConfig, layer: int) -> Positions:
    """An embedding of each position is added to that of the token."""
    return "learned"


def alibi(config: PretrainedConfig, layer: int) -> Positions:
    """Scores fall with distance (Press et al. 2022)."""
    return "alibi"


def nowhere(config: PretrainedConfig, layer: int) -> Positions:
    """Attention itself is told nothing of positions."""
    return "none"
