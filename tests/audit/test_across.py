"""Equal weights between models that differ in their data: a shared beginning, one training under two names, copies."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from phasescope.audit.across import other_beginnings
from phasescope.audit.repeated import equal_weights
from phasescope.store import ShardKey

Held = Mapping[tuple[str, int, int], str]


def keys(held: Held) -> dict[ShardKey, str]:
    return {ShardKey(*key): digest for key, digest in held.items()}


def recipes(**begin: str) -> dict[tuple[str, int, int], str]:
    """Each a training of three steps, whose first weights are told."""
    return {
        (f"1B-{name}", 0, step): first if step == 0 else f"{name} {step}"
        for name, first in begin.items()
        for step in (0, 1250, 2500)
    }


@pytest.mark.parametrize(
    ("held", "certainty", "sentence"),
    [
        (
            recipes(c4="a", falcon="a"),
            "legitimate",
            "1B-c4 and 1B-falcon hold the same weights at step 0, as models that",
        ),
        (
            recipes(**{f"r{number}": "a" for number in range(9)}),
            "legitimate",
            "1B-r0, 1B-r1, 1B-r2, 1B-r3, 1B-r4, 1B-r5, … (9 in all) hold the same weights at step 0, as models",
        ),
        (
            {(size, 0, step): str(step) for size in ("14m", "14m-old") for step in (0, 512, 1000)},
            "legitimate",
            "14m and 14m-old hold the same weights at steps 512 and 1000, as one training under several names",
        ),
        (
            {**recipes(c4="a", falcon="a"), ("1B-c4", 0, 2500): "x", ("1B-falcon", 0, 2500): "x"},
            "certain",
            "The same weights are held by 1B-c4 at step 2500 and 1B-falcon at step 2500.",
        ),
        (
            {**recipes(c4="a", falcon="b"), ("1B-c4", 0, 0): "x", ("1B-falcon", 0, 2500): "x"},
            "certain",
            "The same weights are held by 1B-c4 at step 0 and 1B-falcon at step 2500.",
        ),
    ],
)
def test_models_that_are_equal(held: Held, certainty: str, sentence: str) -> None:
    found = [one for one in equal_weights(keys(held)) if one.sentence.startswith(sentence)]
    assert [one.certainty for one in found] == [certainty]
    assert bool(found[0].suspects) == (certainty == "certain")
    assert not [one for one in equal_weights(keys(held)) if one.is_suspect and one not in found]


def test_those_that_begin_with_other_weights_than_most() -> None:
    """As six runs of DataDecide 1B: of each seed apart, and of each number of parameters."""
    held = recipes(a="x", b="x", c="x", d="y", e="y")
    held |= {("1B-a", 2, 0): "z", ("1B-b", 2, 0): "z", ("4M-a", 0, 0): "v", ("4M-b", 0, 0): "w"}
    (one,) = other_beginnings(keys(held))
    assert (one.certainty, one.evidence, one.suspects) == ("note", "3 of 5 are equal at step 0", ())
    assert one.sentence == (
        "1B-d and 1B-e begin seed 0 with other weights than the 3 others of as many parameters, which share theirs."
    )


@pytest.mark.parametrize(
    "begin", [{"a": "x", "b": "x"}, {"a": "x", "b": "y", "c": "z"}, {"a": "x", "b": "x", "c": "x"}]
)
def test_nothing_is_said_where_there_is_no_usual_beginning(begin: dict[str, str]) -> None:
    assert list(other_beginnings(keys(recipes(**begin)))) == []
