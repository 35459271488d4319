from __future__ import annotations

import numpy as np
import pytest
import torch

from phasescope.measures import Unembedding, _readout, pairwise_kl, pairwise_kl_from_hidden
from tests.measures import reference


def log_probs(seeds: int, tokens: int, vocab: int, scale: float = 3.0, seed: int = 0) -> torch.Tensor:
    logits = scale * torch.randn(seeds, tokens, vocab, generator=torch.Generator().manual_seed(seed)).double()
    return logits.log_softmax(-1)


def by_pairs(values: torch.Tensor) -> np.ndarray:
    array = values.double().numpy()
    return np.stack([np.stack([reference.kl(p, q) for q in array]) for p in array])


@pytest.mark.parametrize(("seeds", "tokens", "vocab"), [(2, 1, 2), (6, 9, 100), (1, 4, 5), (3, 0, 7), (4, 5, 1)])
def test_all_pairs_in_float64(seeds: int, tokens: int, vocab: int) -> None:
    values = log_probs(seeds, tokens, vocab)
    found = pairwise_kl(values)
    assert found.shape == (seeds, seeds, tokens)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), by_pairs(values), atol=1e-12)  # float64 throughout
    assert (found.diagonal(dim1=0, dim2=1) == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_narrow_types(dtype: torch.dtype) -> None:
    values = log_probs(4, 9, 300).to(dtype)
    # Products and sums in float32, of terms of up to about 10; bfloat16 and float16 enter as they were rounded. Such
    # probabilities sum to 1 only roughly, so that the definition can come out a little below 0, where the result is 0.
    np.testing.assert_allclose(pairwise_kl(values).numpy(), by_pairs(values).clip(min=0), atol=1e-5)
    assert pairwise_kl(values).dtype == torch.float64


def test_small_divergences_keep_their_digits() -> None:
    """Seeds that barely differ, in float32: the entropy of 4.6 nats would swallow a divergence of 1e-6."""
    base = torch.randn(1, 5, 100, generator=torch.Generator().manual_seed(1))
    apart = base + 1e-3 * torch.randn(3, 5, 100, generator=torch.Generator().manual_seed(2))
    values = apart.log_softmax(-1)
    exact = by_pairs(apart.double().log_softmax(-1))
    assert exact.max() < 3e-6
    np.testing.assert_allclose(pairwise_kl(values).numpy(), exact, atol=2e-7)


def test_entries_of_probability_zero() -> None:
    inf = torch.inf
    half = float(np.log(0.5))
    values = torch.tensor([[half, half, -inf], [-inf, half, half], [half, half, -inf], [0.0, -inf, -inf]])[:, None]
    found = pairwise_kl(values)[..., 0]
    ln2 = float(np.log(2))
    expected = [[0, inf, 0, inf], [inf, 0, inf, inf], [0, inf, 0, inf], [ln2, inf, ln2, 0]]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-7)


def test_zeros_that_all_share_change_nothing() -> None:
    values = log_probs(3, 6, 20)
    masked = torch.cat([values, torch.full((3, 6, 4), -torch.inf, dtype=torch.float64)], -1)
    np.testing.assert_allclose(pairwise_kl(masked).numpy(), by_pairs(values), atol=1e-12)


def test_a_probability_too_small_for_the_type_is_not_zero() -> None:
    """exp(−200) is 0 in float32, but where q is truly 0 the divergence is infinite."""
    values = torch.tensor([[0.0, -200.0], [0.0, -torch.inf]])[:, None]
    found = pairwise_kl(values)[..., 0]
    assert found.tolist() == [[0, torch.inf], [0, 0]]


def test_nan_stays_with_its_model_and_token() -> None:
    values = log_probs(3, 4, 10)
    values[0, 1, 3] = torch.nan  # the first model is the one that others are taken relative to
    values[2, 2] = torch.nan
    values[1, 2, 5] = -torch.inf
    found = pairwise_kl(values)
    nan = found.isnan()
    assert not nan[:, :, 0].any()
    assert not nan[:, :, 3].any()
    assert nan[:, :, 1].tolist() == [[True, True, True], [True, False, False], [True, False, False]]
    assert nan[:, :, 2].tolist() == [[False, False, True], [False, False, True], [True, True, True]]
    np.testing.assert_allclose(found[1, 2, 1], by_pairs(values[1:, 1:2])[0, 1, 0], atol=1e-12)


def test_divergence_is_never_negative() -> None:
    values = log_probs(1, 50, 500).float().expand(6, 50, 500) + 1e-7
    assert (pairwise_kl(values) >= 0).all()


@pytest.mark.parametrize("cached", [1, 700, 10**9])
def test_tokens_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch, cached: int) -> None:
    monkeypatch.setattr(_readout, "_CACHED", cached)
    values = log_probs(3, 11, 50)
    np.testing.assert_allclose(pairwise_kl(values).numpy(), by_pairs(values), atol=1e-12)


