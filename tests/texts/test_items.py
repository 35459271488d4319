from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts import Framing, Items, Scores, join


def make(**changes: Any) -> Items:
    values: dict[str, Any] = {
        "kind": "minimal_pairs",
        "name": "anaphor_number_agreement",
        "tokens": np.array([0, 5, 6, 7, 0, 5, 9], dtype=np.int32),
        "lengths": np.array([4, 3]),
        "first": np.array([1, 2]),
        "last": np.array([4, 3]),
        "columns": {"pair": [0, 0], "role": ["good", "böse"], "weight": [0.5, 1.0]},
        "source": "pairs.jsonl",
    }
    return Items(**{**values, **changes})


@pytest.mark.parametrize("changes", [{}, {"framing": Framing(0, 1, 2)}, {"columns": {}}])
def test_what_is_saved_is_loaded(tmp_path: Path, changes: dict[str, Any]) -> None:
    items = make(**changes)
    items.save(tmp_path / "items.h5")
    loaded = Items.load(tmp_path / "items.h5")
    for name in ("tokens", "lengths", "first", "last"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(items, name))
        assert getattr(loaded, name).dtype == getattr(items, name).dtype
    for name in ("kind", "name", "columns", "source", "framing", "hash"):
        assert getattr(loaded, name) == getattr(items, name)
    assert not items.differences(loaded)


def test_spans_and_sums() -> None:
    items = make()
    assert items.items == 2
    assert items.sequence(1).tolist() == [0, 5, 9]
    assert items.scored.tolist() == [3, 1]
    assert items.scored_starts.tolist() == [0, 3]
    assert items.sums(np.array([-1, -2, -4, -8], dtype=np.float32)).tolist() == [-7, -8]
    with pytest.raises(ValueError, match=r"\[4\]"):
        items.sums(np.zeros(3, dtype=np.float32))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": np.array([4, 4])}, "add up to 8"),
        ({"first": np.array([0, 2])}, "item 0 of 4 tokens cannot be scored from 0 to 4"),
        ({"last": np.array([4, 2])}, "item 1 of 3 tokens cannot be scored from 2 to 2"),
        ({"last": np.array([5, 3])}, "item 0 of 4 tokens cannot be scored from 1 to 5"),
        ({"last": np.array([4])}, r"must be \[items\]"),
        ({"tokens": np.zeros(0), "lengths": np.zeros(0), "first": np.zeros(0), "last": np.zeros(0)}, "at least one"),
        ({"columns": {"pair": [0]}}, "1 values of pair for 2 items"),
        ({"name": "../elsewhere"}, "no part of a path"),
        ({"kind": ""}, "no part of a path"),
        ({"columns": {"a/b": [0, 0]}}, "no part of a path"),
    ],
)
def test_what_does_not_belong_together(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"tokens": np.array([0, 5, 6, 7, 0, 5, 8])}, "from item 1 on"),
        ({"first": np.array([2, 2])}, "which tokens are scored"),
        ({"lengths": np.array([3, 4]), "last": np.array([3, 3])}, "from item 0 on"),
    ],
)
def test_the_hash_tells_what_the_scores_depend_on(changes: dict[str, Any], difference: str) -> None:
    other = make(**changes)
    assert other.hash != make().hash
    assert difference in make().differences(other)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [({"columns": {"pair": [0, 1]}}, "columns"), ({"source": "other.jsonl"}, ""), ({"framing": None}, "")],
)
def test_the_hash_does_not_depend_on_anything_else(changes: dict[str, Any], difference: str) -> None:
    other = make(**changes)
    assert other.hash == make().hash
    assert difference in make().differences(other)
    assert bool(make().differences(other)) == bool(difference)


def test_values_of_columns_that_differ_are_named() -> None:
    other = make(columns={"pair": [0, 0], "role": ["bad", "good"], "weight": [0.5, 1.0]})
    assert make().differences(other) == "different values of role"


def test_framing_matters() -> None:
    assert make(framing=Framing(0, 1, 2)).hash != make().hash


def test_joined_sequences() -> None:
    items = join("noise", "swaps", [np.array([0, 7, 8]), np.array([0, 9])], [(1, 3), (1, 2)], {"rate": [0.1, 0.2]}, "x")
    assert items.tokens.dtype == np.int32
    assert items.sequence(0).tolist() == [0, 7, 8]
    with pytest.raises(ValueError, match="at least one"):
        join("noise", "swaps", [], [], {}, "x")


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "items.h5"
    make().save(path)
    with h5py.File(path, "r+") as file:
        file["tokens"][0] = 7
    with pytest.raises(PhasescopeError, match=r"items\.h5 have changed"):
        Items.load(path)


def test_scores_survive(tmp_path: Path) -> None:
    items = make()
    scores = Scores(np.array([-1.5, -np.inf, -2, 0], dtype=np.float32), np.array([1, 0], dtype=np.uint8))
    scores.save(tmp_path / "step00000001.h5", {"size": "1m", "seed": 0, "step": 1, "items": items.hash})
    loaded = Scores.load(tmp_path / "step00000001.h5", items)
    np.testing.assert_array_equal(loaded.log_prob, scores.log_prob)
    np.testing.assert_array_equal(loaded.greedy, scores.greedy)
    with pytest.raises(PhasescopeError, match="not a phasescope scores file"):
        items.save(tmp_path / "items.h5")
        Scores.load(tmp_path / "items.h5", items)
    with pytest.raises(PhasescopeError, match="scores of other items"):
        Scores.load(tmp_path / "step00000001.h5", make(framing=Framing(0, 1, 2)))
