"""What reading costs: capture beside the bare forward pass, and time beside layers run.

Run `python benchmarks/hooks.py [--repeats 5]`. Random weights, CPU. All variants take turns and medians are
compared, so that whatever else the machine is doing falls on all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from phasescope.hooks import Site, get_engine, select_sites

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def gpt_neox(**settings: Any) -> PreTrainedModel:
    """A GPT-NeoX model with random weights."""
    return AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt_neox", **settings)).eval()


def take_turns(
    variants: dict[str, Callable[[], object]], repeats: int, clock: Callable[[], float] = perf_counter
) -> dict[str, list[float]]:
    """Seconds of every variant, round by round; the first round warms up and does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(repeats + 1):
        for name, variant in variants.items():
            start = clock()
            variant()
            if turn:
                seconds[name].append(clock() - start)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, reference: str) -> float:
    """The median over rounds of how many times longer one variant took than another in the same round."""
    return median(a / b for a, b in zip(seconds[name], seconds[reference], strict=True))


def capture_cost(repeats: int) -> None:
    """Attention and MLP at sampled positions of a 70M-shaped model, 8 sequences of 256 tokens."""
    model = gpt_neox(
        hidden_size=512, num_hidden_layers=6, num_attention_heads=8, intermediate_size=2048, vocab_size=50304
    )
    tokens = torch.randint(50304, (8, 256))
    last, few = torch.full((8, 1), 255), torch.randint(256, (8, 16))
    tapped = get_engine("torch").open(model)
    both = select_sites(["attn_out", "mlp_out"], 6)
    heads = select_sites(["attn_out", "mlp_out", "ov_out", "z", "mlp_post", "resid_post"], 6)

    @torch.no_grad()
    def bare() -> None:
        model.base_model(tokens, use_cache=False)

    seconds = take_turns(
        {
            "bare forward pass of the body": bare,
            "the same again (how noisy this machine is)": bare,
            "attn_out + mlp_out, last position": lambda: tapped.read(tokens, last, both),
            "attn_out + mlp_out, 16 positions": lambda: tapped.read(tokens, few, both),
            "the same 16 and the final hidden states": lambda: tapped.read(tokens, few, both, final_hidden=True),
            "six components, 16 positions": lambda: tapped.read(tokens, few, heads),
        },
        repeats,
    )
    print("Capture, 70M-shaped GPT-NeoX, 8 × 256 tokens (target: attention + MLP ≤ 1.10 × bare)")
    for name, times in seconds.items():
        beside = ratio(seconds, name, "bare forward pass of the body")
        print(f"  {name:<44} {1000 * median(times):8.1f} ms   {beside:5.2f} ×")


def early_stop(repeats: int) -> None:
    """One site of a 24-layer model: time grows with the layers that must run."""
    layers = 24
    model = gpt_neox(
        hidden_size=256, num_hidden_layers=layers, num_attention_heads=8, intermediate_size=1024, vocab_size=1024
    )
    tokens, last = torch.randint(1024, (8, 128)), torch.full((8, 1), 127)
    depths = (1, 6, 12, 24)
    print("Early stop, one MLP output of 24 layers (target: time ∝ layers run)")
    for engine in ("torch", "transformer_lens", "nnsight"):
        tapped = get_engine(engine).open(model)
        variants: dict[str, Callable[[], object]] = {
            str(depth): partial(tapped.read, tokens, last, [Site(depth - 1, "mlp_out")]) for depth in depths
        }
        seconds = take_turns(variants, repeats)
        told = "   ".join(
            f"{d:>2} of 24: {ratio(seconds, str(d), '24'):5.3f} (ideal {d / layers:5.3f})" for d in depths
        )
        print(f"  {engine:<16} {told}")


def early_stop_of_a_hybrid(repeats: int) -> None:
    """One site of 24 layers of which every third attends and the others convolve (LFM2), in processor time."""
    kinds = ["conv", "conv", "full_attention"]
    config = AutoConfig.for_model(
        "lfm2", hidden_size=256, num_hidden_layers=24, num_attention_heads=8, num_key_value_heads=4,
        intermediate_size=1024, block_ff_dim=1024, vocab_size=1024, layer_types=kinds * 8, pad_token_id=0,
    )  # fmt: skip
    tapped = get_engine("torch").open(AutoModelForCausalLM.from_config(config).eval())
    tokens, last = torch.randint(1024, (8, 128)), torch.full((8, 1), 127)
    depths = (3, 6, 12, 24)
    print("Early stop, one MLP output of a hybrid's 24 layers, processor time (target: time ∝ layers run)")
    variants: dict[str, Callable[[], object]] = {
        str(depth): partial(tapped.read, tokens, last, [Site(depth - 1, "mlp_out")]) for depth in depths
    }
    seconds = take_turns(variants, repeats, process_time)
    told = "   ".join(f"{d:>2} of 24: {ratio(seconds, str(d), '24'):5.3f} (ideal {d / 24:5.3f})" for d in depths)
    print(f"  {'torch':<16} {told}")


def main(repeats: int = 5) -> None:
    """Print the three tables."""
    logging.disable_progress_bar()
    torch.manual_seed(0)
    capture_cost(repeats)
    early_stop(repeats)
    early_stop_of_a_hybrid(repeats)


if __name__ == "__main__":
    main()
