from __future__ import annotations

import pickle
from dataclasses import replace
from itertools import product

import pytest

from phasescope.errors import PhasescopeError
from phasescope.suites import Checkpoint, Suite
from phasescope.suites.suite import size_order


def checkpoint(size: str, seed: int, step: int) -> Checkpoint:
    return Checkpoint("toy", size, seed, step, f"/toy/{size}/seed{seed}/step{step}")


@pytest.fixture
def suite() -> Suite:
    """Two sizes with different seeds and ends; 70m/seed2 lacks step 512."""
    small = [checkpoint("14m", seed, step) for seed, step in product((1, 2, 3), (0, 1, 2, 512))]
    small[4] = replace(small[4], seed_name="default")
    large = [checkpoint("70m", seed, step) for seed, step in product((1, 2), (0, 512, 1000))]
    large = [one for one in large if (one.seed, one.step) != (2, 512)]
    return Suite("toy", "/toy", tuple(reversed(small + large)))


def test_a_checkpoint_has_a_label_and_a_place() -> None:
    local = checkpoint("14m", 1, 512)
    remote = replace(local, location="tiny/neox", revision="step512")
    assert local.label == "14m/seed1/step512"
    assert (local.is_local, remote.is_local) == (True, False)
    assert (local.place, remote.place) == ("/toy/14m/seed1/step512", "tiny/neox@step512")


def test_checkpoints_come_in_visiting_order_whatever_order_they_were_given_in(suite: Suite) -> None:
    keys = [(one.size, one.step, one.seed) for one in suite]
    assert keys == sorted(keys)
    assert len(suite) == len(keys) == 17


def test_sizes_seeds_and_steps(suite: Suite) -> None:
    assert suite.sizes == ("14m", "70m")
    assert suite.seeds("14m") == suite.seeds() == (1, 2, 3)
    assert suite.seeds("70m") == (1, 2)
    assert suite.steps() == (0, 1, 2, 512, 1000)
    assert suite.steps("70m") == (0, 512, 1000)
    assert suite.steps("70m", 2) == (0, 1000)
    assert suite.steps(seed=3) == (0, 1, 2, 512)


def test_sizes_are_ordered_by_parameters_and_unknown_names_come_last() -> None:
    names = ["tiny", "12b", "pythia-1.4b-deduped", "1b", "160M", "large", "14m", "70m", "900k"]
    expected = ["900k", "14m", "70m", "160M", "1b", "pythia-1.4b-deduped", "12b", "tiny", "large"]
    assert sorted(names, key=size_order) == expected


def test_the_parts_of_a_suite_can_be_selected(suite: Suite) -> None:
    part = suite.select(sizes=["70m"], seeds=[2], steps="all")
    assert [one.label for one in part] == ["70m/seed2/step0", "70m/seed2/step1000"]
    assert len(suite.select()) == len(suite)
    assert suite.select(seeds="default").seeds() == (2,)
    assert suite.select(sizes="14m", seeds=1, steps=512).checkpoints == (checkpoint("14m", 1, 512),)


def test_the_last_step_is_that_of_each_size(suite: Suite) -> None:
    assert {(one.size, one.step) for one in suite.select(steps="last")} == {("14m", 512), ("70m", 1000)}


def test_a_seed_and_step_that_only_one_size_has_select_what_there_is(suite: Suite) -> None:
    assert [one.label for one in suite.select(seeds=[3], steps=[2, 512])] == ["14m/seed3/step2", "14m/seed3/step512"]
    assert {one.size for one in suite.select(steps=[1000])} == {"70m"}


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"sizes": ["71m"]}, r"no size '71m' in /toy\. Did you mean 70m\?"),
        ({"seeds": [9]}, r"no seed 9 in /toy\. The nearest is 3"),
        ({"sizes": ["70m"], "seeds": [3]}, r"no seed 3 in /toy\. The nearest is 2\. There are: 1, 2\."),
        ({"steps": [500]}, r"no step 500 in /toy\. The nearest is 512"),
        ({"sizes": ["14m"], "steps": "1000"}, r"no step 1000 in /toy\. The nearest is 512"),
        ({"steps": "lgo"}, r"'lgo' is not a choice of steps"),
        ({"seeds": ["defualt"]}, r"no seed defualt in /toy\. Did you mean default\?"),
        ({"sizes": []}, r"choice of sizes is empty"),
        ({"seeds": []}, r"choice of seeds is empty"),
    ],
)
def test_what_is_not_there_is_named_with_the_nearest(suite: Suite, choice: dict[str, list[int]], message: str) -> None:
    with pytest.raises(PhasescopeError, match=message):
        suite.select(**choice)


def test_one_checkpoint_can_be_asked_for(suite: Suite) -> None:
    assert suite.checkpoint("70m", 2, 1000) == checkpoint("70m", 2, 1000)
    with pytest.raises(PhasescopeError, match=r"no step 512 of 70m/seed2 in /toy\. The nearest is 1000\."):
        suite.checkpoint("70m", 2, 512)
    with pytest.raises(PhasescopeError, match=r"no seed 4 of 70m"):
        suite.checkpoint("70m", 4, 512)


def test_cohorts_are_the_seeds_of_one_size_and_step(suite: Suite) -> None:
    cohorts = suite.cohorts()
    assert [(size, step) for size, step, _ in cohorts] == [
        *(("14m", step) for step in (0, 1, 2, 512)),
        *(("70m", step) for step in (0, 512, 1000)),
    ]
    seeds = {(size, step): [one.seed for one in members] for size, step, members in cohorts}
    assert seeds["14m", 512] == [1, 2, 3]
    assert seeds["70m", 512] == [1]
    assert sum(len(members) for _, _, members in cohorts) == len(suite)


def test_a_step_that_one_seed_lacks_is_told(suite: Suite) -> None:
    assert suite.missing() == {("70m", 2): (512,)}
    assert suite.select(sizes=["14m"]).missing() == {}
    assert "(1 missing)" in repr(suite)


def test_the_same_checkpoint_twice_is_refused() -> None:
    one = checkpoint("14m", 1, 512)
    with pytest.raises(PhasescopeError, match=r"both 14m/seed1/step512: /toy.*and /elsewhere"):
        Suite("toy", "/toy", (one, replace(one, location="/elsewhere")))


def test_a_suite_is_the_same_after_pickling(suite: Suite) -> None:
    assert pickle.loads(pickle.dumps(suite)) == suite
    assert pickle.loads(pickle.dumps(suite.checkpoints[3])) == suite.checkpoints[3]


def test_its_repr_counts(suite: Suite) -> None:
    assert repr(suite) == "Suite(toy: 2 sizes × 3 seeds × 5 steps = 17 checkpoints (1 missing), from /toy)"
    assert repr(suite.select("14m", 1, 0)) == "Suite(toy: 1 size × 1 seed × 1 step = 1 checkpoint, from /toy)"
