from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasescope.errors import PhasescopeError
from phasescope.suites.presets import PRESETS
from phasescope.suites.selection import StepSelection, select_steps

PYTHIA = PRESETS["pythia"].steps


@pytest.mark.parametrize(
    ("text", "there", "chosen"),
    [
        ("all", [4, 0, 2], (0, 2, 4)),
        ("last", [0, 1, 512], (512,)),
        ("log", [0, 1, 2, 4, 8, 10], (0, 1, 2, 4, 8, 10)),
        ("log", range(0, 101, 10), (0, 10, 20, 30, 60, 100)),
        ("log", [7], (7,)),
        ("every:4", range(11), (0, 4, 8, 10)),
        ("every:10000", [0, 1, 512], (0, 512)),
        ("0,1,2,512", [0, 1, 2, 4, 512, 1000], (0, 1, 2, 512)),
        (" 512 , 0 ", [0, 512], (0, 512)),
        ("0,last,every:4", range(11), (0, 4, 8, 10)),
        ("LAST", [3, 9], (9,)),
        ([512, 0], [0, 1, 512], (0, 512)),
        ([0, "last"], [0, 1, 512], (0, 512)),
        (1, [0, 1, 512], (1,)),
    ],
)
def test_a_choice_picks_these_steps(text: str, there: list[int], chosen: tuple[int, ...]) -> None:
    assert select_steps(text, there) == chosen


def test_log_of_pythia_is_zero_the_powers_of_two_as_near_as_there_are_and_the_end() -> None:
    powers = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
    near = (1000, 2000, 4000, 8000, 16000, 33000, 66000, 131000)
    assert select_steps("log", PYTHIA) == (0, *powers, *near, 143000)


def test_every_ten_thousand_of_pythia() -> None:
    assert select_steps("every:10000", PYTHIA) == (*range(0, 140_001, 10_000), 143_000)


@given(st.sets(st.integers(0, 200_000), min_size=1), st.sampled_from(["all", "log", "last", "every:1000"]))
def test_every_rule_picks_existing_steps_in_order_with_the_last(there: set[int], rule: str) -> None:
    chosen = select_steps(rule, there)
    assert set(chosen) <= there
    assert list(chosen) == sorted(chosen)
    assert chosen[-1] == max(there)


def test_an_unknown_step_offers_the_nearest() -> None:
    with pytest.raises(PhasescopeError, match=r"no step 500 in .*The nearest is 512"):
        select_steps("0,500", [0, 256, 512])


@pytest.mark.parametrize("text", ["lgo", "every:0", "every:x", "1.5", "", "0,,2", "step512"])
def test_what_is_no_choice_is_quoted(text: str) -> None:
    with pytest.raises(PhasescopeError, match=r"is not a choice of steps.*There are: all, log, last, every:N"):
        StepSelection.parse(text)


def test_a_typo_offers_the_nearest_word() -> None:
    with pytest.raises(PhasescopeError, match=r"'lst' is not .*Did you mean last\?"):
        StepSelection.parse("lst")


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(PhasescopeError, match="choice of steps is empty"):
        StepSelection.parse([])


def test_a_selection_of_nothing_is_nothing() -> None:
    assert StepSelection.parse("log,last").among([]) == ()
