from __future__ import annotations

import numpy as np
import pytest
import torch

from phasescope.measures import (
    Unembedding,
    entropy,
    information,
    surprisal,
    surprisal_and_entropy_from_hidden,
    surprisal_and_likeliest_from_hidden,
    unigram_surprisal,
)
from tests.measures import reference

# float32 logits of about 10 from a product of 30 terms are off by some 1e-6, and so are sums of their exponentials.
FLOAT32 = 2e-5


def readout(tokens: int, d: int, vocab: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(tokens, d, generator=generator)
    unembedding = torch.randn(d, vocab, generator=generator)
    return hidden, unembedding, torch.randint(vocab, (tokens,), generator=generator)


def wanted(logits: torch.Tensor, targets: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    log_probs = reference.log_softmax(logits.double().numpy())
    chosen = np.take_along_axis(log_probs, targets.numpy()[..., None], -1)[..., 0]
    return -chosen, -(np.exp(log_probs) * log_probs).sum(-1)


@pytest.mark.parametrize("batch", [(), (5,), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_surprisal_and_entropy_of_logits(batch: tuple[int, ...], dtype: torch.dtype) -> None:
    logits = (5 * torch.randn(*batch, 40, generator=torch.Generator().manual_seed(0))).to(dtype)
    targets = torch.randint(40, batch)
    expected = wanted(logits, targets)
    for found, values in zip((surprisal(logits, targets), entropy(logits)), expected, strict=True):
        assert found.dtype == torch.float64
        assert found.shape == batch
        np.testing.assert_allclose(found.numpy(), values, rtol=1e-12, atol=1e-12)  # float64 throughout


def test_rows_are_taken_in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, targets = torch.randn(7, 11, 40), torch.randint(40, (7, 11))
    whole = surprisal(logits, targets), entropy(logits)
    monkeypatch.setattr(information, "_CHUNK", 200)
    for found, values in zip((surprisal(logits, targets), entropy(logits)), whole, strict=True):
        assert torch.equal(found, values)


def test_closed_forms() -> None:
    assert float(surprisal(torch.zeros(50), torch.tensor(3))) == pytest.approx(np.log(50), rel=1e-14)
    assert float(entropy(torch.full((50,), 1e6))) == pytest.approx(np.log(50), rel=1e-14)
    certain = torch.tensor([1e4, 0.0, 0.0])
    assert float(surprisal(certain, torch.tensor(0))) == 0
    assert float(surprisal(certain, torch.tensor(1))) == pytest.approx(1e4)
    assert float(entropy(certain)) == 0


def test_entries_of_probability_zero() -> None:
    logits = torch.tensor([0.0, 0.0, -torch.inf])
    assert float(entropy(logits)) == pytest.approx(np.log(2), rel=1e-14)
    assert float(surprisal(logits, torch.tensor(2))) == torch.inf
    assert float(surprisal(logits, torch.tensor(0))) == pytest.approx(np.log(2), rel=1e-14)


def test_logits_that_are_no_numbers_make_nan_where_they_are() -> None:
    logits = torch.randn(4, 6)
    logits[1, 2], logits[2, 3] = torch.nan, torch.inf
    logits[3] = -torch.inf
    for found in (surprisal(logits, torch.zeros(4, dtype=torch.int64)), entropy(logits)):
        assert found.isnan().tolist() == [False, True, True, True]


def test_wrong_targets_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[4, 6\] and \[5\]"):
        surprisal(torch.randn(4, 6), torch.zeros(5, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"0 … 5; they are 0 … 6"):
        surprisal(torch.randn(2, 6), torch.tensor([0, 6]))
    with pytest.raises(ValueError, match=r"they are -100 … 0"):
        surprisal(torch.randn(2, 6), torch.tensor([0, -100]))
    with pytest.raises(ValueError, match="integers"):
        surprisal(torch.randn(2, 6), torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match="single number"):
        entropy(torch.tensor(1.0))


@pytest.mark.parametrize(("tokens", "chunk"), [(1, 256), (10, 3), (10, 10), (17, 8), (0, 4)])
def test_from_hidden_in_any_chunks(tokens: int, chunk: int) -> None:
    hidden, unembedding, targets = readout(tokens, 30, 200)
    found = surprisal_and_entropy_from_hidden(hidden, unembedding, targets, chunk=chunk)
    expected = wanted(hidden.double() @ unembedding.double(), targets)
    for values, reference_values in zip(found, expected, strict=True):
        assert values.dtype == torch.float32
        np.testing.assert_allclose(values.numpy(), reference_values, atol=FLOAT32)


def test_rows_of_a_chunk_are_taken_in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that fit the cache do not divide the chunk, nor the chunk the tokens."""
    from phasescope.measures import _readout

    hidden, unembedding, targets = readout(23, 30, 200)
    monkeypatch.setattr(_readout, "_CACHED", 3 * 200)
    found = surprisal_and_entropy_from_hidden(hidden, unembedding, targets, chunk=10)
    for values, expected in zip(found, wanted(hidden.double() @ unembedding.double(), targets), strict=True):
        np.testing.assert_allclose(values.numpy(), expected, atol=FLOAT32)


@pytest.mark.parametrize("transposed", [False, True])
def test_padding_does_not_count(transposed: bool) -> None:
    hidden, unembedding, targets = readout(12, 30, 200)
    padded = torch.cat([unembedding, 100 * torch.randn(30, 56)], 1)  # padding that would win every softmax
    if transposed:
        padded = padded.T.contiguous().T
    bias = torch.randn(256)
    found = surprisal_and_entropy_from_hidden(hidden, Unembedding(padded, bias), targets, vocabulary=200)
    expected = wanted(hidden.double() @ unembedding.double() + bias[:200].double(), targets)
    for values, reference_values in zip(found, expected, strict=True):
        np.testing.assert_allclose(values.numpy(), reference_values, atol=FLOAT32)


@pytest.mark.parametrize(("scale", "softcap"), [(0.125, None), (1.0, 3.0), (4.0, 30.0)])
def test_logits_may_be_scaled_and_capped(scale: float, softcap: float | None) -> None:
    hidden, weight, targets = readout(12, 30, 200)
    bias = torch.randn(200)
    found = surprisal_and_entropy_from_hidden(hidden, Unembedding(weight, bias, scale, softcap), targets)
    logits = scale * (hidden.double() @ weight.double() + bias.double())
    capped = logits if softcap is None else softcap * (logits / softcap).tanh()
    for values, expected in zip(found, wanted(capped, targets), strict=True):
        np.testing.assert_allclose(values.numpy(), expected, atol=FLOAT32 * max(1, scale))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_narrow_models_are_computed_in_float32_and_wide_ones_in_float64(dtype: torch.dtype) -> None:
    hidden, unembedding, targets = readout(12, 30, 200)
    hidden, unembedding = hidden.to(dtype), unembedding.to(dtype)
    found = surprisal_and_entropy_from_hidden(hidden, unembedding, targets)
    expected = wanted(hidden.double() @ unembedding.double(), targets)
    for values, reference_values in zip(found, expected, strict=True):
        assert values.dtype == torch.float32
        np.testing.assert_allclose(values.numpy(), reference_values, atol=FLOAT32)


def test_a_common_offset_of_the_logits_costs_only_their_own_rounding() -> None:
    hidden, unembedding, targets = readout(12, 30, 200)
    far = surprisal_and_entropy_from_hidden(hidden, Unembedding(unembedding, torch.full((200,), 1e4)), targets)
    expected = wanted(hidden.double() @ unembedding.double(), targets)
    for values, reference_values in zip(far, expected, strict=True):
        # float32 numbers near 10⁴ are 1e-3 apart; a log-sum taken there would add as much again, several times over.
        np.testing.assert_allclose(values.numpy(), reference_values, atol=1e-3)


def test_certain_and_hopeless_predictions() -> None:
    """Probabilities that float32 cannot hold still have a surprisal."""
    unembedding = torch.tensor([[200.0, 0.0, -200.0]])
    found = surprisal_and_entropy_from_hidden(torch.ones(3, 1), unembedding, torch.tensor([0, 1, 2]))
    assert found[0].tolist() == [0, 200, 400]
    assert found[1].tolist() == [0, 0, 0]


def test_results_are_never_negative() -> None:
    hidden, unembedding, _ = readout(200, 30, 50)
    targets = (hidden @ unembedding).argmax(-1)
    for scale in (1e-4, 1.0, 5.0, 100.0):
        for values in surprisal_and_entropy_from_hidden(scale * hidden, unembedding, targets):
            assert (values >= 0).all()


def test_tokens_with_bad_hidden_states_are_nan_and_their_neighbours_are_not() -> None:
    hidden, unembedding, targets = readout(5, 30, 200)
    hidden[1, 4], hidden[3, 0] = torch.nan, torch.inf
    for values in surprisal_and_entropy_from_hidden(hidden, unembedding, targets):
        assert values.isnan().tolist() == [False, True, False, True, False]


def test_inputs_are_left_alone_and_may_be_parameters() -> None:
    hidden, unembedding, targets = readout(5, 30, 200)
    before = hidden.clone(), unembedding.clone()
    found = surprisal_and_entropy_from_hidden(
        torch.nn.Parameter(hidden), torch.nn.Parameter(unembedding), targets.to(torch.int32)
    )
    assert not found[0].requires_grad
    assert torch.equal(hidden, before[0])
    assert torch.equal(unembedding, before[1])


def test_wrong_shapes_from_hidden_are_named() -> None:
    hidden, unembedding, targets = readout(5, 30, 200)
    with pytest.raises(ValueError, match=r"\[5, 30\] and \[200, 30\]"):
        surprisal_and_entropy_from_hidden(hidden, unembedding.T, targets)
    with pytest.raises(ValueError, match="201 entries does not fit an unembedding of 200"):
        surprisal_and_entropy_from_hidden(hidden, unembedding, targets, vocabulary=201)
    with pytest.raises(ValueError, match="0 … 99"):
        surprisal_and_entropy_from_hidden(hidden, unembedding, torch.full((5,), 150), vocabulary=100)
    with pytest.raises(ValueError, match=r"\[5\].*\[4\]"):
        surprisal_and_entropy_from_hidden(hidden, unembedding, targets[:4])
    with pytest.raises(ValueError, match=r"\[200\].*\[100\]"):
        surprisal_and_entropy_from_hidden(hidden, Unembedding(unembedding, torch.zeros(100)), targets)


def test_unigram_surprisal_raises_all_counts_by_one() -> None:
    counts, targets = np.array([7, 0, 1]), torch.tensor([[0, 1], [2, 0]])
    expected = -np.log(np.array([[8, 1], [2, 8]]) / 11)
    np.testing.assert_allclose(unigram_surprisal(counts, targets).numpy(), expected, rtol=1e-14)
    np.testing.assert_allclose(unigram_surprisal(torch.zeros(50), torch.arange(50)).numpy(), np.log(50))
    with pytest.raises(ValueError, match="negative"):
        unigram_surprisal(torch.tensor([1, -1]), targets)
    with pytest.raises(ValueError, match=r"0 … 1; they are 0 … 2"):
        unigram_surprisal(torch.tensor([1, 1]), targets)


@pytest.mark.parametrize(("tokens", "chunk"), [(1, 256), (10, 3), (17, 8), (0, 4)])
def test_likeliest_targets(tokens: int, chunk: int) -> None:
    hidden, unembedding, targets = readout(tokens, 30, 200)
    logits = hidden.double() @ unembedding.double()
    targets[::2] = logits.argmax(-1)[::2]
    found, likeliest = surprisal_and_likeliest_from_hidden(hidden, unembedding, targets, chunk=chunk)
    np.testing.assert_allclose(found.numpy(), wanted(logits, targets)[0], atol=FLOAT32)
    assert likeliest.tolist() == (logits.argmax(-1) == targets).tolist()


def test_likeliest_within_the_vocabulary_capped_tied_and_not_finite() -> None:
    hidden, weight, targets = readout(12, 30, 200)
    padded = torch.cat([weight, 100 * torch.randn(30, 56)], 1)
    logits = 3 * ((hidden.double() @ weight.double()) / 3).tanh()
    targets[:6] = (hidden[:6] @ weight).argmax(-1)
    made = Unembedding(padded, None, 1.0, 3.0)
    found, likeliest = surprisal_and_likeliest_from_hidden(hidden, made, targets, vocabulary=200)
    np.testing.assert_allclose(found.numpy(), wanted(logits, targets)[0], atol=FLOAT32)
    assert likeliest[:6].all()
    # All entries alike: each is one of the likeliest.
    found, likeliest = surprisal_and_likeliest_from_hidden(torch.zeros(2, 30), weight, targets[:2])
    assert likeliest.all()
    np.testing.assert_allclose(found.numpy(), np.log(200), rtol=1e-6)
    hidden[3] = torch.inf
    found, likeliest = surprisal_and_likeliest_from_hidden(hidden, weight, targets)
    assert found.isnan().tolist() == [i == 3 for i in range(12)]
    assert not likeliest[3]
    with pytest.raises(ValueError, match=r"targets must be \[12\]"):
        surprisal_and_likeliest_from_hidden(hidden, weight, targets[:4])
