"""Rules on surprisal: each fires on what it is for, and is silent on what is as it should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

import phasescope as ps
from phasescope.audit import Finding
from phasescope.audit.outputs import distances, equal_outputs, jumping_losses, outputs_in_order
from phasescope.store import ShardKey
from tests.conftest import make_suite

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
Table = dict[ShardKey, np.ndarray]


def key(step: int, seed: int = 1) -> ShardKey:
    return ShardKey("14m", seed, step)


def learning(random: int = 0, seed: int = 1) -> Table:
    """Tokens that are learned one after the other, with some noise, as log-spaced steps of a training show them."""
    numbers = np.random.default_rng(random)
    tokens, end, when = 500, numbers.gamma(2, 1.5, 500), numbers.uniform(0, len(STEPS), 500)
    found = {}
    for place, step in enumerate(STEPS):
        learned = 1 / (1 + np.exp(2 * (when - place)))
        found[key(step, seed)] = (11 + (end - 11) * learned + 0.1 * numbers.standard_normal(tokens)).astype(np.float32)
    return found


def said(findings: object) -> list[tuple[str, str, list[int]]]:
    found: list[Finding] = list(findings)  # type: ignore[call-overload]
    return [(one.rule, one.certainty, [of.step for of in one.checkpoints]) for one in found]


@pytest.mark.parametrize("random", range(10))
def test_sound_trainings_are_sound(random: int) -> None:
    sound = learning(random) | learning(random + 100, 2)
    assert said(outputs_in_order(sound)) == []
    assert said(jumping_losses(sound)) == []
    assert said(equal_outputs(sound, {of: of.label for of in sound})) == []


@pytest.mark.parametrize("place", range(1, 8))
def test_a_later_steps_outputs_under_an_earlier_name(place: int) -> None:
    training = learning(1)
    training[key(STEPS[place])] = training[key(512)] + 0.01
    assert said(outputs_in_order(training)) == [("out of order", "likely", [STEPS[place]])]
    losses = said(jumping_losses(training))
    assert losses[:1] == ([("losses that jump", "likely", [STEPS[place]])] if place < 7 else losses[:1])


def test_a_restart() -> None:
    training, again = learning(2), learning(3)
    for step, of in zip(STEPS[7:], STEPS[2:], strict=False):
        training[key(step)] = 0.5 * (training[key(of)] + again[key(of)])
    assert said(outputs_in_order(training)) == [("restart", "likely", list(STEPS[7:]))]
    (jump, *_) = jumping_losses(training)
    assert (jump.certainty, jump.checkpoints, jump.suspects) == ("note", (key(64),), ())
    assert "and so is what follows: a restart, or other data" in jump.sentence


def test_a_spike_of_the_loss_is_a_note() -> None:
    training = learning(4)
    training[key(64)] = training[key(64)] + np.random.default_rng(5).gamma(2, 1, 500).astype(np.float32)
    assert said(outputs_in_order(training)) == []
    (jump,) = jumping_losses(training)
    assert (jump.certainty, jump.checkpoints, jump.suspects) == ("note", (key(64),), ())
    assert "a spike of the loss, or broken" in jump.sentence


def test_a_broken_file_at_the_end() -> None:
    """As bloom-560m-intermediate at 600k (discussion 267 of bigscience/bloom)."""
    training = learning(6)
    training[key(512)] = np.full(500, 12.7, np.float32)
    assert said(jumping_losses(training)) == [("losses that jump", "note", [512])]


def test_equal_outputs_of_other_weights() -> None:
    one, other = learning(7), learning(8, 2)
    weights = {of: of.label for of in one | other}
    other[key(8, 2)] = one[key(8)].copy()
    assert said(equal_outputs(one | other, weights)) == [("equal outputs", "likely", [8, 8])]
    (found,) = equal_outputs(one | other, weights)
    assert found.sentence == "14m: seeds 1 and 2 say the same of every token at step 8."
    # Equal weights are another rule's, and without weights there is no telling them apart.
    assert said(equal_outputs(one | other, weights | {key(8, 2): key(8).label})) == []
    assert said(equal_outputs(one | other, {})) == []
    # A first update that was zero, a shared beginning, and models that say nothing of any token.
    other[key(8, 2)] = learning(8, 2)[key(8, 2)]
    one[key(1)] = other[key(0, 2)] = one[key(0)]
    assert {certainty for _, certainty, _ in said(equal_outputs(one | other, weights))} == {"legitimate"}
    flat = {of: np.full(500, 4.0, np.float32) for of in one}
    assert said(equal_outputs(flat, weights)) == []


def test_what_cannot_be_judged_is_not() -> None:
    few = dict(list(learning(9).items())[:4])
    broken = learning(9) | {key(8): np.full(500, np.nan, np.float32)}
    odd = learning(9) | {key(8): np.ones(7, np.float32)}
    for one in ({}, few, odd, broken):
        assert said(outputs_in_order(one)) == []
        assert said(jumping_losses(one)) == []


def test_distances_are_root_mean_squares() -> None:
    rows = np.random.default_rng(1).standard_normal((3, 40)).astype(np.float32)
    wanted = [[np.sqrt(np.mean((one.astype(float) - other) ** 2)) for other in rows] for one in rows]
    assert np.allclose(distances(list(rows)), wanted, rtol=1e-6)  # the difference of float32 is taken in float64


def test_a_run_is_judged_by_its_outputs_too(tmp_path: Path, texts_file: Path) -> None:
    """A step whose unembedding is far too large: it is surprised by everything."""
    suite = make_suite(tmp_path / "suite", sizes=("tiny",), seeds=(1,), steps=(0, 1, 2, 4, 8, 16))
    file = suite / "tiny/seed1/step4/model.safetensors"
    state = load_file(file)
    state["embed_out.weight"] *= 100
    save_file(state, file, metadata={"format": "pt"})
    run = ps.capture(suite, texts_file, tmp_path / "run", sequences=4, context=16, output_sequences=2, sites="mlp_out")
    (found,) = run.audit()
    assert (found.rule, found.certainty, found.checkpoints) == ("losses that jump", "note", (ShardKey("tiny", 1, 4),))
    assert "tiny at step 4 is far more surprised than the step before, a spike of the loss, or broken" in found.sentence
    assert run.steps() == [0, 1, 2, 4, 8, 16]  # it is told, and left in
