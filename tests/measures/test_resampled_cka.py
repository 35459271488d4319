"""CKA in resamples to first order: its derivatives, and that it is used only where it is as good as exact."""

from __future__ import annotations

import pytest
import torch

from phasescope.measures import FinalState, bootstrap_weights
from phasescope.measures._resampled_cka import ResampledCka, _ckas, _slopes
from phasescope.measures._resampled_hsic import FixedGram
from phasescope.measures.cka import centred_gram


def activations(n: int, p: int, noise: float, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A final state with a spectrum that falls, as those of layers do, and an earlier one."""
    generator = torch.Generator().manual_seed(seed)
    final = torch.randn(n, p, generator=generator, dtype=torch.float64) * torch.arange(1, p + 1) ** -0.7
    return final + noise * final.std() * torch.randn(n, p, generator=generator, dtype=torch.float64), final


def exactly(x: torch.Tensor, final: torch.Tensor, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return _ckas(FixedGram(_unit_gram(final), counts), _unit_gram(x))


def _unit_gram(x: torch.Tensor) -> torch.Tensor:
    gram = centred_gram(x)
    return gram / gram.trace()


@pytest.mark.parametrize(("n", "p"), [(5, 3), (40, 7), (30, 90)])
def test_slopes_are_the_derivatives_of_the_polynomials(n: int, p: int) -> None:
    """By autograd, of HSIC as it is resampled; 1e-10: float64, and sums of n³ terms that cancel."""
    x, final = activations(n, p, 0.7)
    k, other = _unit_gram(x), _unit_gram(final)
    ones = torch.ones(1, n, dtype=torch.float64, requires_grad=True)
    biased, debiased, _ = FixedGram(other, ones).hsic(k.clone())
    draws = n * (n - 1) * (n - 2) * (n - 3)
    for index, slopes in ((0, _slopes(k, other)), (1, _slopes(k, k)), (2, _slopes(other, other))):
        (whole, slope), (fours, slope_of_fours) = slopes
        # HSIC of resamples is a mean over draws: n² of them, or those of four different samples.
        torch.testing.assert_close(whole / n**2, biased[index, 0].detach(), rtol=1e-10, atol=0)
        torch.testing.assert_close(fours / draws, debiased[index, 0].detach(), rtol=1e-9, atol=0)
        (mine,) = torch.autograd.grad(biased[index, 0], ones, retain_graph=True)
        torch.testing.assert_close(slope / n**2 - 2 * whole / n**3, mine[0], rtol=1e-10, atol=1e-14)
        (mine,) = torch.autograd.grad(debiased[index, 0], ones, retain_graph=True)
        moved = mine[0] * draws - slope_of_fours
        # What is left is how many draws there are, the same for every sample.
        torch.testing.assert_close(moved, moved.mean().expand(n), rtol=1e-8, atol=1e-10 * float(slope_of_fours.norm()))


@pytest.mark.parametrize("positions", [1, 4])
@pytest.mark.parametrize("noise", [0.05, 0.7, 3])
def test_of_many_samples_intervals_are_those_of_exact_resamples(positions: int, noise: float) -> None:
    """Standard deviations within a sixth, as promised; most are within a fiftieth."""
    x, final = activations(1024, 64, noise)
    counts = bootstrap_weights(1024 // positions, 300, 0).repeat_interleave(positions, dim=1)
    for ours, exact in zip(FinalState(final).resampled(x, counts), exactly(x, final, counts.double()), strict=True):
        assert float(ours.std() / exact.std()) == pytest.approx(1, abs=1 / 6)
        assert float(torch.corrcoef(torch.stack([ours, exact]))[0, 1]) > 0.98


def test_where_there_is_no_first_order_all_is_exact() -> None:
    x, final = activations(600, 32, 1e4)  # debiased CKA near 0: how it varies is of second order
    counts = bootstrap_weights(600, 100, 0)
    for ours, exact in zip(FinalState(final).resampled(x, counts), exactly(x, final, counts.double()), strict=True):
        torch.testing.assert_close(ours, exact, rtol=1e-9, atol=1e-12)


def test_a_layer_and_itself_is_one_and_without_variance_nothing() -> None:
    _, final = activations(400, 16, 0)
    counts = bootstrap_weights(400, 60, 0)
    for ours in FinalState(final).resampled(3 * final + 7, counts):
        torch.testing.assert_close(ours, torch.ones_like(ours), rtol=0, atol=1e-9)
    for ours in FinalState(final).resampled(torch.ones_like(final), counts):
        assert ours.isnan().all()


def test_one_sample_that_outweighs_all_is_resampled_exactly() -> None:
    """Whether it is drawn decides CKA: nothing that a slope could tell."""
    x, final = activations(500, 16, 0.5)
    x[7], final[7] = 1e4, -1e4
    counts = bootstrap_weights(500, 80, 0).double()
    resampled = ResampledCka(_unit_gram(final), counts).cka(_unit_gram(x))
    torch.testing.assert_close(resampled, exactly(x, final, counts), rtol=1e-9, atol=1e-12)
