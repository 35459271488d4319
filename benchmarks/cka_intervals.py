"""Do intervals of CKA hold what they should, and are they those of exact resamples?

Activations are normal, with standard deviations that fall as k^−0.7; an earlier state has noise, which sets CKA.
The debiased CKA is compared with that of the population (closed form), the biased with its mean over all trials, since
that is what it estimates from so many samples. Run `python -m benchmarks cka_intervals --trials 200`.
"""

from __future__ import annotations

import sys

import torch

from phasescope.measures import Draws, FinalState, State, bootstrap_weights, interval
from phasescope.measures._resampled_cka import ExactlyResampled

WANTED = (0.3, 0.9, 0.99, 0.999)
SIZES = ((32, 64), (128, 64), (512, 64), (1024, 64), (1024, 768))
RESAMPLES = 500
# Trials that are resampled exactly too.
EXACT = 5


def main() -> None:
    torch.set_num_threads(1)
    trials = int(sys.argv[sys.argv.index("--trials") + 1]) if "--trials" in sys.argv else 200
    print(f"  {trials} trials of {RESAMPLES} resamples: share of 95 % intervals that hold the truth")
    print("   samples  width    CKA  biased  debiased  standard deviation against exact: biased, debiased")
    for samples, width in SIZES:
        for wanted in WANTED:
            _row(samples, width, wanted, trials)


def _row(samples: int, width: int, wanted: float, trials: int) -> None:
    generator = torch.Generator().manual_seed(0)
    variances = torch.arange(1, width + 1, dtype=torch.float64) ** -1.4
    noise = _noise(variances, wanted)
    draws = Draws(bootstrap_weights(samples, RESAMPLES, 0))
    found, spread = [], []
    for trial in range(trials):
        final = torch.randn(samples, width, generator=generator, dtype=torch.float64) * variances.sqrt()
        earlier = State(final + noise * torch.randn(samples, width, generator=generator, dtype=torch.float64))
        state = FinalState(final)
        drawn, estimates = state.resampled(earlier, draws), state.both(earlier)
        found.append([(one, *interval(some, one)) for some, one in zip(drawn, estimates, strict=True)])
        if trial < EXACT:
            exact = ExactlyResampled(State(final).gram, draws.counts).cka(earlier.gram)
            spread.append([some.std() / true.std() for some, true in zip(drawn, exact, strict=True)])
    numbers = torch.tensor(found, dtype=torch.float64)  # [trials, biased and debiased, estimate and interval]
    truth = torch.stack([numbers[:, 0, 0].mean(), torch.tensor(wanted, dtype=torch.float64)])
    held = ((numbers[..., 1] <= truth) & (truth <= numbers[..., 2])).double().mean(0)
    ratio = torch.tensor(spread).mean(0)
    print(
        f"  {samples:>8} {width:>6} {wanted:>6} {held[0]:>7.1%} {held[1]:>9.1%} {ratio[0]:>8.3f} {ratio[1]:.3f}",
        flush=True,
    )


def _noise(variances: torch.Tensor, wanted: float) -> float:
    """The standard deviation of noise at which the population's CKA, ‖Σ‖ / ‖Σ + σ²I‖, is what is wanted."""
    low, high = 0.0, 1e3
    for _ in range(100):
        middle = (low + high) / 2
        cka = variances.norm() / (variances + middle**2).norm()
        low, high = (middle, high) if cka > wanted else (low, middle)
    return low


if __name__ == "__main__":
    main()
