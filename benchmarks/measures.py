"""What the measures cost beside the plain way of computing the same.

Run `python benchmarks/measures.py`. All variants take turns, and a ratio is the median over rounds of the ratio in each
round, so that whatever else the machine is doing falls on all of them alike.
"""

from __future__ import annotations

import multiprocessing
import resource
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import torch

from phasescope import measures

SEEDS, TOKENS, D, ROWS, VOCABULARY = 6, 256, 512, 50304, 50277


def take_turns(variants: dict[str, Callable[[], object]], rounds: int = 5) -> None:
    """Print the seconds of each variant, and how many times as long as it the first one takes."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for turn in range(rounds + 1):
        for name, variant in variants.items():
            start = perf_counter()
            variant()
            if turn:  # the first round warms up
                seconds[name].append(perf_counter() - start)
    first = next(iter(seconds.values()))
    for name, times in seconds.items():
        ratio = median(a / b for a, b in zip(first, times, strict=True))
        told = f"the first takes {ratio:.2f} × as long" if times is not first else ""
        print(f"  {name:<58} {1000 * median(times):9.1f} ms   {told}")


def ranks() -> None:
    """OV circuits of one layer, and one matrix."""
    W_V, W_O = torch.randn(12, 768, 64), torch.randn(12, 64, 768)
    print("OV circuits, 12 heads, d_model 768, d_head 64 (target: ≥ 30 ×)")
    take_turns(
        {
            "torch.svd of the products": lambda: torch.svd(W_V @ W_O),
            "circuit_singular_values": lambda: measures.circuit_singular_values(W_V, W_O),
        },
        rounds=3,
    )
    weight = torch.randn(768, 3072)
    print("Spectrum of 768 × 3072 (target: ≥ 2.5 ×, effective rank to 1e-4)")
    take_turns(
        {
            "torch.svd": lambda: torch.svd(weight),
            "singular_values": lambda: measures.singular_values(weight),
        }
    )
    exact = measures.effective_rank_of(torch.linalg.svdvals(weight.double()))
    print(f"  effective rank off by {float(abs(measures.effective_rank(weight) / exact - 1)):.1e} of its float64 value")


def kl_pair_by_pair(logits: torch.Tensor) -> torch.Tensor:
    """The plain way: two log_softmaxes per ordered pair."""
    result = torch.zeros(len(logits), len(logits), logits.shape[1])
    for i, p in enumerate(logits):
        for j, q in enumerate(logits):
            if i != j:
                log_p, log_q = torch.log_softmax(p, -1), torch.log_softmax(q, -1)
                result[i, j] = (log_p.exp() * (log_p - log_q)).sum(-1)
    return result


def divergences() -> None:
    """KL between the seeds of a cohort."""
    hidden = torch.randn(SEEDS, TOKENS, D)
    unembeddings = [torch.randn(ROWS, D).T / 16 for _ in range(SEEDS)]

    def logits_of_all() -> torch.Tensor:
        return torch.stack([(h @ W)[:, :VOCABULARY] for h, W in zip(hidden, unembeddings, strict=True)])

    logits = logits_of_all()
    print(f"KL of all pairs, {SEEDS} seeds × {TOKENS} tokens × {VOCABULARY} entries (target: ≥ 8 ×, to 1e-4)")
    take_turns(
        {
            "pair by pair with log_softmax": lambda: kl_pair_by_pair(logits),
            "log_softmax and pairwise_kl": lambda: measures.pairwise_kl(logits.log_softmax(-1)),
        },
        rounds=3,
    )
    take_turns(
        {
            "logits of all seeds, and pair by pair": lambda: kl_pair_by_pair(logits_of_all()),
            "pairwise_kl_from_hidden": lambda: measures.pairwise_kl_from_hidden(
                hidden, unembeddings, vocabulary=VOCABULARY
            ),
            "the logits of all seeds alone": logits_of_all,
        },
        rounds=3,
    )
    some = hidden[:, :16]
    exact = torch.stack([(h.double() @ W.double())[:, :VOCABULARY] for h, W in zip(some, unembeddings, strict=True)])
    expected = kl_pair_by_pair(exact)
    for name, found in {
        "pairwise_kl": measures.pairwise_kl(logits[:, :16].log_softmax(-1)),
        "pairwise_kl_from_hidden": measures.pairwise_kl_from_hidden(some, unembeddings, vocabulary=VOCABULARY),
    }.items():
        error = float((found - expected).abs().max())
        print(f"  {name} off by at most {error:.1e} nats from float64 (values to {float(expected.max()):.1f})")


def peak_mib(tokens: int) -> float:
    """Peak memory of KL from the hidden states of so many tokens, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak_here, (tokens,))


def _peak_here(tokens: int) -> float:
    unembeddings = [torch.randn(16, VOCABULARY) for _ in range(SEEDS)]
    measures.pairwise_kl_from_hidden(torch.randn(SEEDS, tokens, 16), unembeddings)
    # Linux counts the parent's peak into ru_maxrss, but not into VmHWM.
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory() -> None:
    """Peak memory against the number of tokens."""
    few, many = peak_mib(128), peak_mib(1024)
    print("Peak memory of KL from hidden states (target: does not depend on the tokens)")
    print(f"  128 tokens {few:.0f} MiB, 1024 tokens {many:.0f} MiB: {many / few:.3f} ×")


