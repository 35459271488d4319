"""Rules on single matrices: each fires on what it is for, and is silent on what is as it should be."""

from __future__ import annotations

import numpy as np
import pytest

from phasescope.audit import Finding
from phasescope.audit.matrices import jumping_norms, of_matrices, parts_of_the_end, seeds_that_meet
from phasescope.audit.weights import Samples, weights_in_order
from phasescope.store import ShardKey

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
Table = dict[ShardKey, Samples]


def drift(random: int, seed: int = 1, begin: Samples | None = None) -> Table:
    """Eight matrices that walk at random from where they begin."""
    numbers = np.random.default_rng(random)
    now = dict(begin or {f"W{number}": numbers.standard_normal(256) for number in range(8)})
    found = {}
    for step in STEPS:
        found[ShardKey("14m", seed, step)] = dict(now)
        now = {name: of + 0.4 * numbers.standard_normal(256) for name, of in now.items()}
    return found


def key(step: int, seed: int = 1) -> ShardKey:
    return ShardKey("14m", seed, step)


def rounded(of: np.ndarray) -> np.ndarray:
    return of.astype(np.float16).astype(np.float32)


def said(findings: object) -> list[tuple[str, str, list[tuple[int, int]]]]:
    found: list[Finding] = list(findings)  # type: ignore[call-overload]
    return [(one.rule, one.certainty, [(of.seed, of.step) for of in one.suspects]) for one in found]


@pytest.mark.parametrize("random", range(10))
def test_sound_trainings_are_sound(random: int) -> None:
    own = drift(random)
    assert said(of_matrices(own)) == []
    apart = drift(random + 100, 2)
    data_seed = drift(random + 200, 3, begin=own[key(0)])  # the same weights, other data
    assert said(of_matrices(own | apart | data_seed)) == []


@pytest.mark.parametrize("step", [0, 1, 4, 32, 64])
def test_a_mixture_whose_files_were_saved_anew(step: int) -> None:
    """As pythia-12b at steps 50000 and 58000, had its first file been written in another type."""
    training = drift(1)
    training[key(step)] = training[key(step)] | {name: rounded(training[key(256)][name]) for name in ("W2", "W5")}
    (found,) = parts_of_the_end(training)
    assert (found.rule, found.certainty, found.suspects) == ("some parts equal", "certain", (key(step),))
    assert "holds 2 of 8 matrices that were looked at of step 256 (W2 and W5), to rounding" in found.sentence


def test_what_is_no_mixture() -> None:
    training = drift(2)
    frozen = {of: samples | {"W1": training[key(256)]["W1"]} for of, samples in training.items()}
    assert said(parts_of_the_end(frozen)) == []
    constant = {of: samples | {"W1": np.ones(256), "W2": np.full(256, np.nan)} for of, samples in training.items()}
    assert said(parts_of_the_end(constant)) == []
    # All of a file is another rule's.
    whole = training | {key(4): {name: rounded(of) for name, of in training[key(256)].items()}}
    assert said(parts_of_the_end(whole)) == []
    assert [rule for rule, _, _ in said(weights_in_order(whole))] == ["out of order"]
    # What is near the end is near the end.
    slow = {
        of: {n: 0.01 * rows + training[key(256)][n] for n, rows in samples.items()} for of, samples in training.items()
    }
    assert said(parts_of_the_end(slow)) == []
    # The same matrix, much larger.
    grown = training | {key(4): training[key(4)] | {"W1": 3 * training[key(256)]["W1"]}}
    assert said(parts_of_the_end(grown)) == []


def test_seeds_that_begin_apart_and_meet() -> None:
    """As two of PolyPythias' weight seeds (issue 203 of EleutherAI/pythia), with signed zeros that differ."""
    one, other = drift(3), drift(4, 2)
    for step in STEPS[3:]:
        other[key(step, 2)] = {name: rounded(of) for name, of in one[key(step)].items()}
    assert said(seeds_that_meet(one | other)) == [("seeds that meet", "certain", [(2, step) for step in STEPS[3:]])]
    assert said(seeds_that_meet({of: rows for of, rows in (one | other).items() if of.step})) == []
    # Positions that every model begins with are no initialisation.
    shared = {name: drift(5)[key(0)][name] for name in ("W6", "W7")}
    both = {of: rows | shared for of, rows in (drift(6) | drift(7, 2)).items()}
    assert said(seeds_that_meet(both)) == []


def test_seeds_that_begin_alike_in_part() -> None:
    one, other = drift(8), drift(9, 2)
    trained = {name: 0.6 * of + 0.8 * other[key(0, 2)][name] for name, of in one[key(0)].items()}
    other[key(0, 2)] = trained
    (found,) = seeds_that_meet(one | other)
    assert (found.rule, found.certainty, found.suspects) == ("seeds begin alike in part", "note", ())
    assert "14m seeds 1 and 2 begin with weights that are neither the same nor others, in W0, W1" in found.sentence


def test_norms_that_jump() -> None:
    training = drift(10)
    training[key(16)] = {name: 1.5 * of for name, of in training[key(16)].items()}
    (found,) = jumping_norms(training)
    assert (found.rule, found.certainty, found.checkpoints) == ("norms that jump", "note", (key(16),))
    # They grow and shrink again, as with weight decay.
    hill = {
        of: {n: w * (1 + np.sin(place / 3)) for n, w in rows.items()}
        for place, (of, rows) in enumerate(drift(11).items())
    }
    assert said(jumping_norms(hill)) == []
    one = drift(12)
    one[key(16)] = one[key(16)] | {"W1": 2 * one[key(16)]["W1"]}  # one matrix alone
    assert said(jumping_norms(one)) == []
    assert said(jumping_norms({of: {"W": np.zeros(256)} for of in one})) == []


def test_what_cannot_be_judged_is_not() -> None:
    few = dict(list(drift(13).items())[:4])
    assert said(of_matrices(few)) == []
    assert said(of_matrices({})) == []
    odd = {of: rows | {f"only {of.step}": np.ones(3)} for of, rows in drift(14).items()}
    odd[key(8)] = odd[key(8)] | {"W1": np.ones(100)}
    assert said(of_matrices(odd | drift(15, 2))) == []
