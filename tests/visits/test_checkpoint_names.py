"""Sizes, seeds and steps out of names."""

from __future__ import annotations

import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import ShardKey
from phasescope.visits.importing.checkpoint_names import CheckpointNames, Told
from phasescope.visits.importing.model_names import models_of_run

KEYS = [ShardKey(size, seed, step) for size in ("70m", "160m") for seed in (1, 3) for step in (0, 512)]
TOY = [ShardKey("tiny-a", 0, 4)]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("EleutherAI/pythia-160m", Told("160m")),
        ("EleutherAI/pythia-v1.1-160m-deduped", Told("160m")),
        ("pythia-160m-seed3", Told("160m", 3)),
        ("160m_step512.json", Told("160m", None, 512)),
        ("step1000-tokens4B", Told(None, None, 1000)),
        ("/runs/nursery/70m/seed2/checkpoint-64", Told("70m", 2, 64)),
        ("Pythia-160M_seed-1_step_8", Told("160m", 1, 8)),
        ("pythia-1.4b", Told("1.4b")),
        ("results_2024-07-02T10-11-12.345678.json", Told()),
        ("footstep9 unseed7", Told()),
    ],
)
def test_names_tell(name: str, told: Told) -> None:
    assert CheckpointNames(KEYS).read(name) == told


def test_sizes_that_are_words_are_those_of_the_run() -> None:
    assert CheckpointNames(TOY).read("my-tiny-a-model/step4") == Told("tiny-a", None, 4)


def test_the_first_name_that_tells_it_counts() -> None:
    assert CheckpointNames(KEYS).read("step512", "pythia-70m", "160m_step0") == Told("70m", None, 512)


def test_a_pattern_tells_the_step_and_more() -> None:
    names = CheckpointNames(KEYS, step_pattern=r"n(?P<size>\d+m)-r(?P<seed>\d)-(?P<step>\d+)k")
    assert names.read("n70m-r3-512k") == Told("70m", 3, 512)
    assert names.read("step512") == Told()
    # Where the pattern has no such group, the usual way.
    assert CheckpointNames(KEYS, step_pattern=r"-(?P<step>\d+)k").read("70m-seed1-9k") == Told("70m", 1, 9)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (Told("160m", 1, 512), ShardKey("160m", 1, 512)),
        (Told("160m", None, 512), "its seed is not told, and the run has several: give --seed"),
        (Told(None, 1, 512), "its size is not told: give --size"),
        (Told("410m", 1, 512), "no such size in the run"),
        (Told("70m", 2, 512), "no such seed in the run"),
        (Told("70m", 1, 511), "no such step in the run"),
        (Told("70m", 1), "its step is not told: give --step or --step-pattern"),
    ],
)
def test_matching(told: Told, found: object) -> None:
    assert CheckpointNames(KEYS).match(told) == found


def test_what_is_not_told_may_be_the_only_one() -> None:
    assert CheckpointNames(TOY).match(Told(step=4)) == TOY[0]


def test_options_go_before_names() -> None:
    assert CheckpointNames(KEYS, size="70m", seed=3).read("pythia-160m-seed1", "step0") == Told("70m", 3, 0)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(PhasescopeError, match=r"no size '16m'. Did you mean 160m"):
        CheckpointNames(KEYS, size="16m")
    with pytest.raises(PhasescopeError, match=r"no seed 2"):
        CheckpointNames(KEYS, seed=2)
    with pytest.raises(PhasescopeError, match=r"is no regular expression"):
        CheckpointNames(KEYS, step_pattern="(?P<step")
    with pytest.raises(PhasescopeError, match=r"has no group that is the step"):
        CheckpointNames(KEYS, step_pattern=r"(\d+)")
    with pytest.raises(PhasescopeError, match=r"'x9' is not a whole number"):
        CheckpointNames(KEYS, step_pattern=r"(?P<step>x\d)").read("x9")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("EleutherAI/pythia-160m", "pythia"),
        ("EleutherAI/pythia-v1.1-160m", "pythia"),  # so EleutherAI's own results call it
        ("EleutherAI/pythia-160m-v0", "pythia-v0"),
        ("EleutherAI/pythia-160m-deduped", "pythia-deduped"),
        ("EleutherAI/pythia-v1.1-160m-0.5MtokBS", "pythia-0.5mtokbs"),
        ("EleutherAI/intervention-pythia-v1.1-70m-deduped-long", "intervention-pythia-deduped-long"),
        ("pythia-160m-seed3", "pythia"),
        ("160m_step512.json", ""),
        ("160m-deduped-5shot_step103000.json", "deduped"),
        ("baseline-160m-deduped_step116000.json", "baseline-deduped"),
        ("intervention-70m-deduped-step67000_eval_results_01-21-2023-20-16-29.json", "intervention-deduped"),
        ("results_160m_2024-07-02T10-11-12.345678.json", ""),
        ("EleutherAI__pythia-160m", "pythia"),
        ("step1000-tokens4B", ""),
        ("/data/pythia-160m-deduped/step512", "pythia-deduped"),
        ("llama-2-160m", "llama-2"),
        ("160m_step8_0.25.json", ""),
    ],
)
def test_what_names_say_beside_size_seed_and_step(name: str, model: str) -> None:
    assert CheckpointNames(KEYS).model(name) == model


@pytest.mark.parametrize(
    ("source", "models"),
    [
        ("pythia", {"pythia"}),
        ("pythia-deduped", {"pythia-deduped"}),
        ("polypythia", {"pythia"}),
        ("polypythia-data", {"pythia-data"}),
        ("multiberts", {"multiberts"}),
        ("EleutherAI/pythia-160m-deduped", {"pythia-deduped"}),
        ("EleutherAI/pythia-{size}-seed{seed}", {"pythia"}),
        ("EleutherAI/pythia-160m@step(?P<step>\\d+)$", {"pythia"}),
        ("/runs/nursery", None),
        ("/runs/pythia-160m-deduped", {"pythia-deduped"}),
    ],
)
def test_what_the_models_of_a_run_are_called(source: str, models: set[str] | None) -> None:
    assert models_of_run(source, ["160m"]) == models


def test_names_of_repositories_that_tell_seeds_are_those_of_the_preset() -> None:
    assert "alias-gpt2-x21" in (models_of_run("gpt2-stanford", ["small"]) or set())


def test_in_words() -> None:
    assert str(Told("160m", 3, 512)) == "160m, seed 3, step 512"
    assert str(Told()) == "a model that is not named"
