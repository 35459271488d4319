#!/usr/bin/env bash
# TransformerLens lists weights of Nemotron-H under its own names that no model has: all zero, in every layer.
#
# transformer-lens 4.3.0, transformers 5.24.0, torch 2.13.0 (CPU), Python 3.11.
# A Nemotron-H (Mamba, attention and MLP layers in turn) is opened by the bridge, and its logits are those of the model.
# `tl_named_parameters()` then gives `blocks.N.mlp.W_in`, `W_out`, `b_in` and `b_out` of the right shapes for every layer,
# also for those that are Mamba or attention and have no MLP, and every one is zeros: also that of the layer whose MLP
# has weights (`mixer.up_proj`, of another norm). Nothing of attention is listed, nor of Mamba. Norms, ranks and distances
# that are taken by these names are 0 or NaN at every step of a training, without a word. `bridge.W_in` of the same model
# raises an error that says so. For such layers take the model's own names.
#
# Seen: "layer 2: the model's MLP 0.767, TransformerLens' W_in 0.000; W_in listed for 4 of 4 layers, of which 1 has an MLP;
# logits differ by 0"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.24.0 transformer-lens==4.3.0
cat > "$work/seen.py" <<'PY'
import torch
from transformer_lens.model_bridge.sources import build_bridge_from_module
from transformers import NemotronHConfig, NemotronHForCausalLM

torch.manual_seed(0)
config = NemotronHConfig(
    vocab_size=64, hidden_size=32, num_hidden_layers=4, layers_block_type=["mamba", "attention", "mlp", "mamba"],
    num_attention_heads=4, num_key_value_heads=2, head_dim=8, intermediate_size=48,
    mamba_num_heads=4, mamba_head_dim=8, ssm_state_size=8, n_groups=1, chunk_size=8,
)
model = NemotronHForCausalLM(config).eval()
own = model.model.layers[2].mixer.up_proj.weight.norm().item()
tokens = torch.arange(6)[None]
with torch.no_grad():
    expected = model(tokens).logits
    bridge = build_bridge_from_module(model, "NemotronHForCausalLM", hf_config=config)
    apart = (bridge(tokens) - expected).abs().max().item()
named = dict(bridge.tl_named_parameters())
listed = [named[name].norm().item() for name in named if name.endswith("mlp.W_in")]
print(
    f"layer 2: the model's MLP {own:.3f}, TransformerLens' W_in {named['blocks.2.mlp.W_in'].norm().item():.3f}; "
    f"W_in listed for {len(listed)} of 4 layers, of which 1 has an MLP; logits differ by {apart:.0g}"
)
assert own > 0.5 and listed == [0.0] * 4 and apart == 0 and not any(".attn." in name for name in named)
PY
"$work/venv/bin/python" "$work/seen.py" 2>/dev/null
