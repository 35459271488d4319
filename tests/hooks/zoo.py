"""One small random model of each architecture, in which every mistake shows: all sizes differ, nothing is 0 or 1."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, PreTrainedModel

from phasescope.suites.load import model_factory

VOCABULARY = 61
_PLAIN: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": 64,
}
_RECURRENT = {key: _PLAIN[key] for key in ("hidden_size", "num_hidden_layers", "vocab_size")}
_GROUPED = {**_PLAIN, "num_key_value_heads": 2}
_WINDOWS = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}
_YARN = {
    "rope_type": "yarn",
    "rope_theta": 500.0,
    "factor": 4.0,
    "original_max_position_embeddings": 16,
    "beta_fast": 32.0,
    "beta_slow": 1.0,
    "llama_4_scaling_beta": 0.1,
}
_ROPE = {"rope_type": "default", "rope_theta": 500.0}
_GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48, "n_positions": 64, "vocab_size": 61}
_FALCON = {**_PLAIN, "ffn_hidden_size": 48}
_MODERNBERT = {
    **_PLAIN,
    "layer_types": ["full_attention", "sliding_attention"],
    "local_attention": 4,
    "attention_bias": True,
    "mlp_bias": True,
    "norm_bias": True,
    "pad_token_id": 0,
    "cls_token_id": 0,
    "sep_token_id": 0,
}
_EXPERTS = {"num_local_experts": 5, "num_experts": 5, "num_experts_per_tok": 2, "pad_token_id": 0}
_LATENT = {
    "q_lora_rank": 20,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 10,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
    "num_key_value_heads": 4,
}
_DEEPSEEK = {
    **_EXPERTS,
    "moe_intermediate_size": 20,
    "n_routed_experts": 5,
    "n_shared_experts": 2,
    "n_group": 1,
    "topk_group": 1,
    "first_k_dense_replace": 1,
}
_GEMMA4 = {
    **_GROUPED,
    **_WINDOWS,
    "head_dim": 12,
    "global_head_dim": 16,
    "vocab_size_per_layer_input": 320,
}
_DELTA = {
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 6,
    "linear_value_head_dim": 10,
    "pad_token_id": 0,
}
_OPT = {**_PLAIN, "ffn_dim": 48}

# By name: the model type and its settings. What a family can be is here in all its forms.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-NeoX, parallel": ("gpt_neox", {**_PLAIN, "use_parallel_residual": True}),
    "GPT-NeoX, sequential": ("gpt_neox", {**_PLAIN, "use_parallel_residual": False}),
    "GPT-2": ("gpt2", _GPT2),
    "OPT": ("opt", _OPT),
    "OPT, norm after (350m)": ("opt", {**_OPT, "do_layer_norm_before": False, "word_embed_proj_dim": 24}),
    "Llama": ("llama", _GROUPED),
    "Mistral": ("mistral", {**_GROUPED, "head_dim": 12}),
    "Qwen2": ("qwen2", _GROUPED),
    "Qwen3": ("qwen3", {**_GROUPED, "head_dim": 12}),
    "OLMo": ("olmo", {**_PLAIN, "clip_qkv": 0.4}),
    "OLMo 2": ("olmo2", _GROUPED),
    "Gemma 2": (
        "gemma2",
        # Caps low enough to matter.
        {**_GROUPED, "head_dim": 12, "final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0},
    ),
    # Windows smaller than what is read, of which the pattern must know.
    "OLMo 3": ("olmo3", {**_GROUPED, **_WINDOWS}),
    "EXAONE 4": ("exaone4", {**_GROUPED, **_WINDOWS}),
    "Gemma 3": (
        "gemma3_text",
        {**_GROUPED, **_WINDOWS, "head_dim": 12, "query_pre_attn_scalar": 12, "final_logit_softcapping": 3.0},
    ),
    "Gemma 4": (
        "gemma4_text",
        {
            **_GEMMA4,
            "num_key_value_heads": 2,
            "num_global_key_value_heads": 1,
            "attention_k_eq_v": True,
            "hidden_size_per_layer_input": 0,
            "final_logit_softcapping": 3.0,
        },
    ),
    "Gemma 4, experts": (
        "gemma4_text",
        {
            **_GEMMA4,
            "hidden_size_per_layer_input": 0,
            "enable_moe_block": True,
            "num_experts": 5,
            "top_k_experts": 2,
            "moe_intermediate_size": 20,
        },
    ),
    # An embedding for every layer, and the last two use the keys and values of the first two.
    "Gemma 4, small": (
        "gemma4_text",
        {
            **_GEMMA4,
            "num_hidden_layers": 4,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
            "hidden_size_per_layer_input": 6,
            "num_kv_shared_layers": 2,
            "use_double_wide_mlp": True,
        },
    ),
    "SmolLM3": ("smollm3", {**_GROUPED, "no_rope_layers": [0, 1], "pad_token_id": 0}),
    "Gemma": ("gemma", {**_GROUPED, "head_dim": 12}),
    "Ministral": ("ministral", {**_GROUPED, **_WINDOWS, "head_dim": 12}),
    "Ministral 3": ("ministral3", {**_GROUPED, "head_dim": 12, "rope_parameters": _YARN}),
    "ERNIE 4.5": ("ernie4_5", {**_GROUPED, "head_dim": 12, "use_bias": True}),
    "Helium": ("helium", {**_GROUPED, "head_dim": 8, "attention_bias": True, "pad_token_id": 0}),
    "InternLM3": ("internlm3", {**_GROUPED, "head_dim": 12, "qkv_bias": True, "bias": True}),
    "Seed-OSS": ("seed_oss", {**_GROUPED, "head_dim": 12, "attention_out_bias": True, "mlp_bias": True}),
    "Hunyuan, dense": ("hunyuan_v1_dense", {**_GROUPED, "head_dim": 12}),
    "Cohere": ("cohere", {**_GROUPED, "logit_scale": 0.3, "use_qk_norm": True, "pad_token_id": 0}),
    "Cohere 2": ("cohere2", {**_GROUPED, **_WINDOWS, "logit_scale": 0.3, "pad_token_id": 0}),
    "Apertus": ("apertus", {**_GROUPED, "rope_parameters": _ROPE, "attention_bias": True}),
    "Nemotron": ("nemotron", {**_GROUPED, "attention_bias": True, "mlp_bias": True}),
    "Arcee": ("arcee", {**_GROUPED, "attention_bias": True, "mlp_bias": True}),
    "StarCoder 2": ("starcoder2", {**_GROUPED, "sliding_window": 4}),
    "nanochat": ("nanochat", {**_GROUPED, "final_logit_softcapping": 3.0}),
    "VaultGemma": (
        "vaultgemma",
        {**_GROUPED, **_WINDOWS, "head_dim": 12, "final_logit_softcapping": 3.0, "attn_logit_softcapping": 2.0},
    ),
    "GLM": ("glm", {**_GROUPED, "head_dim": 12, "attention_bias": True, "pad_token_id": 0}),
    "GLM-4": ("glm4", {**_GROUPED, "head_dim": 12, "attention_bias": True, "pad_token_id": 0}),
    "Phi-3": ("phi3", {**_GROUPED, "pad_token_id": 0}),
    "Granite": (
        "granite",
        {
            **_GROUPED,
            "residual_multiplier": 0.4,
            "embedding_multiplier": 3.0,
            "attention_multiplier": 0.2,
            "logits_scaling": 2.0,
            "attention_bias": True,
        },
    ),
    "OLMoE": ("olmoe", {**_GROUPED, **_EXPERTS, "norm_topk_prob": False}),
    "Mixtral": ("mixtral", {**_GROUPED, **_EXPERTS, "head_dim": 12}),
    "Qwen3, experts": ("qwen3_moe", {**_GROUPED, **_EXPERTS, "head_dim": 12, "moe_intermediate_size": 20}),
    "FlexOlmo": ("flex_olmo", {**_GROUPED, **_EXPERTS}),
    "Qwen2, experts": (
        "qwen2_moe",
        {**_GROUPED, **_EXPERTS, "moe_intermediate_size": 20, "shared_expert_intermediate_size": 28},
    ),
    "Qwen3, experts and dense": (
        "qwen3_moe",
        {**_GROUPED, **_EXPERTS, "head_dim": 12, "moe_intermediate_size": 20, "decoder_sparse_step": 2},
    ),
    "GLM-4.5": (
        "glm4_moe",
        {
            **_GROUPED,
            **_EXPERTS,
            "head_dim": 12,
            "moe_intermediate_size": 20,
            "n_routed_experts": 5,
            "n_shared_experts": 2,
            "n_group": 1,
            "topk_group": 1,
            "routed_scaling_factor": 1.5,
        },
    ),
    "Granite, experts": (
        "granitemoe",
        {**_GROUPED, **_EXPERTS, "residual_multiplier": 0.4, "attention_multiplier": 0.2, "logits_scaling": 2.0},
    ),
    "Phi-3.5, experts": ("phimoe", {**_GROUPED, **_EXPERTS}),
    "MiniCPM 3": ("minicpm3", {**_PLAIN, **_LATENT, "scale_depth": 0.8, "dim_model_base": 16, "pad_token_id": 0}),
    "DeepSeek V2": ("deepseek_v2", {**_PLAIN, **_LATENT, **_DEEPSEEK, "topk_method": "greedy"}),
    "DeepSeek V2, Lite": (
        "deepseek_v2",
        {**_PLAIN, **_LATENT, **_DEEPSEEK, "topk_method": "greedy", "q_lora_rank": None},
    ),
    "DeepSeek V3": ("deepseek_v3", {**_PLAIN, **_LATENT, **_DEEPSEEK}),
    "Llama 4": (
        "llama4_text",
        {
            **_GROUPED,
            **_EXPERTS,
            "head_dim": 12,
            "intermediate_size": 20,
            "intermediate_size_mlp": 48,
            "moe_layers": [1],
            "attention_chunk_size": 4,
            "no_rope_layers": [0, 1],
            "floor_scale": 4,
        },
    ),
    "gpt-oss": (
        "gpt_oss",
        {
            **_GROUPED,
            **_WINDOWS,
            "head_dim": 12,
            **_EXPERTS,
            "rope_parameters": _ROPE,
        },
    ),
    "StableLM": ("stablelm", {**_GROUPED, "use_parallel_residual": False}),
    "StableLM, parallel": ("stablelm", {**_GROUPED, "use_parallel_residual": True}),
    "StableLM, norms in attention": ("stablelm", {**_GROUPED, "qk_layernorm": True, "use_qkv_bias": True}),
    "Phi": ("phi", _GROUPED),
    "Phi, norms in attention": ("phi", {**_PLAIN, "qk_layernorm": True, "tie_word_embeddings": True}),
    "Bloom": ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 61}),
    "GPT-J": (
        "gptj",
        {
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 4,
            "n_inner": 48,
            "n_positions": 64,
            "rotary_dim": 4,
            "vocab_size": 61,
        },
    ),
    "MPT": (
        "mpt",
        {
            "d_model": 32,
            "n_layers": 2,
            "n_heads": 4,
            "max_seq_len": 64,
            "vocab_size": 61,
            "attn_config": {"clip_qkv": 0.4},
        },
    ),
    "GPT-Neo": (
        "gpt_neo",
        {
            **_PLAIN,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 4,
            "num_layers": 2,
            "num_heads": 4,
        },
    ),
    "GPT-BigCode": ("gpt_bigcode", {**_GPT2, "multi_query": True}),
    "GPT-BigCode, a key for each head": ("gpt_bigcode", {**_GPT2, "multi_query": False}),
    "Falcon (RW 1B)": (
        "falcon",
        {**_FALCON, "multi_query": False, "parallel_attn": False, "alibi": True, "bias": True},
    ),
    "Falcon (7B)": ("falcon", {**_FALCON, "multi_query": True, "parallel_attn": True}),
    "Falcon (40B)": ("falcon", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    # Their layers differ: the first mixes by a recurrence or a convolution, the second attends.
    "LFM2": ("lfm2", {**_GROUPED, "layer_types": ["conv", "full_attention"], "block_ff_dim": 48, "pad_token_id": 0}),
    "Bamba": (
        "bamba",
        {
            **_GROUPED,
            "attn_layer_indices": [1],
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "mamba_n_groups": 2,
            "mamba_chunk_size": 4,
            "pad_token_id": 0,
        },
    ),
    "OLMo Hybrid": (
        "olmo_hybrid",
        {**_GROUPED, "layer_types": ["linear_attention", "full_attention"], "pad_token_id": 0},
    ),
    "Falcon H1": (
        "falcon_h1",
        {
            **_GROUPED,
            "mamba_d_ssm": 64,
            "mamba_n_heads": 8,
            "mamba_d_head": 8,
            "mamba_d_state": 8,
            "mamba_n_groups": 2,
            "mamba_chunk_size": 4,
            "ssm_out_multiplier": 0.4,
            "attention_out_multiplier": 0.6,
            "attention_in_multiplier": 0.8,
            "mlp_multipliers": [0.7, 0.5],
            "lm_head_multiplier": 0.3,
            "pad_token_id": 0,
        },
    ),
    "Jamba": (
        "jamba",
        {
            **_GROUPED,
            **_EXPERTS,
            "num_hidden_layers": 4,
            "attn_layer_period": 2,
            "attn_layer_offset": 1,
            "expert_layer_period": 4,
            "expert_layer_offset": 3,
            "mamba_d_state": 8,
        },
    ),
    "Qwen3-Next": (
        "qwen3_next",
        {
            **_GROUPED,
            **_EXPERTS,
            **_DELTA,
            "head_dim": 12,
            "moe_intermediate_size": 20,
            "shared_expert_intermediate_size": 28,
            "num_hidden_layers": 4,
            "mlp_only_layers": [0, 1],
            "layer_types": ["linear_attention", "full_attention"] * 2,
        },
    ),
    "Qwen3.5": (
        "qwen3_5_text",
        {**_GROUPED, **_DELTA, "head_dim": 12, "layer_types": ["linear_attention", "full_attention"]},
    ),
    "Qwen3.5, experts": (
        "qwen3_5_moe_text",
        {
            **_GROUPED,
            **_EXPERTS,
            **_DELTA,
            "head_dim": 12,
            "moe_intermediate_size": 20,
            "shared_expert_intermediate_size": 28,
            "layer_types": ["linear_attention", "full_attention"],
        },
    ),
    "Nemotron-H": (
        "nemotron_h",
        {
            **{key: value for key, value in _GROUPED.items() if key != "num_hidden_layers"},
            "layers_block_type": ["linear_attention", "moe", "mlp", "full_attention"],
            "head_dim": 12,
            "n_routed_experts": 5,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 20,
            "moe_shared_expert_intermediate_size": 28,
            "mamba_num_heads": 8,
            "mamba_head_dim": 8,
            "ssm_state_size": 8,
            "n_groups": 2,
            "chunk_size": 4,
            "attention_bias": True,
        },
    ),
    "RecurrentGemma": (
        "recurrent_gemma",
        {
            **_GROUPED,
            "block_types": ["recurrent", "attention"],
            "attention_window_size": 4,
            "lru_width": 40,
            "logits_soft_cap": 3.0,
            "attention_bias": True,
        },
    ),
    "Zamba2": (
        "zamba2",
        {
            **_GROUPED,
            "layers_block_type": ["linear_attention", "hybrid"],
            "mamba_d_state": 8,
            "mamba_ngroups": 2,
            "n_mamba_heads": 8,
            "chunk_size": 4,
            "adapter_rank": 6,
            "use_mem_rope": True,
        },
    ),
    "xLSTM": (
        "xlstm",
        {**_RECURRENT, "num_heads": 4, "qk_dim_factor": 0.5, "chunk_size": 4, "output_logit_soft_cap": 3.0},
    ),
    "Mamba": ("mamba", {**_RECURRENT, "state_size": 8}),
    "Mamba 2": (
        "mamba2",
        {**_RECURRENT, "state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 2, "chunk_size": 4},
    ),
    "RWKV": (
        "rwkv",
        {**_RECURRENT, "intermediate_size": 48, "context_length": 64, "attention_hidden_size": 40, "rescale_every": 1},
    ),
    "BERT": ("bert", _PLAIN),
    "RoBERTa": ("roberta", {**_PLAIN, "pad_token_id": 1}),
    "ELECTRA": ("electra", {**_PLAIN, "embedding_size": 24}),
    "ModernBERT": ("modernbert", _MODERNBERT),
    "ModernBERT, decoder": ("modernbert-decoder", _MODERNBERT),
    "TransformerLens' own, SoLU": ("transformer_lens", {"act_fn": "solu_ln"}),
    "TransformerLens' own, attention only": ("transformer_lens", {"attn_only": True}),
}

# Those that transformers can save, and make again of what it saved.
SAVED = [name for name, (kind, _) in MODELS.items() if kind != "transformer_lens"]


def make(name: str, dtype: torch.dtype = torch.float32, **settings: Any) -> PreTrainedModel:
    """The model of that name, with random parameters, biases and norms included."""
    model_type, own = MODELS[name]
    if model_type == "transformer_lens":
        return _randomised(_native(**own, **settings).eval().to(dtype))
    if model_type in ("mamba", "mamba2", "rwkv"):
        own = {
            key: value for key, value in own.items() if key not in ("num_attention_heads", "max_position_embeddings")
        }
    config = AutoConfig.for_model(model_type, **{**own, "bos_token_id": 0, "eos_token_id": 0, **settings})
    return _randomised(model_factory(config).from_config(config).eval().to(dtype))


def _native(vocab_size: int = VOCABULARY, **settings: Any) -> PreTrainedModel:
    from transformer_lens.config import TransformerBridgeConfig

    from phasescope.suites.native import NativeLanguageModel

    sizes = {"d_model": 32, "n_layers": 2, "n_heads": 4, "d_head": 12, "d_mlp": 48, "n_ctx": 64}
    # An activation has to be named even where there is no MLP.
    return NativeLanguageModel(TransformerBridgeConfig(**sizes, d_vocab=vocab_size, **{"act_fn": "gelu", **settings}))


def _randomised(model: PreTrainedModel) -> PreTrainedModel:
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator) + 0.05)
    return model


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens [2, 11] and positions [2, 4], other ones in every sequence, out of order and once repeated."""
    tokens = torch.randint(VOCABULARY, (2, 11), generator=torch.Generator().manual_seed(1))
    return tokens, torch.tensor([[10, 0, 3, 3], [1, 9, 4, 7]])
