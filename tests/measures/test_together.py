"""Surprisal, entropy and divergences from one unembedding, against float64 and against each by itself."""

from __future__ import annotations

import pytest
import torch

from phasescope.measures import (
    Unembedding,
    pairwise_kl_from_hidden,
    predictions_and_kl_from_hidden,
    predictions_from_hidden,
)

TOKENS, VOCABULARY, ENTRIES = 300, 700, 690


def _models(seeds: int, noise: float) -> tuple[list[torch.Tensor], list[Unembedding]]:
    """Models of two widths whose logits differ by about `noise`, and by an offset of their own."""
    torch.manual_seed(0)
    common = torch.randn(TOKENS, 24), torch.randn(24, VOCABULARY) * 0.5
    hidden, made = [], []
    for seed in range(seeds):
        own = 8 * (seed % 2)
        hidden.append(torch.cat([common[0], noise * torch.randn(TOKENS, own)], 1))
        weight = torch.cat([common[1] + noise * torch.randn(24, VOCABULARY), torch.randn(own, VOCABULARY)])
        made.append(Unembedding(weight, torch.full((VOCABULARY,), float(seed)), softcap=20.0 if seed == 2 else None))
    return hidden, made


def _exact(hidden: list[torch.Tensor], made: list[Unembedding]) -> torch.Tensor:
    logs = []
    for states, one in zip(hidden, made, strict=True):
        logits = states.double() @ torch.as_tensor(one.weight).double() + torch.as_tensor(one.bias).double()
        if one.softcap is not None:
            logits = one.softcap * (logits / one.softcap).tanh()
        logs.append(logits[:, :ENTRIES].log_softmax(-1))
    return torch.stack(logs)


@pytest.mark.parametrize(("seeds", "noise"), [(1, 0.1), (2, 1e-3), (3, 0.1), (9, 1.0)])
def test_all_of_it_is_that_of_float64(seeds: int, noise: float) -> None:
    """Within 1e-5, or 1e-5 of large divergences; of small ones no further than what compares them alone."""
    hidden, made = _models(seeds, noise)
    targets, unigram = torch.randint(ENTRIES, (TOKENS,)), torch.randn(ENTRIES).log_softmax(-1)
    classes = torch.randint(5, (ENTRIES,))
    said, kl = predictions_and_kl_from_hidden(
        hidden, made, targets, reference=unigram, classes=classes, vocabulary=ENTRIES, chunk=70
    )
    logs = _exact(hidden, made)
    own = (logs.exp() * logs).sum(-1)
    expected = own[:, None] - torch.einsum("itv,jtv->ijt", logs.exp(), logs)
    torch.testing.assert_close(kl.double(), expected, atol=1e-5, rtol=1e-5)
    alone = pairwise_kl_from_hidden(hidden, made, vocabulary=ENTRIES)
    assert float((kl - expected).abs().mean()) <= 2 * float((alone - expected).abs().mean()) + 1e-12
    assert bool((kl.diagonal() == 0).all())
    assert bool((kl >= 0).all())
    for seed, one in enumerate(said):
        surprisal = -logs[seed].gather(1, targets[:, None]).squeeze(1)
        by_class = torch.stack([logs[seed][:, classes == number].logsumexp(-1) for number in range(5)], 1)
        torch.testing.assert_close(one.surprisal.double(), surprisal, atol=1e-5, rtol=0)
        torch.testing.assert_close(one.entropy.double(), -own[seed], atol=1e-5, rtol=0)
        reference = own[seed] - logs[seed].exp() @ unigram.double()
        torch.testing.assert_close(one.kl_reference, reference.float(), atol=1e-4, rtol=0)
        torch.testing.assert_close(one.class_log_probs, by_class.float(), atol=1e-5, rtol=1e-6)


def test_it_is_what_each_gives_by_itself() -> None:
    hidden, made = _models(4, 0.3)
    targets = torch.randint(ENTRIES, (TOKENS,))
    said, kl = predictions_and_kl_from_hidden(hidden, made, targets, vocabulary=ENTRIES)
    alone = pairwise_kl_from_hidden(hidden, made, vocabulary=ENTRIES)
    torch.testing.assert_close(kl, alone, atol=1e-6, rtol=1e-5)
    for one, states, unembedding in zip(said, hidden, made, strict=True):
        expected = predictions_from_hidden(states, unembedding, targets, vocabulary=ENTRIES)
        torch.testing.assert_close(one.surprisal, expected.surprisal, atol=2e-6, rtol=1e-6)
        torch.testing.assert_close(one.entropy, expected.entropy, atol=2e-6, rtol=1e-6)
        assert one.kl_reference is None
        assert one.class_log_probs is None


def test_what_is_not_finite_is_nan_or_infinite_there_alone() -> None:
    torch.manual_seed(1)
    hidden, weights = torch.randn(3, 40, 6), [torch.randn(6, 50) for _ in range(3)]
    hidden[1, 7] = torch.nan
    biases = [torch.zeros(50) for _ in range(3)]
    biases[2][3] = -torch.inf  # A model that can never say it.
    made = [Unembedding(weight, bias) for weight, bias in zip(weights, biases, strict=True)]
    targets = torch.zeros(40, dtype=torch.int64)
    said, kl = predictions_and_kl_from_hidden(hidden, made, targets)
    torch.testing.assert_close(kl, pairwise_kl_from_hidden(hidden, made), equal_nan=True, atol=1e-6, rtol=1e-5)
    assert bool(kl[0, 2, :7].isposinf().all())
    assert bool(kl[2, 0, :7].isfinite().all())
    assert said[1].surprisal.isnan().nonzero().flatten().tolist() == [7]
    assert bool(said[0].surprisal.isfinite().all())


def test_targets_must_fit() -> None:
    hidden, made = _models(2, 0.1)
    with pytest.raises(ValueError, match="one per hidden state"):
        predictions_and_kl_from_hidden(hidden, made, torch.zeros(3, dtype=torch.int64))
