#!/usr/bin/env bash
# An OLMo 3 configuration with one base of its rotary positions is read, and other bases are used; nothing says so.
#
# transformers 5.24.0, torch 2.13.0 (CPU), Python 3.11.
# OLMo 3 has layers that attend to all and layers that attend to a window, and since transformers 5 each kind has
# positions of its own in `rope_parameters`. One base for all layers, as other families have it, is still taken in two
# spellings, and does not do what it does there:
# - `rope_parameters={"rope_type": "default", "rope_theta": B}` is kept in the configuration and used by no layer: both
#   kinds have the default, 500 000;
# - `rope_theta=B`, as files before version 5 have it, counts for layers that attend to all, and not for windows (with
#   transformers 4.57.1 it was the base of both).
# The released OLMo 3 have 500 000, so they are not hurt; a model of one's own with another base is another model when it
# is read. The same dictionary sets the base of a Qwen 3. Give both kinds: {"full_attention": {...}, "sliding_attention": {...}}.
#
# Seen: "Qwen3, rope_parameters with 10000: every layer 10000"
#       "Olmo3, rope_parameters with 10000: full_attention 500000, sliding_attention 500000"
#       "Olmo3, rope_theta=10000: full_attention 10000, sliding_attention 500000"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.24.0
cat > "$work/seen.py" <<'PY'
from transformers import AutoConfig, AutoModelForCausalLM

SHAPE = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 2,
    "intermediate_size": 64, "head_dim": 16, "sliding_window": 8, "pad_token_id": 0, "eos_token_id": 1,
}  # fmt: skip
ONE = {"rope_type": "default", "rope_theta": 10_000.0}


def used(kind, **positions):
    """The base of each kind of layer, from the frequencies that the model multiplies positions by."""
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SHAPE, **positions))
    found = {}
    for name, frequencies in model.named_buffers():
        name = name.rpartition(".")[2]
        if name.endswith("inv_freq") and "original" not in name:
            # Entry 1 of n is base to the power of -1/n.
            layers = name.removesuffix("inv_freq").strip("_") or "every layer"
            found[layers] = round(float(frequencies[1]) ** -len(frequencies), -1)
    return found


def said(bases):
    return ", ".join(f"{layers} {base:.0f}" for layers, base in sorted(bases.items()))


qwen, given, flat = used("qwen3", rope_parameters=dict(ONE)), used("olmo3", rope_parameters=dict(ONE)), used("olmo3", rope_theta=1e4)
print("Qwen3, rope_parameters with 10000:", said(qwen))
print("Olmo3, rope_parameters with 10000:", said(given))
print("Olmo3, rope_theta=10000:", said(flat))
assert qwen == {"every layer": 10_000}
assert given == {"full_attention": 500_000, "sliding_attention": 500_000}
assert flat == {"full_attention": 10_000, "sliding_attention": 500_000}
both = used("olmo3", rope_parameters={"full_attention": dict(ONE), "sliding_attention": dict(ONE)})
assert both == {"full_attention": 10_000, "sliding_attention": 10_000}
PY
HF_HUB_OFFLINE=1 "$work/venv/bin/python" "$work/seen.py" 2>/dev/null
