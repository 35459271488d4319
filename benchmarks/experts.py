"""What experts cost to read: a capture of a mixture beside its bare forward pass, in processor time and memory.

Random weights, CPU, one thread. A layer of 64 experts of which 8 are chosen, as in OLMoE, of a smaller width.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable
from statistics import median
from time import process_time

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from phasescope.hooks import get_engine

WIDTH, LAYERS, EXPERTS, CHOSEN = 512, 4, 64, 8


def capture_of_a_mixture(repeats: int) -> None:
    """Median over rounds of the ratio of processor time; peak memory of a process that does the one or the other."""
    variants = _variants()
    ratios: dict[str, list[float]] = {"read": [], "chosen": []}
    for turn in range(repeats + 1):
        seconds = {}
        for name, variant in variants.items():
            begin = process_time()
            variant()
            seconds[name] = process_time() - begin
        if turn:
            for name, each in ratios.items():
                each.append(seconds[name] / seconds["bare"])
    peaks = {name: _peak(name) for name in variants}
    for name, what in (("read", "routing and outputs"), ("chosen", "the same and what the chosen experts write")):
        print(
            f"  64 experts, 8 chosen: {what} against the bare forward pass {median(ratios[name]):.3f} of processor "
            f"time ({min(ratios[name]):.3f} to {max(ratios[name]):.3f}); {peaks[name] / peaks['bare']:.3f} of peak "
            f"memory ({peaks[name]:.0f} MB)"
        )


def _variants() -> dict[str, Callable[[], object]]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "olmoe",
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        num_key_value_heads=8,
        intermediate_size=WIDTH // 2,
        num_experts=EXPERTS,
        num_experts_per_tok=CHOSEN,
        vocab_size=2048,
        pad_token_id=None,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    tokens, positions = torch.randint(2048, (8, 256)), torch.randint(256, (8, 16))
    tapped = get_engine("torch").open(model)
    sites = tapped.architecture.select(tapped.components(), LAYERS)
    chosen = [site for site in sites if site.component not in ("pattern", "ov_out", "mlp_post")]
    read = [site for site in chosen if site.component != "expert_out"]

    @torch.no_grad()
    def bare() -> None:
        model.base_model(tokens, use_cache=False)

    return {
        "read": lambda: tapped.read(tokens, positions, read),
        "chosen": lambda: tapped.read(tokens, positions, chosen),
        "bare": bare,
    }


def _peak(name: str) -> float:
    """Megabytes, of a process of its own."""
    code = f"from benchmarks.experts import peak; peak({name!r})"
    return float(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()[-1]
    )


def peak(name: str) -> None:
    """Read (or only run) three batches, and print this process's peak memory in megabytes."""
    variant = _variants()[name]
    for _ in range(3):
        variant()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(repeats: int = 5) -> None:
    """All of it."""
    capture_of_a_mixture(repeats)


if __name__ == "__main__":
    main()
