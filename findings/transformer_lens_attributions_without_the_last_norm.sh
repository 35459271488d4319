#!/usr/bin/env bash
# Direct logit attributions of a TransformerLens bridge do not add up to the logits, until weights are folded.
#
# transformer-lens 4.3.0, transformers 5.24.0, torch 2.13.0 (CPU), Python 3.11.
# `ActivationCache.logit_attrs` scales each component by the last norm and multiplies it with the unembedding. It leaves
# out the norm's own gain (and offset). With HookedTransformer that was right, for its loading folded both into W_U. A
# bridge keeps the model's weights as they are, so the attributions of all components together are not the difference of
# logits that they are to explain; nothing says so. After `bridge.enable_compatibility_mode()`, which folds them, they are.
# Untrained models hide it: their gain is 1. Compare the sum with the logits before reading single components.
#
# Seen: "logit difference 0.501: attributions add up to 0.429; after enable_compatibility_mode() to 0.501"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.24.0 transformer-lens==4.3.0
cat > "$work/seen.py" <<'PY'
import torch
from transformer_lens.model_bridge.sources import build_bridge_from_module
from transformers import GPT2Config, GPT2LMHeadModel

torch.manual_seed(0)
model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_positions=16, n_embd=32, n_layer=2, n_head=2)).eval()
torch.nn.init.uniform_(model.transformer.ln_f.weight, 0.5, 2.0)  # as training leaves it: not 1
tokens = torch.arange(6)[None]
bridge = build_bridge_from_module(model, "GPT2LMHeadModel", hf_config=model.config)


@torch.no_grad()
def added_up():
    """All attributions at the last position together, and the difference of logits that they are of."""
    logits, cache = bridge.run_with_cache(tokens)
    parts = cache.logit_attrs(cache.decompose_resid(), tokens=5, incorrect_tokens=9)
    return parts.sum(0)[0, -1].item(), (logits[0, -1, 5] - logits[0, -1, 9]).item()


told, true = added_up()
bridge.enable_compatibility_mode()
folded, again = added_up()
print(f"logit difference {true:.3f}: attributions add up to {told:.3f}; after enable_compatibility_mode() to {folded:.3f}")
assert abs(told - true) > 0.05 and abs(folded - again) < 1e-4 and abs(true - again) < 1e-4
PY
"$work/venv/bin/python" "$work/seen.py" 2>/dev/null
