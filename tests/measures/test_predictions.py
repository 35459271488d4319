"""KL to a reference and probabilities of classes, against their definitions in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from phasescope.measures import (
    Unembedding,
    pairwise_kl,
    predictions_from_hidden,
    surprisal_and_entropy_from_hidden,
    unigram_log_probabilities,
)
from tests.measures import reference

# Sums of a few thousand float32 terms of up to ten nats.
FLOAT32 = 2e-5


def readout(
    tokens: int, d: int, vocabulary: int, scale: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(tokens + d)
    hidden, weight = (torch.randn(*shape, generator=generator) for shape in ((tokens, d), (d, vocabulary)))
    return hidden, scale * weight, torch.randint(vocabulary, (tokens,), generator=generator)


@pytest.mark.parametrize(("tokens", "vocabulary", "cut"), [(1, 7, 7), (300, 50, 41), (40, 3000, 2990)])
@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_kl_to_a_reference_is_its_definition(tokens: int, vocabulary: int, cut: int, scale: float) -> None:
    hidden, weight, targets = readout(tokens, 12, vocabulary, scale)
    logs = unigram_log_probabilities(torch.randint(0, 1000, (cut,)))
    found = predictions_from_hidden(hidden, weight, targets % cut, reference=logs, vocabulary=cut, chunk=64)
    log_p = reference.log_softmax((hidden.double() @ weight.double()).numpy()[:, :cut])
    assert found.kl_reference is not None
    np.testing.assert_allclose(found.kl_reference.numpy(), reference.kl(log_p, logs.numpy()), atol=FLOAT32)
    plain = surprisal_and_entropy_from_hidden(hidden, weight, targets % cut, vocabulary=cut, chunk=64)
    assert torch.equal(found.surprisal, plain[0])
    assert torch.equal(found.entropy, plain[1])
    assert found.class_log_probs is None


def test_closed_forms_of_kl_to_a_reference() -> None:
    counts = torch.tensor([999, 99, 9, 0])
    logs = unigram_log_probabilities(counts)
    np.testing.assert_allclose(logs.exp().numpy(), np.array([1000, 100, 10, 1]) / 1111, rtol=1e-14)
    hidden, targets = torch.ones(1, 1), torch.zeros(1, dtype=torch.int64)

    def kl(logits: torch.Tensor) -> float:
        found = predictions_from_hidden(hidden, logits.float()[None], targets, reference=logs).kl_reference
        assert found is not None
        return float(found)

    assert kl(logs) == pytest.approx(0, abs=1e-6)  # the unigram itself
    assert kl(torch.zeros(4)) == pytest.approx(-np.log(4) - float(logs.mean()), rel=1e-6)  # the uniform
    assert kl(torch.tensor([0.0, 0, 0, 200])) == pytest.approx(np.log(1111), rel=1e-6)  # certain of the rarest
    assert np.isnan(kl(torch.tensor([0.0, 0, 0, torch.nan])))


@pytest.mark.parametrize("classes", [1, 5, 257])
def test_probabilities_of_classes_are_sums(classes: int) -> None:
    hidden, weight, targets = readout(50, 12, 1000)
    number = torch.randint(classes, (990,))
    found = predictions_from_hidden(hidden, weight, targets % 990, classes=number, vocabulary=990).class_log_probs
    log_p = reference.log_softmax((hidden.double() @ weight.double()).numpy()[:, :990])
    assert found is not None
    for one in range(int(number.max()) + 1):
        members = (number == one).numpy()
        wanted = np.log(np.exp(log_p[:, members]).sum(-1)) if members.any() else np.full(50, -np.inf)
        np.testing.assert_allclose(found[:, one].numpy(), wanted, atol=FLOAT32)


def test_classes_without_entries_are_impossible_and_tiny_ones_are_not() -> None:
    found = predictions_from_hidden(
        torch.ones(1, 1), torch.tensor([[0.0, -300.0]]), torch.tensor([0]), classes=torch.tensor([0, 2])
    ).class_log_probs
    assert found is not None
    assert found[0].tolist() == [0.0, -np.inf, pytest.approx(np.log(np.finfo(np.float32).tiny))]


def test_classes_never_tell_more_than_entries() -> None:
    """The data-processing inequality, for one model against another over the same entries."""
    first, second = (readout(200, d, 500) for d in (12, 13))
    number = torch.randint(7, (500,))
    logs, sums = [], []
    for hidden, weight, targets in (first, second):
        logs.append((hidden @ weight).double().log_softmax(-1))
        made = predictions_from_hidden(hidden, weight, targets, classes=number).class_log_probs
        assert made is not None
        sums.append(made)
    fine, coarse = pairwise_kl(torch.stack(logs)), pairwise_kl(torch.stack(sums))
    assert (coarse <= fine + FLOAT32).all()
    assert (coarse[0, 1] < fine[0, 1]).all()
    assert (coarse[0, 1] > 0).all()


def test_bad_hidden_states_are_nan_and_their_neighbours_are_not() -> None:
    hidden, weight, targets = readout(5, 30, 200)
    hidden[1, 4], hidden[3, 0] = torch.nan, torch.inf
    found = predictions_from_hidden(
        hidden, Unembedding(weight), targets, reference=unigram_log_probabilities(torch.ones(200)),
        classes=torch.randint(3, (200,)),
    )  # fmt: skip
    assert found.kl_reference is not None
    assert found.kl_reference.isnan().tolist() == [False, True, False, True, False]
    assert found.class_log_probs is not None
    assert found.class_log_probs.isnan().all(1).tolist() == [False, True, False, True, False]


def test_wrong_references_and_classes_are_named() -> None:
    hidden, weight, targets = readout(5, 30, 200)
    with pytest.raises(ValueError, match=r"reference must be \[200\].*\[199\]"):
        predictions_from_hidden(hidden, weight, targets, reference=torch.zeros(199))
    with pytest.raises(ValueError, match="all finite"):
        predictions_from_hidden(hidden, weight, targets, reference=torch.full((200,), -torch.inf))
    with pytest.raises(ValueError, match=r"classes must be \[200\]"):
        predictions_from_hidden(hidden, weight, targets, classes=torch.zeros(200))
    with pytest.raises(ValueError, match="none negative"):
        unigram_log_probabilities(torch.tensor([1, -1]))
