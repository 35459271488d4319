from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phasescope.measures import FinalState, centred_gram, linear_cka
from tests.measures import reference

# All arithmetic is float64 and the sums have at most 10⁵ terms: agreement to 1e-10 leaves three digits to spare.
EXACT = 1e-10
SHAPES = [(40, 12, 9), (12, 40, 33), (30, 30, 30), (200, 3, 5), (5, 300, 2), (4, 6, 6)]


def draw(n: int, *widths: int, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    mix = [torch.randn(4, width, generator=generator, dtype=torch.float64) for width in widths]
    return [common @ m + torch.randn(n, m.shape[1], generator=generator, dtype=torch.float64) for m in mix]


@pytest.mark.parametrize(("n", "p", "q"), SHAPES)
def test_both_forms_equal_their_definitions_on_either_side(n: int, p: int, q: int) -> None:
    x, y = draw(n, p, q)
    assert float(linear_cka(x, y)) == pytest.approx(reference.biased_cka(x.numpy(), y.numpy()), abs=EXACT)
    wanted = reference.debiased_cka(x.numpy(), y.numpy())
    assert float(linear_cka(x, y, debiased=True)) == pytest.approx(wanted, abs=EXACT)
    assert linear_cka(x, y).dtype == torch.float64
    assert linear_cka(x, y).shape == ()


def test_debiased_is_the_mean_over_all_fours_of_different_samples() -> None:
    x, y = (part.numpy() for part in draw(7, 3, 5))
    K, L, everyone = x @ x.T, y @ y.T, list(range(7))
    hsic = [reference.u_statistic(*pair, everyone) for pair in ((K, L), (K, K), (L, L))]
    assert float(linear_cka(x, y, debiased=True)) == pytest.approx(hsic[0] / np.sqrt(hsic[1] * hsic[2]), abs=EXACT)


@given(
    n=st.integers(4, 40),
    p=st.integers(1, 50),
    scale=st.sampled_from([1e-30, 1e-3, 7.0, 1e30]),
    offset=st.sampled_from([0.0, -3.0, 1e4]),
    seed=st.integers(0, 2**31),
    debiased=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_rotation_scale_and_offset_do_not_matter(
    n: int, p: int, scale: float, offset: float, seed: int, debiased: bool
) -> None:
    x, y = draw(n, p, p + 2, seed=seed)
    rotation = torch.linalg.qr(torch.randn(p, p, dtype=torch.float64)).Q
    plain = float(linear_cka(x, y, debiased=debiased))
    # The offset takes up to 4 of 16 digits from the entries, and HSIC is of fourth order in them. Fours of samples in
    # few dimensions can be nearly degenerate for the debiased form, which divides by what is left.
    tolerance = 1e-6 if debiased else 1e-9
    assert float(linear_cka(scale * (x @ rotation + offset), y, debiased=debiased)) == pytest.approx(
        plain, abs=tolerance
    )
    assert float(linear_cka(y, x, debiased=debiased)) == pytest.approx(plain, abs=tolerance)
    assert float(linear_cka(x, x, debiased=debiased)) == pytest.approx(1, abs=1e-9)
    assert plain <= 1


@pytest.mark.parametrize(("n", "p"), [(20, 50), (50, 20)])
def test_debiased_is_zero_on_average_for_unrelated_data_and_biased_is_not(n: int, p: int) -> None:
    generator = torch.Generator().manual_seed(3)
    pairs = [torch.randn(2, n, p, generator=generator) for _ in range(300)]
    biased, debiased = (torch.stack([linear_cka(x, y, debiased=form) for x, y in pairs]) for form in (False, True))
    # Four standard errors of the mean; the draws are fixed by the seed.
    assert abs(float(debiased.mean())) < 4 * float(debiased.std()) / 300**0.5
    assert float(biased.mean()) > 0.25


def test_an_offset_of_a_million_in_float32_costs_nothing_but_its_rounding() -> None:
    x, y = (part.float() for part in draw(60, 30, 20))
    far_x, far_y = x + 1e6, y - 1e6
    for debiased, definition in ((False, reference.biased_cka), (True, reference.debiased_cka)):
        # The reference is given the same rounded numbers, exactly centred: only arithmetic may differ.
        centred = [(part - part.mean(0)).numpy() for part in (far_x.double(), far_y.double())]
        assert float(linear_cka(far_x, far_y, debiased)) == pytest.approx(definition(*centred), abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_narrow_types_lose_nothing_beyond_their_own_rounding(dtype: torch.dtype) -> None:
    x, y = (part.to(dtype) for part in draw(30, 40, 20))
    wanted = reference.biased_cka(x.double().numpy(), y.double().numpy())
    assert float(linear_cka(x, y)) == pytest.approx(wanted, abs=EXACT)


def test_float32_extremes_neither_overflow_nor_vanish() -> None:
    x, y = (part.float() for part in draw(30, 40, 20))
    wanted = reference.biased_cka(x.double().numpy(), y.double().numpy())
    assert float(linear_cka(x * 1e37, y * 1e-37)) == pytest.approx(wanted, abs=1e-6)  # the scaled inputs are float32


def test_rank_deficient_activations() -> None:
    x, y = draw(30, 20, 20)
    x = x[:, :1] @ torch.ones(1, 20, dtype=torch.float64)
    assert float(linear_cka(x, y)) == pytest.approx(reference.biased_cka(x.numpy(), y.numpy()), abs=EXACT)
    assert float(linear_cka(x, 5 * x[:, :1], debiased=True)) == pytest.approx(1, abs=EXACT)


@pytest.mark.parametrize("debiased", [False, True])
@pytest.mark.parametrize(
    "nothing",
    [
        torch.zeros(20, 6),
        torch.full((20, 6), 0.1),
        torch.full((20, 6), 0.1, dtype=torch.float64),
        torch.full((20, 6), 1e6 + 0.3),
        torch.arange(6.0).expand(20, 6) / 7,
        torch.full((20, 6), torch.nan),
        torch.full((20, 6), torch.inf),
        torch.ones(20, 0),
        torch.full((20, 60), 0.1, dtype=torch.float64),
    ],
    ids=["zeros", "tenths", "tenths64", "far", "constant columns", "nan", "inf", "no features", "wide"],
)
def test_without_variance_there_is_no_cka(nothing: torch.Tensor, debiased: bool) -> None:
    other = torch.randn(20, 6)
    assert linear_cka(nothing, other, debiased).isnan()
    assert linear_cka(other, nothing, debiased).isnan()
    assert linear_cka(nothing, nothing, debiased).isnan()


def test_one_bad_value_makes_it_nan() -> None:
    for bad in (torch.nan, torch.inf, -torch.inf):
        x = torch.randn(20, 6)
        x[3, 2] = bad
        assert linear_cka(x, torch.randn(20, 4)).isnan()


def test_few_samples() -> None:
    x, y = draw(3, 4, 5)
    assert linear_cka(x[:0], y[:0]).isnan()
    assert linear_cka(x[:1], y[:1]).isnan()
    assert float(linear_cka(x[:2], y[:2])) == pytest.approx(1, abs=EXACT)  # two centred points are one direction
    assert float(linear_cka(x, y)) == pytest.approx(reference.biased_cka(x.numpy(), y.numpy()), abs=EXACT)
    assert linear_cka(x, y, debiased=True).isnan()  # needs four


def test_debiased_is_undefined_where_all_variance_is_one_samples() -> None:
    x = torch.zeros(20, 6)
    x[4] = torch.randn(6)
    assert not linear_cka(x, torch.randn(20, 6)).isnan()
    assert linear_cka(x, torch.randn(20, 6), debiased=True).isnan()
    assert linear_cka(torch.eye(20), torch.randn(20, 6), debiased=True).isnan()  # all samples equally far apart


def test_arrays_parameters_and_integers_are_taken_as_tensors_are() -> None:
    x, y = draw(30, 4, 5)
    wanted = float(linear_cka(x, y))
    read_only = x.numpy()[::-1].copy()[::-1]
    read_only.flags.writeable = False
    assert float(linear_cka(read_only, y.numpy())) == wanted
    parameter = torch.nn.Parameter(x)
    assert float(linear_cka(parameter, y)) == wanted
    assert not linear_cka(parameter, y).requires_grad
    assert float(linear_cka(torch.arange(10)[:, None], torch.arange(10)[:, None] * 2)) == pytest.approx(1)


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[10, 2\].*\[11, 3\]"):
        linear_cka(torch.randn(10, 2), torch.randn(11, 3))
    with pytest.raises(ValueError, match=r"\[2, 10, 2\]"):
        linear_cka(torch.randn(2, 10, 2), torch.randn(10, 2))
    with pytest.raises(ValueError, match=r"\[10\]"):
        centred_gram(torch.randn(10))


def test_centred_gram() -> None:
    (x,) = draw(12, 5)
    centred = x.numpy() - x.numpy().mean(0)
    np.testing.assert_allclose(centred_gram(x + 1e3).numpy(), centred @ centred.T, atol=1e-9)
    assert centred_gram(x.half()).dtype == torch.float64


@pytest.mark.parametrize(("n", "p", "q"), SHAPES)
def test_the_final_state_serves_many_checkpoints(n: int, p: int, q: int) -> None:
    *checkpoints, final = draw(n, p, p + 1, q)
    state = FinalState(final)
    for x in checkpoints:
        biased, debiased = state.both(x)
        assert float(biased) == float(state.cka(x)) == float(linear_cka(x, final))
        assert float(debiased) == float(state.cka(x, debiased=True)) == float(linear_cka(x, final, debiased=True))
    assert state.samples == n
    assert float(state.cka(final)) == pytest.approx(1, abs=EXACT)


def test_inputs_are_left_alone() -> None:
    x, y = draw(20, 4, 30)
    before = x.clone(), y.clone()
    state = FinalState(y)
    state.both(x)
    state.resampled(x, torch.ones(2, 20))
    assert torch.equal(x, before[0])
    assert torch.equal(y, before[1])


@pytest.mark.parametrize(("n", "p", "q", "groups"), [(6, 3, 4, None), (6, 9, 2, 6), (8, 5, 12, 4), (9, 2, 3, 3)])
def test_shuffled_is_the_mean_over_all_orders_of_the_groups(n: int, p: int, q: int, groups: int | None) -> None:
    x, y = draw(n, p, q, seed=n)
    x = 3 + 1e4 * x  # an offset, and another scale
    rows = np.arange(n).reshape(groups or n, -1)
    orders = itertools.permutations(range(len(rows)))
    wanted = np.mean([reference.biased_cka(x.numpy(), y.numpy()[rows[list(order)].ravel()]) for order in orders])
    assert float(FinalState(y).shuffled(x, groups)) == pytest.approx(wanted, abs=EXACT)


def test_shuffled_keeps_what_all_groups_have_in_common() -> None:
    """Like the mask of an attention pattern: what a position alone decides is the same in every text."""
    places, noise = draw(4, 40)[0], draw(80, 40, 40, seed=1)
    x, y = (3 * places.repeat(20, 1) + part for part in noise)
    state = FinalState(y)
    assert float(state.shuffled(x)) < 0.2
    assert float(state.shuffled(x, groups=20)) > 0.8


def test_shuffled_of_nothing_is_nothing() -> None:
    x, y = draw(6, 3, 4)
    assert FinalState(y).shuffled(x, groups=1).isnan()
    assert FinalState(y).shuffled(torch.ones(6, 3)).isnan()
    assert FinalState(torch.ones(6, 3)).shuffled(x).isnan()
    assert FinalState(y).shuffled(x * torch.nan).isnan()
    with pytest.raises(ValueError, match="6 samples do not make 4 equal groups"):
        FinalState(y).shuffled(x, groups=4)
    with pytest.raises(ValueError, match="the same samples"):
        FinalState(y).shuffled(x[:5])