def surprisals() -> None:
    """Surprisal and entropy beside the product that makes the logits."""
    hidden, unembedding = torch.randn(1024, D), torch.randn(ROWS, D).T / 16
    targets = torch.randint(VOCABULARY, (1024,))
    unigram = measures.unigram_log_probabilities(torch.randint(1000, (VOCABULARY,)))
    first_bytes = torch.randint(257, (VOCABULARY,))
    buffer = torch.empty(256, VOCABULARY)

    def products() -> None:
        for part in torch.split(hidden, 256):
            torch.mm(part, unembedding[:, :VOCABULARY], out=buffer)

    print(f"Surprisal and entropy of 1024 tokens × {VOCABULARY} entries")
    take_turns(
        {
            "the logits alone, in chunks": products,
            "surprisal_and_entropy_from_hidden": lambda: measures.surprisal_and_entropy_from_hidden(
                hidden, unembedding, targets, vocabulary=VOCABULARY
            ),
            "and KL to the unigram": lambda: measures.predictions_from_hidden(
                hidden, unembedding, targets, reference=unigram, vocabulary=VOCABULARY
            ),
            "and the next byte": lambda: measures.predictions_from_hidden(
                hidden, unembedding, targets, reference=unigram, classes=first_bytes, vocabulary=VOCABULARY
            ),
        }
    )


def outputs() -> None:
    """What three seeds say and how far apart they are: in two passes, and of one unembedding."""
    tokens = 510
    targets, unigram = torch.randint(VOCABULARY, (tokens,)), torch.randn(VOCABULARY).log_softmax(-1)
    asked = {"reference": unigram, "vocabulary": VOCABULARY}
    for width in (512, 128):
        hidden = torch.randn(3, tokens, width)
        unembeddings = [0.02 * torch.randn(ROWS, width).T for _ in range(3)]
        pairs = list(zip(hidden, unembeddings, strict=True))

        def alone(pairs: list[tuple[torch.Tensor, torch.Tensor]] = pairs) -> None:
            for states, unembedding in pairs:
                for part in states.split(256):
                    part @ unembedding

        def apart(hidden: torch.Tensor = hidden, pairs: list[tuple[torch.Tensor, torch.Tensor]] = pairs) -> None:
            for states, unembedding in pairs:
                measures.predictions_from_hidden(states, unembedding, targets, **asked)
            measures.pairwise_kl_from_hidden(hidden, [one for _, one in pairs], vocabulary=VOCABULARY)

        print(f"Surprisal, entropy, KL to the unigram and between 3 seeds, {tokens} tokens, {width} wide")
        take_turns(
            {
                "one unembedding of each alone": alone,
                "of one unembedding": partial(
                    measures.predictions_and_kl_from_hidden, hidden, unembeddings, targets, **asked
                ),
                "in two passes": apart,
            },
            rounds=3,
        )


def alignments() -> None:
    """CKA of a checkpoint with a cached final state, of a stream, and of resamples."""
    for samples in (128, 1024):
        x, y = torch.randn(samples, 768), torch.randn(samples, 768)
        state, wide = measures.FinalState(y), x.double()
        state.both(x)
        print(f"CKA to a cached final state, {samples} samples × 768 (target: one product per checkpoint)")
        take_turns(
            {
                "linear_cka, nothing cached": partial(measures.linear_cka, x, y),
                "FinalState.both, biased and debiased": partial(state.both, x),
                "one samples × samples product in float64": partial(torch.mm, wide, wide.mT),
            }
        )
    x, y = torch.randn(20_000, 256), torch.randn(20_000, 256)

    def streamed() -> float:
        stream = measures.StreamingCKA()
        for a, b in zip(torch.split(x, 1000), torch.split(y, 1000), strict=True):
            stream.update(a, b)
        return float(stream.result(debiased=True))

    print("Streaming CKA of 20 000 samples × 256, in batches of 1000")
    take_turns(
        {"linear_cka of all at once": lambda: measures.linear_cka(x, y, debiased=True), "StreamingCKA": streamed}
    )
    print(f"  off by {abs(streamed() - float(measures.linear_cka(x, y, debiased=True))):.1e}")
    x, y = x[:128], y[:128]
    weights = measures.bootstrap_weights(128, 200, seed=0)
    rows = [torch.repeat_interleave(torch.arange(128), counts) for counts in weights]
    state = measures.FinalState(y)
    print("CKA in 200 bootstrap resamples of 128 samples × 256")
    take_turns(
        {
            "linear_cka of the drawn rows (biased only)": lambda: [measures.linear_cka(x[i], y[i]) for i in rows],
            "FinalState.resampled, biased and debiased": lambda: state.resampled(x, weights),
        }
    )


def main() -> None:
    """Print all tables."""
    torch.manual_seed(0)
    for part in (ranks, divergences, memory, surprisals, outputs, alignments):
        part()


if __name__ == "__main__":
    main()
