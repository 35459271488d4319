"""On an accelerator: what a capture, CKA with intervals, spectra and KL between seeds cost there.

Minutes on one GPU: `python -m benchmarks gpu`. With `--dry` the same of small shapes on the CPU, to see that it would
run: its ratios say nothing. Every result is held against the one of the CPU.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
import torch

from benchmarks.hooks import gpt_neox, ratio, take_turns
from phasescope.hooks import get_engine
from phasescope.measures import (
    Draws,
    FinalState,
    State,
    bootstrap_weights,
    circuit_singular_values,
    pairwise_kl_from_hidden,
    singular_values,
)
from phasescope.probes import Probes, record_forward
from phasescope.store import new_container
from phasescope.texts import Inputs

# Width, layers, heads of Pythia's 160m and 1.4b.
SHAPES = {"160m": (768, 12, 12), "1.4b": (2048, 24, 16)}
SMALL = {"tiny": (64, 2, 2)}
ROWS, SAMPLES, RESAMPLES, SEEDS = 50304, 1024, 500, 9


def main() -> None:
    dry = "--dry" in sys.argv
    if not dry and not torch.cuda.is_available():
        print("  No GPU that PyTorch can use is here; --dry runs small shapes on the CPU.")
        return
    device = torch.device("cpu" if dry else "cuda")
    torch.manual_seed(0)
    print(f"  on {torch.cuda.get_device_name() if not dry else 'the CPU, small shapes: ratios mean nothing'}")
    for name, shape in (SMALL if dry else SHAPES).items():
        capture(name, *shape, device)
    intervals(device, 64 if dry else SAMPLES)
    spectra(device, 64 if dry else 768)
    divergence(device, 512 if dry else ROWS)


def capture(name: str, width: int, layers: int, heads: int, device: torch.device) -> None:
    """The forward pass of a visit, written to a shard, against the bare forward pass, in tokens a second."""
    rows, sequences = (512, 16) if device.type == "cpu" else (ROWS, 512)
    model = gpt_neox(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        vocab_size=rows,
    ).to(device)
    inputs = _inputs(sequences, 256, rows)
    probes = Probes(sites=("attn_out", "mlp_out"), device=device.type)
    tapped, tokens = get_engine("torch").open(model), torch.from_numpy(inputs.tokens).long().to(device)

    @torch.no_grad()
    def bare() -> None:
        for some in tokens.split(probes.on(device.type)):
            model.base_model(some, use_cache=False)
        _wait(device)

    def captured() -> None:
        with TemporaryDirectory() as folder, new_container(Path(folder) / "shard.h5", "shard", {}) as writer:
            record_forward(tapped, inputs, probes, writer)

    seconds = take_turns({"bare": bare, "captured": captured}, 3)
    rate = inputs.tokens.size / np.median(seconds["bare"])
    print(
        f"  capture, {name}: bare {rate:,.0f} tokens/s, captured "
        f"{100 * ratio(seconds, 'bare', 'captured'):.0f} % of it (goal ≥ 95 %)"
    )


def intervals(device: torch.device, samples: int) -> None:
    """CKA with intervals of one site of 768, as `analyse --device` computes it."""
    final = torch.randn(samples, 768) * torch.arange(1, 769) ** -0.7
    earlier = final + 0.3 * final.std() * torch.randn(samples, 768)
    counts = bootstrap_weights(samples, RESAMPLES, 0)

    def on(place: torch.device) -> Callable[[], torch.Tensor]:
        compared, draws, values = FinalState(final.to(place)), Draws(counts, place), earlier.to(place)

        def once() -> torch.Tensor:
            state = State(values)
            return torch.cat([torch.stack(compared.both(state)), *compared.resampled(state, draws)]).cpu()

        return once

    _against_cpu(f"CKA with intervals, {samples} × 768", on, device, 1e-6)


def spectra(device: torch.device, width: int) -> None:
    """Singular values of an MLP matrix, and of the OV circuits of a layer."""
    matrix = torch.randn(width, 4 * width)
    first, second = torch.randn(12, width, 64), torch.randn(12, 64, width)

    def on(place: torch.device) -> Callable[[], torch.Tensor]:
        here = [one.to(place) for one in (matrix, first, second)]
        return lambda: torch.cat(
            [singular_values(here[0]).flatten(), circuit_singular_values(here[1], here[2]).flatten()]
        ).cpu()

    _against_cpu(f"spectra, {width} × {4 * width} and 12 circuits", on, device, 1e-8)


def divergence(device: torch.device, rows: int) -> None:
    """KL between nine seeds, of 256 tokens."""
    hidden, unembeddings = torch.randn(SEEDS, 256, 512), [torch.randn(512, rows) / 20 for _ in range(SEEDS)]

    def on(place: torch.device) -> Callable[[], torch.Tensor]:
        here, there = hidden.to(place), [one.to(place) for one in unembeddings]
        return lambda: pairwise_kl_from_hidden(here, there).cpu()

    _against_cpu(f"KL of {SEEDS} seeds, 256 tokens, {rows} entries", on, device, 1e-4)


def _against_cpu(
    what: str, on: Callable[[torch.device], Callable[[], torch.Tensor]], device: torch.device, tolerance: float
) -> None:
    """Times both ways in turn, and holds their results against each other: off by so much of the largest at most."""
    here, there = on(torch.device("cpu")), on(device)
    wanted, found = here().double(), there().double()
    off = float((found - wanted).abs().max() / wanted.abs().max())
    if not off <= tolerance:
        raise SystemExit(f"{what}: {off:.1e} off on {device.type}, more than {tolerance:.0e}")
    seconds = take_turns({"cpu": here, "device": there}, 3)
    print(
        f"  {what}: {1000 * np.median(seconds['device']):.1f} ms, {ratio(seconds, 'cpu', 'device'):.1f} × as fast "
        f"as on {torch.get_num_threads()} threads of the CPU; {off:.0e} off"
    )


def _inputs(sequences: int, context: int, rows: int) -> Inputs:
    """Random tokens, of no words."""
    tokens = np.random.default_rng(0).integers(0, rows, (sequences, context), dtype=np.int32)
    return Inputs(
        tokens=tokens,
        positions=np.full((sequences, 1), context - 1, dtype=np.int32),
        word_ids=np.full((sequences, context), -1, dtype=np.int32),
        words=[],
        tags=None,
        counts=np.ones(rows, dtype=np.int64),
        counts_source="even",
        output_sequences=18 if sequences > 18 else 2,
        vocabulary=rows,
        source="random",
        seed=0,
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    begun = perf_counter()
    main()
    print(f"  {perf_counter() - begun:.0f} s in all")
