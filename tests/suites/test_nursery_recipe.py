"""The options of a training are checked at the door; its schedule is what the docstring says."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasescope.errors import PhasescopeError
from phasescope.suites.recipe import SCHEDULES, Recipe
from phasescope.suites.shapes import ARCHITECTURES, SHAPES, find_shape
from phasescope.suites.suite import size_order


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 2.5}, "steps"),
        ({"steps": True}, "steps"),
        ({"batch": -1}, "batch"),
        ({"context": 1}, "context"),
        ({"vocabulary": 256}, "vocabulary"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"learning_rate": math.inf}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"warmup": 1.0}, "warmup"),
        ({"decay": 1.5}, "decay"),
        ({"schedule": "cosin"}, "Did you mean cosine"),
        ({"held_out": 0.0}, "held_out"),
        ({"most_text": 0}, "most_text"),
        ({"checkpoints": "sometimes"}, "sometimes"),
        ({"checkpoints": "0,600", "steps": 500}, "600"),
        ({"architecture": "gpt_neo"}, "gpt_neox"),
        ({"learning_rat": 1e-3}, "Did you mean learning_rate"),
    ],
)
def test_options_that_make_no_sense_are_refused_by_name(options: dict[str, object], named: str) -> None:
    with pytest.raises(PhasescopeError, match=named):
        Recipe.of(options)


def test_checkpoints_are_at_zero_powers_of_two_and_the_end() -> None:
    assert Recipe(steps=100).saved_steps == (0, 1, 2, 4, 8, 16, 32, 64, 100)
    assert Recipe(steps=512).saved_steps == (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    assert Recipe(steps=1).saved_steps == (0, 1)


def test_checkpoints_can_be_chosen_and_always_end_with_the_last_step() -> None:
    assert Recipe(steps=100, checkpoints="every:40").saved_steps == (0, 40, 80, 100)
    assert Recipe(steps=100, checkpoints=[3, 7]).saved_steps == (3, 7, 100)
    assert Recipe(steps=100, checkpoints=[3, 7]) == Recipe(steps=100, checkpoints="3,7")


@given(steps=st.integers(1, 3000), warmup=st.floats(0, 0.99))
def test_the_learning_rate_rises_to_its_peak_then_falls_to_a_tenth(steps: int, warmup: float) -> None:
    recipe = Recipe(steps=steps, warmup=warmup, learning_rate=1.0, checkpoints="last")
    rates = [recipe.learning_rate_at(step, SHAPES["1m"]) for step in range(steps)]
    rising = round(warmup * steps)
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[:rising] == sorted(rates[:rising])
    assert rates[rising:] == sorted(rates[rising:], reverse=True)
    assert max(rates) == 1.0
    if steps - rising >= 2:
        assert rates[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_starts_after_the_warm_up_at_its_highest_and_never_rises(schedule: str) -> None:
    recipe = Recipe(steps=100, warmup=0.1, learning_rate=2.0, schedule=schedule, checkpoints="last")
    rates = [recipe.learning_rate_at(step, SHAPES["1m"]) for step in range(100)]
    rising = 0 if schedule == "constant" else 10
    assert rates[:rising] == pytest.approx([0.2 * (step + 1) for step in range(rising)])
    assert rates[rising] == 2.0
    assert rates[rising:] == sorted(rates[rising:], reverse=True)


def test_schedules_are_those_that_transformers_has_under_their_names() -> None:
    """After the warm-up, in which ours is a step ahead: it does not waste the first update on a rate of zero."""
    import torch
    from transformers import get_scheduler

    special = {
        "cosine_with_min_lr": {"min_lr_rate": 0.1},
        "warmup_stable_decay": {"num_decay_steps": 20, "decay_type": "linear"},
    }
    for schedule in SCHEDULES:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        theirs = get_scheduler(schedule, optimizer, 10, 100, scheduler_specific_kwargs=special.get(schedule))
        recipe = Recipe(steps=100, learning_rate=1.0, schedule=schedule, checkpoints="last")
        for step in range(100):
            # To a tenth ours comes with the last update, theirs after it: at most a 90th of the way apart.
            near = 0.02 if schedule == "cosine_with_min_lr" else 1e-9
            if step >= 10:
                assert recipe.learning_rate_at(step, SHAPES["1m"]) == pytest.approx(theirs.get_last_lr()[0], abs=near)
            optimizer.step()
            theirs.step()


def test_study_cs_steps_can_be_asked_for() -> None:
    steps = [10, *range(20, 4001, 20)]
    assert Recipe(steps=4000, checkpoints="10,every:20").saved_steps == (0, *steps)
    assert Recipe(steps=4000, checkpoints=steps).saved_steps == tuple(steps)


def test_wider_models_learn_more_slowly_unless_told() -> None:
    highest = {name: Recipe().highest_learning_rate(shape) for name, shape in SHAPES.items()}
    assert highest["400k"] == highest["1m"] == 4e-3
    assert highest["70m"] == pytest.approx(1e-3)  # Pythia-70m's
    assert highest["160m"] == pytest.approx(6e-4, rel=0.15)  # Pythia-160m's
    assert Recipe(learning_rate=5e-4).highest_learning_rate(SHAPES["150k"]) == 5e-4


def test_the_padded_vocabulary_is_the_next_multiple_of_64() -> None:
    assert [Recipe(vocabulary=n).padded_vocabulary for n in (257, 320, 321, 2048)] == [320, 320, 384, 2048]


def test_an_unknown_size_is_refused_with_the_nearest() -> None:
    with pytest.raises(PhasescopeError, match="Did you mean 160m"):
        find_shape("16m0")


def test_every_shape_has_whole_heads_and_a_name_that_sorts_by_its_size() -> None:
    for name, shape in SHAPES.items():
        assert name == shape.name
        assert shape.d_model % shape.heads == 0
        assert size_order(name)[0] < math.inf


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_no_architecture_draws_random_numbers_while_training(architecture: str) -> None:
    from phasescope.suites.training import new_model

    model = new_model(SHAPES["150k"], Recipe(architecture=architecture, context=16, vocabulary=300), seed=0)
    assert not [name for name, module in model.named_modules() if getattr(module, "p", 0) > 0]
