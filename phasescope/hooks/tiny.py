"""A tiny model of any family, with random weights: to see what is inside, and to try an entry on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.families import language_config, reads_both_sides

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

VOCABULARY = 61
# By what settings are called: all sizes differ where they can.
_SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "n_embd", "d_model", "embedding_dim"), 32),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads"), 2),
    **dict.fromkeys(("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"), 48),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "max_seq_len"), 64),
    "head_dim": 12,
    "rotary_dim": 4,
    "vocab_size": VOCABULARY,
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), 0),
}


def tiny_model(named: str) -> PreTrainedModel:
    """Of a model type, or of the family of a folder's config.json; float64, biases and norms random too.

    Raises PhasescopeError where transformers knows no such family, or cannot make one so small.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    config = _tiny_config(named)
    factory = AutoModelForMaskedLM if reads_both_sides(config) else AutoModelForCausalLM
    try:
        model: PreTrainedModel = factory.from_config(config).eval().to(torch.float64)
    except Exception as error:
        raise PhasescopeError(
            f"transformers makes no tiny {config.model_type} model ({type(error).__name__}: {str(error)[:200]}): it "
            "has sizes of other names; write its entry by hand (docs/extending.md)."
        ) from error
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64) + 0.05)
    return model


def _tiny_config(named: str) -> PretrainedConfig:
    from transformers import AutoConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from phasescope.errors import BadArgumentError, did_you_mean

    kept: dict[str, Any] = {}
    kind = named
    if Path(named).is_dir():
        try:
            config = language_config(AutoConfig.from_pretrained(named, local_files_only=True))
        except (OSError, ValueError) as error:
            raise PhasescopeError(
                f"{named} has no config.json that transformers can read: {str(error)[:200]}"
            ) from error
        # Switches are kept, and sizes are not.
        kept = {name: value for name, value in config.to_diff_dict().items() if isinstance(value, bool | str)}
        kind = config.model_type
    if kind not in CONFIG_MAPPING:
        raise BadArgumentError(f"transformers knows no model type {kind!r}. {did_you_mean(kind, CONFIG_MAPPING)}")
    usual = CONFIG_MAPPING[kind]()
    own = {name: value for name, value in _SIZES.items() if hasattr(usual, name)}
    dropped = ("model_type", "transformers_version", "dtype", "architectures")
    settings = {**{name: value for name, value in kept.items() if name not in dropped}, **own}
    return CONFIG_MAPPING[kind](**settings)