def test_arrays_and_strided_tensors() -> None:
    values = log_probs(3, 5, 20)
    strided = values.permute(2, 0, 1).contiguous().permute(1, 2, 0)
    for same in (values.numpy(), strided):
        np.testing.assert_allclose(pairwise_kl(same).numpy(), by_pairs(values), atol=1e-12)
    assert torch.equal(strided, values)  # left alone


def test_what_are_no_log_probabilities_is_said() -> None:
    with pytest.raises(ValueError, match=r"\[3, 4\]"):
        pairwise_kl(torch.randn(3, 4))
    with pytest.raises(ValueError, match=r"\[0, 4, 5\]"):
        pairwise_kl(torch.randn(0, 4, 5))
    with pytest.raises(ValueError, match="sum to"):
        pairwise_kl(torch.randn(3, 4, 50))  # logits
    with pytest.raises(ValueError, match="sum to 20"):
        pairwise_kl(torch.zeros(2, 1, 20))


def models(seeds: int, tokens: int, d: int, rows: int) -> tuple[torch.Tensor, list[torch.Tensor]]:
    generator = torch.Generator().manual_seed(7)
    hidden = torch.randn(seeds, tokens, d, generator=generator)
    return hidden, [torch.randn(rows, d, generator=generator).T / 5 for _ in range(seeds)]


def expected_from(hidden: torch.Tensor, unembeddings: list[torch.Tensor], vocabulary: int) -> np.ndarray:
    logits = [(h.double() @ W.double())[:, :vocabulary] for h, W in zip(hidden, unembeddings, strict=True)]
    return by_pairs(torch.stack(logits).log_softmax(-1))


@pytest.mark.parametrize(
    ("tokens", "chunk", "cached"), [(20, 128, 2**22), (20, 6, 2**22), (20, 6, 3000), (1, 1, 1), (0, 4, 9)]
)
def test_from_hidden_in_any_chunks(monkeypatch: pytest.MonkeyPatch, tokens: int, chunk: int, cached: int) -> None:
    monkeypatch.setattr(_readout, "_CACHED", cached)
    hidden, unembeddings = models(4, tokens, 30, 320)
    found = pairwise_kl_from_hidden(hidden, unembeddings, vocabulary=300, chunk=chunk)
    assert found.dtype == torch.float32
    assert found.shape == (4, 4, tokens)
    # float32 logits of a few units, from products of 30 terms.
    np.testing.assert_allclose(found.numpy(), expected_from(hidden, unembeddings, 300), atol=1e-5)
    assert (found.diagonal(dim1=0, dim2=1) == 0).all()


def test_models_of_different_widths_biases_and_caps() -> None:
    narrow, wide = models(1, 8, 20, 90), models(1, 8, 50, 90)
    hidden, unembeddings = [narrow[0][0], wide[0][0]], [*narrow[1], *wide[1]]
    biases = [torch.randn(90), torch.randn(90)]
    made = [Unembedding(unembeddings[0], biases[0]), Unembedding(unembeddings[1], biases[1], softcap=5.0)]
    found = pairwise_kl_from_hidden(hidden, made)
    logits = [h.double() @ W.double() + b for h, W, b in zip(hidden, unembeddings, biases, strict=True)]
    logits[1] = 5 * (logits[1] / 5).tanh()
    np.testing.assert_allclose(found.numpy(), by_pairs(torch.stack(logits).log_softmax(-1)), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_models_of_other_precisions(dtype: torch.dtype) -> None:
    hidden, unembeddings = models(3, 8, 30, 100)
    hidden, unembeddings = hidden.to(dtype), [W.to(dtype) for W in unembeddings]
    found = pairwise_kl_from_hidden(hidden, unembeddings)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected_from(hidden, unembeddings, 100), atol=1e-5)


def test_a_model_with_a_bad_hidden_state_leaves_the_others_alone() -> None:
    hidden, unembeddings = models(3, 4, 30, 100)
    hidden[0, 2, 5] = torch.nan
    nan = pairwise_kl_from_hidden(hidden, unembeddings).isnan()
    assert nan[:, :, 2].tolist() == [[True, True, True], [True, False, False], [True, False, False]]
    assert not nan[:, :, [0, 1, 3]].any()


def test_mismatched_models_are_named() -> None:
    hidden, unembeddings = models(3, 4, 30, 100)
    with pytest.raises(ValueError, match="3 models' hidden states came with 2"):
        pairwise_kl_from_hidden(hidden, unembeddings[:2])
    with pytest.raises(ValueError, match="same tokens and vocabulary; they have 4 × 100, 4 × 99"):
        pairwise_kl_from_hidden(hidden[:2], [unembeddings[0], unembeddings[1][:, :99]])
    with pytest.raises(ValueError, match="4 × 100, 3 × 100"):
        pairwise_kl_from_hidden([hidden[0], hidden[1, :3]], unembeddings[:2])
    with pytest.raises(ValueError, match=r"\[4, 30\] and \[100, 30\]"):
        pairwise_kl_from_hidden(hidden, [W.T for W in unembeddings])
    with pytest.raises(ValueError, match="0 models"):
        pairwise_kl_from_hidden([], [])
