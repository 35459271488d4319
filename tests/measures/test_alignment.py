from __future__ import annotations

import numpy as np
import pytest
import torch

from phasescope.measures import cosine, count_sketch, frobenius_product, sketch_error


def test_inner_products_are_those_of_float64() -> None:
    generator = np.random.default_rng(0)
    x, y = (generator.normal(size=(3, 700, 800)).astype(np.float32) for _ in range(2))
    expected = (x.astype(np.float64) * y.astype(np.float64)).sum((1, 2))
    # Sums of the same float64 products in another order.
    np.testing.assert_allclose(frobenius_product(x, y), expected, rtol=1e-10)
    np.testing.assert_allclose(frobenius_product(x, x) ** 0.5, np.linalg.norm(x.astype(float), axis=(1, 2)), rtol=1e-12)


def test_inner_products_of_tiny_huge_and_missing_numbers() -> None:
    tiny = torch.full((4, 5), 1e-30)  # whose squares are 0 in float32
    assert frobenius_product(tiny, tiny).item() == pytest.approx(20e-60, rel=1e-6)
    assert frobenius_product(torch.full((4, 5), 1e30), tiny).item() == pytest.approx(20, rel=1e-6)
    assert frobenius_product(torch.zeros(2, 3), torch.ones(2, 3)).item() == 0
    assert frobenius_product(torch.tensor([[1.0, torch.nan]]), torch.ones(1, 2)).isnan()
    with pytest.raises(ValueError, match=r"\[2, 3\] and \[3, 2\]"):
        frobenius_product(torch.ones(2, 3), torch.ones(3, 2))


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_cosines(scale: float) -> None:
    x, y = scale * torch.tensor([3.0, 4.0]), torch.tensor([4.0, 3.0])
    assert cosine(x, y).item() == pytest.approx(24 / 25, rel=1e-6)
    assert cosine(x, x).item() == pytest.approx(1, abs=1e-15)
    assert cosine(x, -x).item() == pytest.approx(-1, abs=1e-15)
    assert cosine(x, torch.tensor([4.0, -3.0])).item() == pytest.approx(0, abs=1e-7)  # 3 and 4 scaled in float32
    assert cosine(torch.ones(7), torch.full((7,), 0.1)).item() == pytest.approx(1, abs=1e-15)
    assert cosine(x, torch.zeros(2)).isnan()
    assert cosine(x, torch.tensor([1.0, torch.inf])).isnan()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_sketches_err_as_they_say(share: float) -> None:
    """400 keys: the mean error is 0 within 4 of its standard errors, the spread what is said, to 15 %."""
    generator = torch.Generator().manual_seed(3)
    x, noise = torch.randn(2, 60, 50, generator=generator)
    # Of low rank and with most of its mass in a few columns, as gradients are.
    x, noise = (left * torch.linspace(0.1, 3, 50) + left[:, :1] for left in (x, noise))
    y = share * x + (1 - share) * noise
    exact = cosine(x.flatten(), y.flatten())
    errors = torch.stack([cosine(*(count_sketch(v, 512, f"key {k}") for v in (x, y))) - exact for k in range(400)])
    assert errors.mean().abs() < 4 * errors.std() / 20
    assert errors.std().item() == pytest.approx(sketch_error(exact, 512).item(), rel=0.15)


def test_sketches_are_the_same_everywhere_and_linear() -> None:
    values = torch.arange(5000.0)
    # Places and signs that any implementation of SplitMix64 gives; another version would make kept sketches useless.
    one = [count_sketch(torch.eye(100)[place], 16, "blocks.0.mlp.W_in") for place in (0, 1, 99)]
    assert [(int(np.abs(sketch).argmax()), float(sketch.sum())) for sketch in one] == [(0, -1.0), (15, 1.0), (2, -1.0)]
    mixed = count_sketch(2 * values + 3, 64, "k")
    np.testing.assert_allclose(
        mixed, 2 * count_sketch(values, 64, "k") + 3 * count_sketch(torch.ones(5000), 64, "k"), rtol=1e-5
    )
    assert not np.allclose(count_sketch(values, 64, "k"), count_sketch(values, 64, "another"))


def test_what_is_short_is_its_own_sketch() -> None:
    values = torch.randn(8, 8)
    np.testing.assert_array_equal(count_sketch(values, 64, "k"), values.flatten())
    with pytest.raises(ValueError, match="power of two"):
        count_sketch(values, 48, "k")
