"""Curves with a known link, and curves without one, on the step grids that suites have."""

from __future__ import annotations

import numpy as np

GRIDS = {
    12: [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000],
    27: [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 3000, *range(13000, 143001, 10000)],
    154: [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, *range(1000, 143001, 1000)],
}
"""Of the nursery, of the published evaluations of Pythia, and of Pythia itself."""


def linked(
    steps: list[int], seeds: int, lag: float, noise: float, generator: np.random.Generator, *, link: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """CKA and surprisal [seeds, steps]: two transitions each, at times of each seed's own, those of CKA later by `lag`.

    Without a link the times of CKA have nothing to do with those of the surprisal of the same seed.
    """
    places = np.log1p(np.array(steps, float))
    cka, surprisal = [], []
    for _ in range(seeds):
        of_behaviour = _transitions(places[-1], generator)
        of_layer = of_behaviour if link else _transitions(places[-1], generator)
        surprisal.append(9 - 5 * _at(places, of_behaviour) + 5 * noise * generator.standard_normal(len(steps)))
        cka.append(0.1 + 0.9 * _at(places - lag, of_layer) + noise * generator.standard_normal(len(steps)))
        cka[-1][-1] = 1.0  # the last step is the final state
    return np.array(cka), np.array(surprisal)


def read(
    cka: np.ndarray, steps: list[int], alike: float, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """CKA [seeds, steps] as 64 texts show it, and its deviations in 64 resamples of these [seeds, resamples, steps].

    As texts do in models that were trained: each moves neighbouring checkpoints to the same side (by 1.5 e-folds on,
    the correlation has fallen to 1 / e), the standard error of a CKA is 0.06 √(1 − CKA), and `alike` of the variance is
    common to all seeds (docs/analyses/link.md says what was measured).
    """
    texts, places = 64, np.log1p(np.array(steps, float))
    common, own = (_wandering(places, (texts, seeds), generator) for seeds in (1, len(cka)))
    effects = np.sqrt(alike) * common + np.sqrt(1 - alike) * own
    effects *= 0.06 * np.sqrt(texts) * np.sqrt(np.clip(1 - cka, 0, None))
    counts = generator.multinomial(texts, np.full(texts, 1 / texts), 64)
    mean = effects.mean(0)
    return cka + mean, np.einsum("rt,tsc->src", counts / texts, effects) - mean[:, None]


def _wandering(places: np.ndarray, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
    """Of variance 1 at every place, and correlated over 1.5 e-folds."""
    made = generator.standard_normal((*shape, len(places)))
    for i, kept in enumerate(np.exp(-np.diff(places) / 1.5), 1):
        made[..., i] = kept * made[..., i - 1] + np.sqrt(1 - kept**2) * made[..., i]
    return made


def walks(steps: list[int], seeds: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two independent random walks per seed."""
    drawn = generator.standard_normal((2, seeds, len(steps))).cumsum(-1)
    return drawn[0], drawn[1]


def trends(steps: list[int], seeds: int, noise: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """CKA and surprisal that are fastest early and slow down in log steps, in much the same way in all seeds."""
    places = np.log1p(np.array(steps, float))
    paces = np.array([2.0, 2.5])[:, None, None] * np.exp(0.2 * generator.standard_normal((2, seeds, 1)))
    rises = 1 - np.exp(-places / paces)
    wiggles = noise * generator.standard_normal((2, seeds, len(steps)))
    return rises[0] + wiggles[0], 9 - 5 * (rises[1] + wiggles[1])


def _transitions(end: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, widths and heights of two sigmoid steps that add up to 1."""
    places = np.array([0.35, 0.6]) * end + 0.25 * generator.standard_normal(2)
    first = 0.5 + 0.1 * generator.standard_normal()
    return places, 0.35 * np.exp(0.15 * generator.standard_normal(2)), np.array([first, 1 - first])


def _at(places: np.ndarray, transitions: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    middles, widths, heights = transitions
    return (heights / (1 + np.exp(-(places[:, None] - middles) / widths))).sum(1)
