"""What a configuration says of the whole model, before anything is known of its modules."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PretrainedConfig


def reads_both_sides(config: PretrainedConfig) -> bool:
    """Whether it is of a masked language model: of a family that is that unless it says otherwise."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    return config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)


def language_config(config: PretrainedConfig) -> PretrainedConfig:
    """The configuration of the language model, where that is one part of several (text and images)."""
    if not _is_outer(config):
        return config
    own: PretrainedConfig = copy.deepcopy(config.text_config)
    # Whether the unembedding is the embedding is for the whole to say.
    own.tie_word_embeddings = config.tie_word_embeddings
    return own


def language_keys(config: PretrainedConfig) -> dict[str, str] | None:
    """How a language model's tensors are renamed, from patterns, where the files hold more parts; None: not at all."""
    if not _is_outer(config):
        return None
    return {r"^language_model\.lm_head\.": "lm_head.", r"^(model\.)?language_model\.(model\.)?": "model."}


def _is_outer(config: Any) -> bool:
    return hasattr(config, "text_config") and not hasattr(config, "num_hidden_layers")
