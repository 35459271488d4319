from __future__ import annotations

import numpy as np
import pytest
import torch

from phasescope.measures import (
    circuit_singular_values,
    contrasts,
    effective_rank,
    effective_rank_of,
    proportional_effective_rank,
    proportional_effective_rank_of,
    singular_values,
)
from phasescope.measures import rank as rank_module
from tests.measures import reference


def with_values(values: torch.Tensor, rows: int, cols: int, seed: int = 0) -> torch.Tensor:
    """A float64 matrix with these singular values."""
    generator = torch.Generator().manual_seed(seed)
    k = len(values)
    left, right = (
        torch.linalg.qr(torch.randn(size, k, generator=generator, dtype=torch.float64)).Q for size in (rows, cols)
    )
    return (left * values) @ right.T


def svd(matrix: torch.Tensor) -> np.ndarray:
    return np.linalg.svd(matrix.double().numpy(), compute_uv=False)


@pytest.mark.parametrize("shape", [(7, 7), (5, 40), (40, 5), (1, 9), (9, 1), (1, 1), (3, 4, 6), (2, 3, 6, 4)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_singular_values_equal_those_of_an_svd(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    found = singular_values(weight)
    assert found.dtype == torch.float64
    # The Gram matrix's rounding, 1e-16 of the largest eigenvalue, is at most this share of the largest singular value.
    np.testing.assert_allclose(found.numpy(), svd(weight), atol=1e-9)


@pytest.mark.parametrize("smallest", [1e-2, 1e-4, 3e-5, 1e-6, 1e-9, 1e-12])
def test_ill_conditioned_matrices_keep_their_small_values(smallest: float) -> None:
    values = torch.logspace(0, float(np.log10(smallest)), 12, dtype=torch.float64)
    found = singular_values(with_values(values, 20, 30))
    # 1e-5 is what the Gram route promises for the smallest; values near 1e-12 carry the SVD's own 1e-15.
    np.testing.assert_allclose(found[:12].numpy(), values.numpy(), rtol=1e-5, atol=1e-14)


def test_rank_deficient_matrices_have_zeros() -> None:
    found = singular_values(with_values(torch.tensor([3.0, 2.0, 1.0], dtype=torch.float64), 20, 8))
    np.testing.assert_allclose(found.numpy(), [3, 2, 1, 0, 0, 0, 0, 0], atol=1e-14)
    assert torch.equal(singular_values(torch.zeros(4, 6)), torch.zeros(4, dtype=torch.float64))


def test_long_matrices_are_summed_in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_module, "_CHUNK", 100)
    for weight in (torch.randn(997, 8), torch.randn(8, 997).T, torch.randn(2, 8, 997), torch.randn(300, 8).T):
        np.testing.assert_allclose(singular_values(weight).numpy(), svd(weight), rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1e-40, 1e37, 1e200])
def test_extremes_neither_overflow_nor_vanish(scale: float) -> None:
    weight = torch.randn(6, 9, dtype=torch.float64)
    np.testing.assert_allclose(singular_values(weight * scale).numpy() / scale, svd(weight), rtol=1e-10)
    if 1e-38 < scale < 1e38:
        np.testing.assert_allclose(singular_values((weight * scale).float()).numpy() / scale, svd(weight), rtol=1e-6)


def test_matrices_with_bad_entries_are_nan_and_their_neighbours_are_not() -> None:
    weight = torch.randn(4, 5, 6)
    weight[1, 2, 3], weight[3, 0, 0] = torch.nan, torch.inf
    for measure in (singular_values, effective_rank, proportional_effective_rank):
        nan = measure(weight).isnan().reshape(4, -1)
        assert nan.all(1).tolist() == nan.any(1).tolist() == [False, True, False, True]
    np.testing.assert_allclose(singular_values(weight)[2].numpy(), svd(weight[2]), rtol=1e-10)


def test_empty_matrices_have_no_values_and_no_rank() -> None:
    assert singular_values(torch.zeros(3, 0, 5)).shape == (3, 0)
    assert singular_values(torch.zeros(0, 4, 5)).shape == (0, 4)
    assert effective_rank(torch.zeros(0, 5)).isnan()
    assert effective_rank(torch.zeros(3, 0, 5)).isnan().all()


CIRCUITS = [(30, 6, 20), (30, 6, 6), (4, 6, 20), (20, 6, 4), (3, 6, 2), (6, 1, 5), (6, 6, 6)]


@pytest.mark.parametrize(("m", "k", "n"), CIRCUITS)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_circuits_have_the_singular_values_of_their_product(m: int, k: int, n: int, batch: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(2)
    a, b = (torch.randn(*batch, *size, generator=generator) for size in ((m, k), (k, n)))
    found = circuit_singular_values(a, b)
    smallest = min(m, k, n)
    assert found.shape == (*batch, smallest)
    # A square random factor can have a condition of 100: its square times 1e-16, relative to the largest.
    np.testing.assert_allclose(found.numpy(), svd(a.double() @ b.double())[..., :smallest], atol=1e-9)


def test_circuits_broadcast_their_batch_dimensions() -> None:
    a, b = torch.randn(3, 1, 10, 4), torch.randn(5, 4, 8)
    assert circuit_singular_values(a, b).shape == (3, 5, 4)
    np.testing.assert_allclose(circuit_singular_values(a, b).numpy(), svd(a.double() @ b.double())[..., :4], atol=1e-9)


@pytest.mark.parametrize("smallest", [1e-3, 1e-6, 1e-9])
def test_ill_conditioned_factors(smallest: float) -> None:
    """Values spread in one factor, in the other, and in both: the Cholesky route must not be taken blindly."""
    spread = torch.logspace(0, float(np.log10(smallest)), 6, dtype=torch.float64)
    even = torch.ones(6, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    for values_a, values_b in ((spread, even), (even, spread)):
        # a = U · turn and b = turnᵀ · V with known values between: those of the product.
        a = torch.linalg.qr(torch.randn(30, 6, dtype=torch.float64)).Q * values_a @ turn
        b = turn.T @ (values_b[:, None] * torch.linalg.qr(torch.randn(25, 6, dtype=torch.float64)).Q.T)
        # An SVD of the product itself would know the small ones to 1e-16 of the largest and no better.
        np.testing.assert_allclose(circuit_singular_values(a, b).numpy(), spread.numpy(), rtol=1e-5)


def test_rank_deficient_circuits() -> None:
    a, b = torch.randn(2, 30, 6), torch.randn(2, 6, 20)
    a[0, :, 3:] = 0  # three inner dimensions unused in one head
    b[1, 2] = b[1, 1]
    found = circuit_singular_values(a, b)
    np.testing.assert_allclose(found.numpy(), svd(a.double() @ b.double())[:, :6], atol=1e-9)
    assert (found[0] > 0).sum() == 3
    assert (found[1] > 0).sum() == 5


def test_a_circuit_that_is_zero_has_no_rank() -> None:
    a, b = torch.randn(30, 6), torch.randn(6, 20)
    assert torch.equal(circuit_singular_values(a, 0 * b), torch.zeros(6, dtype=torch.float64))
    # Neither factor is 0 but the product is: a writes where b does not read.
    turn = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    a, b = (
        torch.randn(30, 3, dtype=torch.float64) @ turn[:, :3].T,
        turn[:, 3:] @ torch.randn(3, 20, dtype=torch.float64),
    )
    found = circuit_singular_values(a, b)
    assert torch.equal(found, torch.zeros(6, dtype=torch.float64))
    assert effective_rank_of(found).isnan()


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_circuits_of_extreme_factors(scale: float) -> None:
    a, b = torch.randn(20, 4, dtype=torch.float64), torch.randn(4, 20, dtype=torch.float64)
    found = circuit_singular_values(a * scale, b / scale)
    np.testing.assert_allclose(found.numpy(), svd(a @ b)[:4], rtol=1e-9)


def test_circuits_with_bad_entries_are_nan_and_their_neighbours_are_not() -> None:
    a, b = torch.randn(4, 9, 3), torch.randn(4, 3, 8)
    a[0, 0, 0], b[2, 1, 1] = torch.nan, -torch.inf
    assert circuit_singular_values(a, b).isnan().all(1).tolist() == [True, False, True, False]
    np.testing.assert_allclose(circuit_singular_values(a, b)[3].numpy(), svd(a[3] @ b[3])[:3], rtol=1e-4)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[5\]"):
        singular_values(torch.randn(5))
    with pytest.raises(ValueError, match=r"\[4, 3\] and \[4, 5\]"):
        circuit_singular_values(torch.randn(4, 3), torch.randn(4, 5))
    with pytest.raises(ValueError, match=r"\[2, 4, 3\] and \[5, 3, 4\]"):
        circuit_singular_values(torch.randn(2, 4, 3), torch.randn(5, 3, 4))
    assert circuit_singular_values(torch.randn(2, 4, 0), torch.randn(2, 0, 5)).shape == (2, 0)


@pytest.mark.parametrize("rows", [1, 3, 8])
def test_effective_rank_of_equal_values_is_their_number(rows: int) -> None:
    weight = with_values(torch.full((rows,), 0.3, dtype=torch.float64), 12, 9)
    assert float(effective_rank(weight)) == pytest.approx(rows, rel=1e-10)
    assert float(proportional_effective_rank(weight)) == pytest.approx(rows / 9, rel=1e-10)


def test_effective_rank_in_closed_form() -> None:
    """σ = 3, 1: entropy −¾ ln ¾ − ¼ ln ¼."""
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert float(effective_rank(torch.diag(torch.tensor([1.0, 3.0])))) == pytest.approx(np.exp(entropy), rel=1e-12)
    assert float(effective_rank_of(torch.tensor([3.0, 1.0, 0.0]))) == pytest.approx(np.exp(entropy), rel=1e-12)
    assert float(proportional_effective_rank_of(torch.tensor([3.0, 1.0, 0.0]))) == pytest.approx(np.exp(entropy) / 3)


@pytest.mark.parametrize("shape", [(64, 64), (48, 192), (192, 48), (100, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_effective_rank_equals_its_definition(shape: tuple[int, int], dtype: torch.dtype) -> None:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(4)).to(dtype)
    wanted = reference.effective_rank(weight.double().numpy())
    assert float(effective_rank(weight)) == pytest.approx(wanted, rel=1e-9)
    assert float(proportional_effective_rank(weight)) == pytest.approx(wanted / min(shape), rel=1e-9)
    assert float(effective_rank(weight.float().numpy())) == pytest.approx(wanted, rel=1e-9)


def test_effective_rank_ignores_scale_and_a_long_tail_of_rounding() -> None:
    values = torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64)
    weight = with_values(values, 200, 300).float()  # rounding to float32 leaves 197 values near 1e-7
    assert float(effective_rank(weight)) == pytest.approx(float(effective_rank_of(values)), rel=1e-3)
    assert float(effective_rank(weight * 2.0**-60)) == pytest.approx(float(effective_rank(weight)), rel=1e-9)


def test_zeros_have_no_effective_rank() -> None:
    assert effective_rank(torch.zeros(4, 5)).isnan()
    assert effective_rank_of(torch.tensor([torch.inf, 1.0])).isnan()
    mixed = effective_rank(torch.stack([torch.zeros(4, 4), torch.eye(4)]))
    assert mixed.isnan().tolist() == [True, False]


@pytest.mark.parametrize("read", [0, 3, 20])
def test_columns_of_zeros_change_nothing(read: int) -> None:
    """The gradient of an embedding: all rows but those of the tokens read are zero."""
    gradient = torch.zeros(2, 500, 8, dtype=torch.float64)
    gradient[:, :read] = torch.randn(2, read, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradient[:, :, 7] = gradient[:, :, 6]  # rank-deficient
    # Rounding of the reference and of the measure, relative to the largest.
    np.testing.assert_allclose(singular_values(gradient), np.linalg.svd(gradient, compute_uv=False), atol=1e-13)


@pytest.mark.parametrize("shape", [(1, 5), (2, 2), (6, 9), (9, 6), (40, 40)])
def test_contrasts_have_the_singular_values_of_centred_columns(shape: tuple[int, int]) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(0)) + 1e3
    expected = np.linalg.svd(values.double().numpy() - values.double().numpy().mean(0), compute_uv=False)
    found = np.linalg.svd(contrasts(values).numpy(), compute_uv=False)
    # The offset of 1e3 costs three of float64's sixteen digits.
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(expected[len(found) :], 0, atol=1e-10)


def test_contrasts_are_of_a_matrix() -> None:
    with pytest.raises(ValueError, match=r"must be \[samples, d\]"):
        contrasts(torch.ones(3))
