"""OLMo as its own code saved it (`hf_olmo`), before transformers had it: DataDecide's models, `allenai/OLMo-1B`.

Configuration and names of tensors are those of `olmo.config.ModelConfig` and `olmo.model.OLMo` (package ai2-olmo). What
they describe is, by the norm they have, one of three models of transformers, to the last operation:

- a LayerNorm without weights: OLMo (`OlmoForCausalLM`);
- an RMSNorm with weights before each block, as DataDecide has it: Llama;
- RMSNorms behind each block, and of queries and keys: OLMo 2.

Queries, keys and values are one matrix there, and so are what the gate opens and the gate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

# What is otherwise in none of the three; of each what it must be, where the configuration tells it.
_AS_HERE: Mapping[str, tuple[Any, ...]] = {
    "alibi": (False,),
    "rope": (True,),
    "include_bias": (False,),
    "activation_type": ("swiglu",),
    "block_type": ("sequential",),
    "block_group_size": (1,),
    "scale_logits": (False,),
    "bias_for_layer_norm": (False, None),
    "embedding_layer_norm": (False,),
}
_OF_LAYER = {
    "attn_out": "self_attn.o_proj",
    "ff_out": "mlp.down_proj",
    "q_norm": "self_attn.q_norm",
    "k_norm": "self_attn.k_norm",
}
_NORMS = {False: ("input_layernorm", "post_attention_layernorm"), True: (
    "post_attention_layernorm", "post_feedforward_layernorm",
)}  # fmt: skip
_OF_MODEL = {"wte": "model.embed_tokens.weight", "ln_f": "model.norm.weight", "ff_out": "lm_head.weight"}


def old_olmo(folder: Path) -> Mapping[str, Any] | None:
    """The configuration in a folder, if it is of that code; None of any other.

    Its `model_type` may be `olmo` too, which transformers takes for its own and fills with sizes that are not these.
    """
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # whoever opens the checkpoint says what is wrong with it
    if not isinstance(told, dict) or told.get("model_type") not in ("hf_olmo", "olmo"):
        return None
    return told if {"d_model", "n_layers", "n_heads"} <= told.keys() and "hidden_size" not in told else None


def as_transformers(told: Mapping[str, Any], label: str) -> PretrainedConfig:
    """The configuration of the model of transformers that is the same.

    Raises `BadCheckpointError`, with what it is, for one that none is.
    """
    from transformers import LlamaConfig, Olmo2Config, OlmoConfig

    other = [f"{name}: {told[name]}" for name, wanted in _AS_HERE.items() if told.get(name, wanted[0]) not in wanted]
    norm, weights = told.get("layer_norm_type", "default"), bool(told.get("layer_norm_with_affine", True))
    after, of_queries = bool(told.get("norm_after")), bool(told.get("attention_layer_norm"))
    shape = _shape(told)
    kinds: Mapping[tuple[Any, ...], Callable[[], PretrainedConfig]] = {
        ("default", False, False, False): lambda: OlmoConfig(**shape, clip_qkv=told.get("clip_qkv")),
        ("rms", True, False, False): lambda: LlamaConfig(**shape, rms_norm_eps=told.get("layer_norm_eps", 1e-5)),
        ("rms", True, True, True): lambda: Olmo2Config(**shape, rms_norm_eps=told.get("layer_norm_eps", 1e-5)),
    }
    kind = kinds.get((norm, weights, after, of_queries))
    if kind is None:
        other.append(
            f"layer_norm_type: {norm}, layer_norm_with_affine: {weights}, norm_after: {after}, "
            f"attention_layer_norm: {of_queries}"
        )
    if told.get("clip_qkv") is not None and (norm, after) != ("default", False):
        other.append(f"clip_qkv: {told['clip_qkv']}")
    if kind is None or other:
        raise BadCheckpointError(
            f"{label} was saved by OLMo's own code with what no model of transformers has ({'; '.join(other)}): "
            "install ai2-olmo, convert it there, or choose another suite."
        )
    return kind()


def _shape(told: Mapping[str, Any]) -> dict[str, Any]:
    heads = told["n_heads"]
    inner = told.get("mlp_hidden_size") or told["d_model"] * told.get("mlp_ratio", 4)
    shared = 1 if told.get("multi_query_attention") else heads
    return {
        "vocab_size": told.get("embedding_size") or told["vocab_size"],
        "hidden_size": told["d_model"],
        "intermediate_size": inner // 2,  # both halves of the gated layer are one matrix there
        "num_hidden_layers": told["n_layers"],
        "num_attention_heads": heads,
        "num_key_value_heads": told.get("n_kv_heads") or shared,
        "max_position_embeddings": told.get("max_sequence_length", 2048),
        "rope_parameters": {"rope_type": "default", "rope_theta": told.get("rope_theta", 10000.0)},
        "tie_word_embeddings": bool(told.get("weight_tying", True)),
        "attention_bias": False,
        "bos_token_id": None,
        "eos_token_id": told.get("eos_token_id"),
        "pad_token_id": told.get("pad_token_id"),
        "dtype": told.get("torch_dtype") or told.get("dtype"),
    }


def renamed(names: Iterable[str], read: Callable[[str], Tensor], told: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors under the names that transformers has; joined ones in their parts, which share memory with them.

    A name that is not known stays as it is, so that it is told as one too many.
    """
    found: dict[str, Tensor] = {}
    for name in names:
        found |= _parts(name.removeprefix("model."), read(name), told)
    return found


def _parts(name: str, tensor: Tensor, told: Mapping[str, Any]) -> dict[str, Tensor]:
    import torch

    if whole := re.fullmatch(r"transformer\.(\w+)\.weight", name):
        return {_OF_MODEL.get(whole[1], name): tensor}
    of_layer = re.fullmatch(r"transformer\.blocks\.(\d+)\.(\w+)\.weight", name)
    if of_layer is None:
        return {name: tensor}
    layer, part = f"model.layers.{of_layer[1]}", of_layer[2]
    if part == "att_proj":
        shape = _shape(told)
        kept = shape["hidden_size"] // shape["num_attention_heads"] * shape["num_key_value_heads"]
        widths = [tensor.shape[0] - 2 * kept, kept, kept]
        parts = torch.split(tensor, widths) if widths[0] > 0 else (tensor,)
        return {f"{layer}.self_attn.{q}_proj.weight": each for q, each in zip("qkv", parts, strict=False)}
    if part == "ff_proj":
        up, gate = torch.chunk(tensor, 2)  # the second half goes through the SiLU
        return {f"{layer}.mlp.up_proj.weight": up, f"{layer}.mlp.gate_proj.weight": gate}
    norms = dict(zip(("attn_norm", "ff_norm"), _NORMS[bool(told.get("norm_after"))], strict=True))
    known = _OF_LAYER | norms
    return {f"{layer}.{known[part]}.weight" if part in known else name: tensor}
