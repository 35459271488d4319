"""TransformerLens' own models as models of `transformers`, so that everything else can treat them like any other.

They are not in any layout of `transformers`: `config.json` is TransformerLens', and each checkpoint is a pickle of
tensors under HookedTransformer's names (`blocks.0.attn.W_Q`). TransformerLens knows how to read both.
"""

from __future__ import annotations

import copy
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from phasescope.errors import BadCheckpointError
from phasescope.suites.download import CONFIG_FILES, fetch
from phasescope.suites.hub_answers import explained
from phasescope.suites.suite import Checkpoint
from phasescope.suites.weights import unpickle

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor
    from transformer_lens.config import TransformerBridgeConfig

# The names of modules in TransformerLens' checkpoints, and in its model.
_NAMES = {
    r"^embed\.": "tok_embed.",
    r"^pos_embed\.": "pos.",
    r"^blocks\.": "layers.",
    r"^ln_final\.": "ln_out.",
    r"^unembed\.": "head.",
    r"\.mlp\.(in|out)\.": r".mlp.fc_\1.",
}


class NativeConfig(PretrainedConfig):  # type: ignore[misc]
    """What is asked of a configuration elsewhere, of one of TransformerLens' own models."""

    model_type = "transformer_lens"


class NativeLanguageModel(PreTrainedModel):  # type: ignore[misc]
    """TransformerLens' `NativeModel`, with the unembedding's bias that its checkpoints have.

    Random until weights are loaded.
    """

    config_class = NativeConfig
    base_model_prefix = "native"

    def __init__(self, cfg: TransformerBridgeConfig) -> None:
        from transformer_lens.model_bridge.sources.native import NativeModel

        super().__init__(as_config(cfg))
        self.native = NativeModel(cfg)
        self.native.head = nn.Linear(cfg.d_model, self.native.head.out_features, bias=True)

    def forward(self, input_ids: Int[Tensor, "batch context"], **_: Any) -> CausalLMOutput:
        """The logits of every token."""
        return CausalLMOutput(logits=self.native(input_ids))

    def get_input_embeddings(self) -> nn.Module:
        return self.native.tok_embed

    def get_output_embeddings(self) -> nn.Module:
        return self.native.head

    def set_attn_implementation(self, *_: Any, **__: Any) -> None:
        """Do nothing: the pattern of attention is always formed."""


def as_config(cfg: TransformerBridgeConfig) -> NativeConfig:
    """TransformerLens' configuration under the names of `transformers`."""
    return NativeConfig(
        vocab_size=cfg.d_vocab,
        hidden_size=cfg.d_model,
        intermediate_size=cfg.d_mlp,
        num_hidden_layers=cfg.n_layers,
        num_attention_heads=cfg.n_heads,
        head_dim=cfg.d_head,
        max_position_embeddings=cfg.n_ctx,
        attn_only=cfg.attn_only,
        tie_word_embeddings=False,
    )


def native_config(checkpoint: Checkpoint) -> NativeConfig:
    """The configuration of a checkpoint that is a file in one of TransformerLens' own repositories."""
    return as_config(_own_config(checkpoint))


def native_tokenizer(checkpoint: Checkpoint) -> Checkpoint:
    """Where its tokenizer is: a repository of its own. Raises `BadCheckpointError` if its configuration names none."""
    name = _own_config(checkpoint).tokenizer_name
    if not name:
        raise BadCheckpointError(
            f"{checkpoint.location} names no tokenizer in its config.json, so no text can be given to its models."
        )
    return Checkpoint(checkpoint.family, checkpoint.size, checkpoint.seed, checkpoint.step, name, "main")


def open_native(
    checkpoint: Checkpoint, file: Path, dtype: str | torch.dtype
) -> tuple[NativeLanguageModel, dict[str, Any]]:
    """The model of such a checkpoint, and what did not fit, as `transformers` reports it.

    file: its weights. dtype: `auto` is that of the file.
    """
    cfg = _own_config(checkpoint)
    model = NativeLanguageModel(cfg)
    state, own = _state(unpickle(checkpoint, file), cfg), model.native.state_dict()
    if "head.bias" not in state:
        # As TransformerLens does: some repositories have none.
        state["head.bias"] = torch.zeros_like(own["head.bias"])
    fitting = {name: tensor for name, tensor in state.items() if name in own and tensor.shape == own[name].shape}
    model.native.load_state_dict(fitting, strict=False, assign=True)
    model.to(dtype if isinstance(dtype, torch.dtype) else state["tok_embed.weight"].dtype)
    report = {
        "missing_keys": own.keys() - state.keys(),
        "unexpected_keys": state.keys() - own.keys(),
        "mismatched_keys": [
            (name, tensor.shape, own[name].shape)
            for name, tensor in state.items()
            if name in own and tensor.shape != own[name].shape
        ],
        "error_msgs": [],
    }
    return model, report


def _own_config(checkpoint: Checkpoint) -> TransformerBridgeConfig:
    folder = fetch(checkpoint, CONFIG_FILES)
    with explained(checkpoint.location, checkpoint):
        return copy.deepcopy(_derived_config(folder, checkpoint.location))


@functools.lru_cache(maxsize=8)
def _derived_config(folder: Path, repository: str) -> TransformerBridgeConfig:
    """As TransformerLens reads it, which asks the hub every time; `folder` is the commit's."""
    from transformer_lens.model_bridge.sources.tl_legacy import derive_tl_legacy_config

    return derive_tl_legacy_config(repository)


def _state(tensors: dict[str, Tensor], cfg: TransformerBridgeConfig) -> dict[str, Float[Tensor, "..."]]:
    """The tensors of a checkpoint's file, named and shaped as those of `NativeModel`.

    They are read here and only converted there: TransformerLens' own `fetch_tl_legacy_state_dict` takes the first file
    whose name *ends* in the label, and for the label 50 that may be the checkpoint of step 150.
    """
    from transformer_lens.model_bridge.sources import tl_legacy
    from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

    older = {
        "neel-solu-old": tl_legacy._convert_neel_solu_old_weights,
        "mingpt": tl_legacy._convert_mingpt_weights,
    }
    layout = getattr(cfg, "original_architecture", None)
    converted = convert_tl_checkpoint(older[layout](tensors, cfg) if layout in older else tensors, cfg)
    return {_name(name): tensor for name, tensor in converted.items()}


def _name(name: str) -> str:
    for theirs, own in _NAMES.items():
        name = re.sub(theirs, own, name)
    return name
