"""What other programs call the weights of models that transformers has: torchtitan, Llama's own code, OLMo-core.

- torchtitan's Llama 3 has the names of Llama's own code. In both, a rotary embedding turns neighbouring entries of each
  head as pairs, where transformers turns entry i with entry i + half of the head: so the rows of queries and keys are
  put in another order (`torchtitan/models/llama3/state_dict_adapter.py` does the same for its exports).
- OLMo-core's blocks are those of OLMo 2 and 3, or of Llama; its rotary embedding is that of transformers, and no row
  moves (`olmo_core/nn/rope.py`, `olmo_core/nn/hf/convert.py`).

Other models of these programs (mixtures of experts, fused projections, Qwen) are not here: their names are told as left
over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

# torchtitan up to 2025 saved the table of rotations with the weights.
_ROTATIONS = "freqs_cis"


@dataclass(frozen=True)
class Spelling:
    """The names of one program: of what is there once, and of what each layer has.

    pairs: whether queries and keys are in the order of Llama's own rotary embedding.
    """

    once: Mapping[str, str]
    layers: str
    of_layer: Mapping[str, str]
    pairs: bool = False

    def names(self, config: PretrainedConfig) -> dict[str, str]:
        """For each name what transformers has for it."""
        within = {
            f"{self.layers}.{layer}.{name}.weight": f"model.layers.{layer}.{known}.weight"
            for layer in range(int(config.num_hidden_layers))
            for name, known in self.of_layer.items()
        }
        return {f"{name}.weight": f"{known}.weight" for name, known in self.once.items()} | within

    def respelled(self, state: Mapping[str, Tensor], config: PretrainedConfig) -> dict[str, Tensor]:
        """The tensors as transformers has them. A name that is not known stays, so that it is told as one too many."""
        names = self.names(config)
        found = {names.get(name, name): tensor for name, tensor in state.items() if not _is_table(name, tensor, config)}
        if self.pairs:
            for name, tensor in found.items():
                if name.endswith((".q_proj.weight", ".k_proj.weight")):
                    heads = config.num_attention_heads if ".q_proj." in name else config.num_key_value_heads
                    found[name] = _halves(tensor, heads)
        return found


_LLAMA = Spelling(
    once={"tok_embeddings": "model.embed_tokens", "norm": "model.norm", "output": "lm_head"},
    layers="layers",
    of_layer={
        **{f"attention.w{part}": f"self_attn.{part}_proj" for part in "qkvo"},
        "feed_forward.w1": "mlp.gate_proj",
        "feed_forward.w2": "mlp.down_proj",
        "feed_forward.w3": "mlp.up_proj",
        "attention_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
    },
    pairs=True,
)
_OF_OLMO_CORE = {
    **{f"attention.w_{part}": f"self_attn.{part}_proj" for part in "qkv"},
    "attention.w_out": "self_attn.o_proj",
    "feed_forward.w1": "mlp.gate_proj",
    "feed_forward.w2": "mlp.down_proj",
    "feed_forward.w3": "mlp.up_proj",
}
_AROUND = {"embeddings": "model.embed_tokens", "lm_head.norm": "model.norm", "lm_head.w_out": "lm_head"}
_OLMO_CORE_LLAMA = Spelling(
    _AROUND,
    "blocks",
    {**_OF_OLMO_CORE, "attention_norm": "input_layernorm", "feed_forward_norm": "post_attention_layernorm"},
)
# The norms stand behind the blocks.
_OLMO_CORE = Spelling(
    _AROUND,
    "blocks",
    {
        **_OF_OLMO_CORE,
        **{f"attention.{part}_norm": f"self_attn.{part}_norm" for part in "qk"},
        "attention_norm": "post_attention_layernorm",
        "feed_forward_norm": "post_feedforward_layernorm",
    },
)
_OF = {"llama": (_LLAMA, _OLMO_CORE_LLAMA), "olmo2": (_OLMO_CORE,), "olmo3": (_OLMO_CORE,)}


def spellings(config: PretrainedConfig) -> tuple[Spelling, ...]:
    """How others call the weights of a model; none where that is not known."""
    return _OF.get(config.model_type, ())


def _halves(rows: Tensor, heads: int) -> Tensor:
    """Rows of each head (0, 1, 2, …) as those at even places, then those at odd ones."""
    if rows.ndim != 2 or rows.shape[0] % (2 * heads):
        return rows  # of another shape than the model's, which is told
    return rows.reshape(heads, len(rows) // (2 * heads), 2, rows.shape[1]).transpose(1, 2).reshape(rows.shape)


def _is_table(name: str, tensor: Tensor, config: PretrainedConfig) -> bool:
    """Whether a tensor is what the configuration's rotary embedding is: e^(i position frequency)."""
    import torch
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    if name != _ROTATIONS or not tensor.is_complex() or config.model_type != "llama":
        return False
    frequencies = LlamaRotaryEmbedding(config).inv_freq.double()
    if tensor.ndim != 2 or tensor.shape[1] != len(frequencies):
        return False
    angles = torch.outer(torch.arange(len(tensor), dtype=torch.float64), frequencies)
    # An angle of thousands has four digits behind the point in single precision.
    return torch.allclose(tensor.to(torch.complex128), torch.polar(torch.ones_like(angles), angles), rtol=0, atol=1e-2)
