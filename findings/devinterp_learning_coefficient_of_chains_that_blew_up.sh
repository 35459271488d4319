#!/usr/bin/env bash
# devinterp's local learning coefficient is a small, believable number when every chain has blown up.
#
# devinterp 2.0.1, xarray 2026.9.0, transformers 5.24.0, torch 2.13.0 (CPU), Python 3.11.
# `llc()` averages the losses of all draws, as xarray averages: what is not a number is left out. Weights that diverge
# give losses that are not numbers, so the draws that show the failure are those that do not count. The first draw is
# made before the first update and is always sound. With a step size that is far too large only it is left, and the
# coefficient is n_beta times (the loss of one batch - the mean loss): as small as that of a sound chain, of either sign,
# equal in all chains where they begin with the same batch, and `llc_std` is 0. No warning is given. (Burn-in counts too:
# the mean is over every step.) Look at the share of finite entries of `loss_trace` before reading `llc_mean`.
#
# Seen: "step size 0.0001: coefficient 0.081 from 90 of 90 draws"
#       "step size 1e+12: coefficient 0.026 from 3 of 90 draws, standard deviation 0.000"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0 transformers==5.24.0 xarray==2026.9.0 devinterp==2.0.1
cat > "$work/seen.py" <<'PY'
import numpy as np
import torch
from datasets import Dataset
from devinterp.slt.llc import llc
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

torch.manual_seed(0)
model = GPTNeoXForCausalLM(
    GPTNeoXConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
).eval()
tokens = Dataset.from_dict({"input_ids": torch.randint(0, 64, (24, 16)).tolist()}).with_format("torch")


def told(step_size):
    found = llc(
        model, tokens, {}, lr=step_size, n_beta=10.0, localization=0.0, num_chains=3, num_draws=30, batch_size=4,
        num_init_loss_batches=6, init_seed=3, device="cpu",
    )  # fmt: skip
    finite = np.isfinite(found["loss_trace"].values)
    print(
        f"step size {step_size:g}: coefficient {float(found['llc_mean']):.3f} from {finite.sum()} of {finite.size} draws, "
        f"standard deviation {float(found['llc_std']):.3f}"
    )
    return found, finite


sound, all_of_them = told(1e-4)
assert all_of_them.all()
blown_up, left = told(1e12)
assert left.sum() == 3 and left[:, 0].all()  # of each chain the draw before any update
assert abs(float(blown_up["llc_mean"])) < 1 and float(blown_up["llc_std"]) == 0
PY
HF_HUB_OFFLINE=1 "$work/venv/bin/python" "$work/seen.py" 2>/dev/null
