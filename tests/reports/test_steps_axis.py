from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasescope.reports.kit import steps_axis

STEPS = st.lists(st.integers(0, 10**7), min_size=1, max_size=200, unique=True)
PYTHIA = [0, *(2**power for power in range(10)), *range(1000, 143_001, 1000)]


@given(STEPS)
def test_positions_keep_the_order_of_steps(steps: list[int]) -> None:
    ordered = sorted(steps)
    places = [steps_axis.position(step) for step in ordered]
    assert places == sorted(places)
    assert all(math.isfinite(place) for place in places)


def test_step_0_has_a_place_left_of_step_1() -> None:
    assert steps_axis.position(0) == 0
    assert steps_axis.position(1) == 1


def test_a_negative_step_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        steps_axis.position(-1)


@given(STEPS, st.integers(2, 80))
def test_thinning_keeps_the_ends_and_invents_nothing(steps: list[int], at_most: int) -> None:
    kept = steps_axis.thin(steps, at_most)
    assert set(kept) <= set(steps)
    assert kept == sorted(kept)
    assert (kept[0], kept[-1]) == (min(steps), max(steps))
    assert len(kept) <= at_most
    if len(steps) <= at_most:
        assert kept == sorted(steps)


def test_thinning_leaves_out_what_falls_on_the_same_pixels_only() -> None:
    kept = steps_axis.thin(PYTHIA)
    assert kept[:11] == PYTHIA[:11]  # the early steps lie apart
    assert 30 < len(kept) <= 60


@given(STEPS, st.integers(2, 14))
def test_ticks_never_crowd(steps: list[int], at_most: int) -> None:
    chosen = steps_axis.ticks(steps, at_most)
    assert set(chosen) <= set(steps)
    assert {min(steps), max(steps)} == {chosen[0], chosen[-1]}
    span = steps_axis.position(max(steps)) - steps_axis.position(min(steps))
    places = [steps_axis.position(step) for step in chosen]
    gaps = [after - before for before, after in pairwise(places)]
    assert all(gap >= span / (at_most - 1) - 1e-9 for gap in gaps)


def test_late_steps_that_lie_close_together_are_told_apart() -> None:
    steps = list(range(9_000_000, 9_000_200))
    assert steps_axis.thin(steps, 60)[0] == steps[0]
    assert len(steps_axis.thin(steps, 60)) == 60
    assert len(steps_axis.ticks(steps, 8)) > 5


def test_ticks_prefer_round_steps() -> None:
    assert all(step & (step - 1) == 0 or str(step).rstrip("0") in {"1", "2", "3", "5", "143"} or step == 35000
               for step in steps_axis.ticks(PYTHIA))  # fmt: skip


def test_the_axis_labels_real_steps_at_their_places() -> None:
    axis = steps_axis.axis([0, 1, 512, 1000, 143_000])
    labelled = dict(zip(axis["ticktext"], axis["tickvals"], strict=True))
    assert labelled["0"] == 0
    assert labelled["143k"] == steps_axis.position(143_000)
    assert axis["range"][0] < 0 < axis["range"][1]


def test_never_stands_to_the_right_of_the_last_step_and_inside_the_range() -> None:
    axis = steps_axis.axis([0, 1, 1000], never=True)
    assert axis["ticktext"][-1] == "never"
    assert steps_axis.position(1000) < axis["tickvals"][-1] < axis["range"][1]


def test_a_single_step_still_has_an_axis_of_some_width() -> None:
    low, high = steps_axis.axis([512])["range"]
    assert low < steps_axis.position(512) < high


def test_ticks_of_other_logarithmic_axes_do_not_collide() -> None:
    assert steps_axis.log_ticks(3, 400)["ticktext"] == ["5", "10", "20", "50", "100", "200"]
    assert steps_axis.log_ticks(0.5, 5000)["ticktext"] == ["1", "10", "100", "1000"]
    assert len(steps_axis.log_ticks(1, 1e12)["tickvals"]) == 7
    assert "tickvals" not in steps_axis.log_ticks(3, 4)  # none of them lies between
