from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from phasescope.errors import PhasescopeError
from phasescope.measures import settling_step


@pytest.mark.parametrize(
    ("cka", "step"),
    [
        ([0.1, 0.5, 0.9, 1.0], 4),
        ([0.95, 0.95, 0.95, 1.0], 0),
        ([0.95, 0.5, 0.95, 1.0], 4),  # settled once, then left
        ([0.1, 0.5, 0.8, 1.0], 8),
        ([0.95, 0.95, 0.95, 0.8], math.nan),
        ([0.95, math.nan, 0.95, 1.0], 4),  # not known is not settled
        ([0.95, 0.95, 0.95, math.nan], math.nan),
    ],
)
def test_first_step_from_which_cka_stays(cka: list[float], step: float) -> None:
    found = settling_step(torch.tensor([0, 2, 4, 8]), torch.tensor(cka, dtype=torch.float64), tau=0.9)
    assert found.dtype == torch.float64
    assert float(found) == pytest.approx(step, nan_ok=True)


def test_tau_itself_is_enough() -> None:
    assert float(settling_step(torch.tensor([1, 2]), torch.tensor([0.5, 0.5], dtype=torch.float64), tau=0.5)) == 1


@given(st.lists(st.floats(0, 1) | st.just(math.nan), min_size=1, max_size=9), st.floats(0.01, 0.99))
def test_equals_the_definition(cka: list[float], tau: float) -> None:
    steps = [3 * i for i in range(len(cka))]
    wanted = next((step for i, step in enumerate(steps) if all(value >= tau for value in cka[i:])), math.nan)
    found = settling_step(torch.tensor(steps), torch.tensor(cka, dtype=torch.float64), tau)
    assert float(found) == pytest.approx(wanted, nan_ok=True)


def test_leading_dimensions_are_layers_or_resamples() -> None:
    cka = torch.tensor([[[0.1, 0.9], [0.9, 0.9]], [[0.9, 0.1], [0.95, 1.0]]])
    assert settling_step([10, 20], cka, tau=0.85).nan_to_num(nan=-1).tolist() == [[20, 10], [-1, 10]]


def test_no_checkpoints_never_settle() -> None:
    assert settling_step(torch.zeros(0), torch.zeros(3, 0), tau=0.9).isnan().all()


@pytest.mark.parametrize("tau", [0.0, 1.0, -0.1, 90.0, math.nan])
def test_tau_outside_its_range_is_a_users_error(tau: float) -> None:
    with pytest.raises(PhasescopeError, match=r"between 0 and 1.*0\.9"):
        settling_step(torch.tensor([1]), torch.tensor([1.0]), tau)


def test_wrong_shapes_and_orders_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[3\] and \[2\]"):
        settling_step(torch.tensor([1, 2, 3]), torch.ones(2), 0.9)
    for steps in ([1, 1, 2], [2, 1, 3]):
        with pytest.raises(ValueError, match="ascend"):
            settling_step(torch.tensor(steps), torch.ones(3), 0.9)
