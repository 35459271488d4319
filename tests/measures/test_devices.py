"""Measures on an accelerator, where there is one: the same numbers as on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from phasescope import measures

ACCELERATOR = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
pytestmark = pytest.mark.skipif(ACCELERATOR is None, reason="needs an accelerator")

_generator = torch.Generator().manual_seed(0)
X, Y = (torch.randn(20, width, generator=_generator) for width in (6, 30))
A, B = (torch.randn(3, *shape, generator=_generator) for shape in ((12, 4), (4, 12)))
LOGITS = torch.randn(3, 20, 50, generator=_generator)
HIDDEN = torch.randn(3, 20, 8, generator=_generator)
UNEMBEDDING = torch.randn(8, 50, generator=_generator)
TARGETS = torch.randint(50, (20,), generator=_generator)
WEIGHTS = measures.bootstrap_weights(20, 30, seed=0)


def streamed(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    stream = measures.StreamingCKA()
    stream.update(x, y)
    return stream.result(debiased=True)


Result = torch.Tensor | tuple[torch.Tensor, ...]
CASES: dict[str, tuple[Callable[..., Result], tuple[torch.Tensor, ...]]] = {
    "cka": (measures.linear_cka, (X, Y)),
    "debiased": (lambda x, y: measures.linear_cka(x, y, debiased=True), (X, Y)),
    "resampled": (lambda x, y, w: measures.FinalState(y).resampled(x, w), (X, Y, WEIGHTS)),
    "streamed": (streamed, (X, Y)),
    "singular values": (measures.singular_values, (A,)),
    "rank deficient": (measures.singular_values, (A[:, :, :1] @ B[:, :1],)),
    "circuits": (measures.circuit_singular_values, (A, B)),
    "effective rank": (measures.effective_rank, (A,)),
    "surprisal": (measures.surprisal, (LOGITS[0], TARGETS)),
    "entropy": (measures.entropy, (LOGITS,)),
    "from hidden": (measures.surprisal_and_entropy_from_hidden, (HIDDEN[0], UNEMBEDDING, TARGETS)),
    "likeliest": (measures.surprisal_and_likeliest_from_hidden, (HIDDEN[0], UNEMBEDDING, TARGETS)),
    "decoding": (
        lambda a, b, u: measures.draw_tokens(measures.nucleus(measures.combined_probabilities(a, b, -1, 2), 0.9), u),
        (LOGITS[0], LOGITS[1], torch.rand(20, generator=_generator)),
    ),
    "kl": (measures.pairwise_kl, (LOGITS.log_softmax(-1),)),
    "kl from hidden": (lambda h, w: measures.pairwise_kl_from_hidden(h, [w, w, 2 * w]), (HIDDEN, UNEMBEDDING)),
    "interval": (measures.interval, (torch.randn(30, 4), torch.randn(4))),
    "mean": (measures.clustered_mean_interval, (X,)),
    "settling": (lambda s, c: measures.settling_step(s, c, 0.5), (torch.arange(30), torch.rand(5, 30))),
}


@pytest.mark.parametrize("case", CASES)
def test_as_on_the_cpu(case: str) -> None:
    measure, arguments = CASES[case]
    expected, found = measure(*arguments), measure(*(argument.to(ACCELERATOR) for argument in arguments))
    pairs = zip(expected, found, strict=True) if isinstance(expected, tuple) else [(expected, found)]
    for a, b in pairs:
        torch.testing.assert_close(b.cpu(), a, rtol=1e-5, atol=1e-5, equal_nan=True)
