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
    read, bare = _variants()
    ratios = []
    for turn in range(repeats + 1):
        seconds = []
        for variant in (read, bare):
            begin = process_time()
            variant()
            seconds.append(process_time() - begin)
        if turn:
            ratios.append(seconds[0] / seconds[1])
    peaks = [_peak(name) for name in ("read", "bare")]
    print(
        f"  64 experts, 8 chosen: routing and outputs against the bare forward pass {median(ratios):.3f} of processor "
        f"time ({min(ratios):.3f} to {max(ratios):.3f}); {peaks[0] / peaks[1]:.3f} of peak memory ({peaks[0]:.0f} MB)"
    )


def _variants() -> tuple[Callable[[], object], Callable[[], object]]:
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
    sites = [site for site in sites if site.component not in ("pattern", "ov_out")]

    @torch.no_grad()
    def bare() -> None:
        model.base_model(tokens, use_cache=False)

    return (lambda: tapped.read(tokens, positions, sites)), bare


def _peak(name: str) -> float:
    """Megabytes, of a process of its own."""
    code = f"from benchmarks.experts import peak; peak({name!r})"
    return float(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()[-1]
    )


def peak(name: str) -> None:
    """Read (or only run) three batches, and print this process's peak memory in megabytes."""
    read, bare = _variants()
    for _ in range(3):
        read() if name == "read" else bare()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main(repeats: int = 5) -> None:
    """All of it."""
    capture_of_a_mixture(repeats)


if __name__ == "__main__":
    main()
