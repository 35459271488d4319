"""CKA in resamples of many samples: against exact resamples, whichever of its three ways is taken."""

from __future__ import annotations

import pytest
import torch

from phasescope.measures import Draws, FinalState, State, bootstrap_weights
from phasescope.measures._resampled_cka import ExactlyResampled, ResampledCka
from phasescope.measures._resampled_hsic import FixedGram, runs_of
from phasescope.measures._split_hsic import Moved, SplitHsic, multiplied


def activations(n: int, p: int, noise: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A final state with a spectrum that falls, as those of layers do, and an earlier one."""
    generator = torch.Generator().manual_seed(seed)
    final = torch.randn(n, p, generator=generator, dtype=torch.float64) * torch.arange(1, p + 1) ** -0.7
    return final + noise * final.std() * torch.randn(n, p, generator=generator, dtype=torch.float64), final


def exactly(x: torch.Tensor, final: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return ExactlyResampled(State(final).gram, counts.double()).cka(State(x).gram)


@pytest.mark.parametrize("positions", [1, 4])
@pytest.mark.parametrize("noise", [0.05, 0.7, 3])
def test_of_many_samples_intervals_are_those_of_exact_resamples(positions: int, noise: float) -> None:
    """Standard deviations within a thirtieth: 32 of 512 rows estimate what is added, a twentieth of the variance."""
    x, final = activations(512, 64, noise)
    counts = bootstrap_weights(512 // positions, 300, 0).repeat_interleave(positions, dim=1)
    for ours, exact in zip(FinalState(final).resampled(x, counts), exactly(x, final, counts), strict=True):
        assert float(ours.std() / exact.std()) == pytest.approx(1, abs=1 / 30)
        assert float(torch.corrcoef(torch.stack([ours, exact]))[0, 1]) > 0.98


@pytest.mark.parametrize(("n", "p"), [(60, 5), (40, 90), (300, 16)])
def test_products_give_hsic_itself_but_for_what_is_left_out(n: int, p: int) -> None:
    """Biased: float32 of a part. Debiased: a few n^−1.5 of the standard deviation are left out."""
    x, final = activations(n, p, 0.7)
    counts, (state, other) = bootstrap_weights(n, 200, 0), (State(x), State(final))
    draws = Draws(counts)
    biased, debiased, size = FixedGram(other.gram, runs_of(counts.double())).hsic(state.gram)
    cross, own = SplitHsic.with_another(state, other, SplitHsic.of_itself(other, draws), draws)
    moved = Moved.of(state, draws), Moved.of(other, draws)
    for place, split, pair in ((0, cross, moved), (1, own, (moved[0], moved[0]))):
        found = split.hsic(multiplied(*pair, draws))
        torch.testing.assert_close(found.biased, biased[place], rtol=3e-6, atol=1e-6 * float(size[place].mean()))
        torch.testing.assert_close(found.size, size[place], rtol=3e-6, atol=0)
        left_out = float((found.debiased - debiased[place]).std() / debiased[place].std())
        assert left_out < 6 * n**-1.5


@pytest.mark.parametrize(("n", "p"), [(8, 5), (32, 64), (128, 16), (256, 300)])
@pytest.mark.parametrize("noise", [1e-4, 0.03, 1, 30])
def test_few_samples_are_resampled_exactly_but_for_float32(n: int, p: int, noise: float) -> None:
    """To 3e-6: float32's 6e-8 of terms that may be fifty times what is left of them, and of which CKA has three."""
    x, final = activations(n, p, noise)
    counts = bootstrap_weights(n, 300, 0)
    for ours, exact in zip(FinalState(final).resampled(x, counts), exactly(x, final, counts), strict=True):
        torch.testing.assert_close(ours, exact, rtol=0, atol=3e-6, equal_nan=True)


def test_what_samples_add_by_themselves_is_the_first_order() -> None:
    """Of counts that are nearly 1 all else vanishes, quadratically. By the differences of exact values."""
    x, final = activations(50, 6, 0.7)
    state, other = State(x), State(final)
    for away, close in ((1e-2, 1e-2), (1e-3, 1e-3)):
        step = torch.randn(20, 50, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        draws = Draws(1 + away * step / step.abs().max())
        cross, _ = SplitHsic.with_another(state, other, SplitHsic.of_itself(other, draws), draws)
        exact = FixedGram(other.gram, runs_of(draws.counts)).hsic(state.gram).biased[0]
        found = cross.hsic(cross.by_itself()).biased
        assert float((found - exact).norm() / (exact - exact.mean()).norm()) < 30 * close


def test_where_pairs_of_samples_are_what_varies_they_are_multiplied() -> None:
    x, final = activations(600, 32, 1e4)  # debiased CKA near 0: how it varies is of second order
    counts = bootstrap_weights(600, 100, 0)
    ours, exact = FinalState(final).resampled(x, counts), exactly(x, final, counts)
    for one, true in zip(ours, exact, strict=True):
        assert float((one - true).abs().max() / true.std()) < 1e-2


def test_a_layer_and_itself_is_one_and_without_variance_nothing() -> None:
    _, final = activations(400, 16, 0)
    counts = bootstrap_weights(400, 60, 0)
    for ours in FinalState(final).resampled(3 * final + 7, counts):
        # Products in float32, whose rounding is another one on other processors, stand in the third term alone.
        torch.testing.assert_close(ours, torch.ones_like(ours), rtol=0, atol=1e-7)
    for ours in FinalState(final).resampled(torch.ones_like(final), counts):
        assert ours.isnan().all()


def test_one_sample_that_outweighs_all_is_resampled_exactly() -> None:
    """Whether it is drawn decides CKA: nothing that differences from all samples could tell."""
    x, final = activations(500, 16, 0.5)
    x[7], final[7] = 1e4, -1e4
    counts = bootstrap_weights(500, 80, 0)
    resampled = ResampledCka(State(final), Draws(counts)).cka(State(x))
    for ours, exact in zip(resampled, exactly(x, final, counts), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-9, atol=1e-12)


def test_more_features_than_samples_and_several_questions_of_one_state() -> None:
    x, final = activations(300, 700, 0.3)
    counts = bootstrap_weights(300, 100, 0)
    compared, state = FinalState(final), State(x)
    assert torch.equal(compared.both(state)[0], compared.cka(x))
    assert float(compared.shuffled(state, 100)) == pytest.approx(float(compared.shuffled(x, 100)), rel=1e-12)
    for ours, exact in zip(compared.resampled(state, Draws(counts)), exactly(x, final, counts), strict=True):
        assert float(ours.std() / exact.std()) == pytest.approx(1, abs=1 / 30)


def test_gram_is_that_of_all_rows_whatever_their_number() -> None:
    for n in (1, 2, 63, 65, 257):
        x, _ = activations(n, 7, 0.5)
        state = State(x)
        torch.testing.assert_close(state.gram, state.unit @ state.unit.mT, rtol=0, atol=1e-15, equal_nan=True)
