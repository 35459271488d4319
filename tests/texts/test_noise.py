"""Corrupted text: what each kind of noise may change, and what it must leave alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasescope.errors import PhasescopeError
from phasescope.texts.made.noise import NEAR, NOISES, Vocabulary, corrupted

VOCABULARY = Vocabulary(40, np.bincount([3, 3, 3, 7, 9], minlength=40))
TOKENS = st.lists(st.integers(0, 39), min_size=2, max_size=60).map(lambda row: np.array([row, row], dtype=np.int32))
RATES = st.floats(0, 1)
SEEDS = st.integers(0, 2**32)


@given(TOKENS, RATES, SEEDS, st.sampled_from(sorted(NOISES)))
def test_every_noise_keeps_the_beginning_the_shape_and_the_seed(
    tokens: np.ndarray, rate: float, seed: int, kind: str
) -> None:
    made = corrupted(tokens, kind, rate, VOCABULARY, seed)
    assert made.dtype == np.int32
    assert made.shape == tokens.shape
    np.testing.assert_array_equal(made[:, 0], tokens[:, 0])
    np.testing.assert_array_equal(made, corrupted(tokens, kind, rate, VOCABULARY, seed))
    np.testing.assert_array_equal(corrupted(tokens, kind, 0, VOCABULARY, seed), tokens)
    assert made.min() >= 0
    assert made.max() < VOCABULARY.size


@given(st.integers(1, 60), RATES, SEEDS)
def test_swaps_are_of_neighbours_and_as_many_as_asked_for(length: int, rate: float, seed: int) -> None:
    tokens = np.arange(length + 1)[None]
    (made,) = corrupted(tokens, "swap", rate, Vocabulary(100, np.ones(100, dtype=int)), seed)
    moved = made - tokens[0]
    assert set(moved) <= {-1, 0, 1}
    assert sorted(made) == sorted(tokens[0])
    assert (moved != 0).sum() == 2 * (round(rate * length) // 2)
    np.testing.assert_array_equal(np.flatnonzero(moved == 1) + 1, np.flatnonzero(moved == -1))


@given(TOKENS, RATES, SEEDS, st.sampled_from(["swap", "shuffle", "shuffle_near"]))
def test_moving_tokens_keeps_what_they_are(tokens: np.ndarray, rate: float, seed: int, kind: str) -> None:
    made = corrupted(tokens, kind, rate, VOCABULARY, seed)
    np.testing.assert_array_equal(np.sort(made, axis=1), np.sort(tokens, axis=1))
    assert (made != tokens).sum(1).max() <= round(rate * (tokens.shape[1] - 1)) + NEAR


@given(TOKENS, RATES, SEEDS)
def test_replacing_changes_as_many_as_asked_for(tokens: np.ndarray, rate: float, seed: int) -> None:
    made = corrupted(tokens, "replace", rate, VOCABULARY, seed)
    assert ((made != tokens).sum(1) == round(rate * (tokens.shape[1] - 1))).all()
    frequent = corrupted(tokens, "replace_unigram", 1, VOCABULARY, seed)
    assert set(frequent[:, 1:].ravel()) <= {3, 7, 9}


def test_a_window_is_shuffled_within() -> None:
    tokens = np.arange(1 + 5 * NEAR)[None]
    (made,) = corrupted(tokens, "shuffle_near", 0.4, Vocabulary(99, np.ones(99, dtype=int)), 0)
    np.testing.assert_array_equal((made[1:] - 1) // NEAR, (tokens[0, 1:] - 1) // NEAR)
    changed = {(place - 1) // NEAR for place in np.flatnonzero(made != tokens[0])}
    assert len(changed) == 2


def test_random_tokens_are_drawn_alike_or_as_they_occur() -> None:
    tokens = np.zeros((1, 40_001), dtype=np.int32)
    drawn = np.bincount(corrupted(tokens, "replace", 1, VOCABULARY, 0)[0, 1:], minlength=40)
    assert drawn[0] == 0  # never what was there
    # 40 000 draws of 39: 1026 each, standard deviation 32.
    assert abs(drawn[1:] - 40_000 / 39).max() < 6 * 32
    frequent = np.bincount(corrupted(tokens, "replace_unigram", 1, VOCABULARY, 0)[0, 1:], minlength=40)
    assert frequent[3] / 40_000 == pytest.approx(0.6, abs=6 * 0.0025)


def test_what_is_no_noise_is_refused() -> None:
    tokens = np.zeros((1, 4), dtype=np.int32)
    with pytest.raises(PhasescopeError, match="Did you mean swap"):
        corrupted(tokens, "swaps", 0.1, VOCABULARY, 0)
    with pytest.raises(PhasescopeError, match="between 0 and 1: 5 does not"):
        corrupted(tokens, "swap", 5, VOCABULARY, 0)
