from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasescope.errors import PhasescopeError
from phasescope.texts import Inputs


def make(**changes: Any) -> Inputs:
    values: dict[str, Any] = {
        "tokens": np.arange(12, dtype=np.int32).reshape(3, 4),
        "positions": np.full((3, 1), 3, dtype=np.int32),
        "word_ids": np.array([[0, 0, 1, -1]] * 3, dtype=np.int32),
        "words": ["naïve", "😀x"],
        "tags": ["ADJ", ""],
        "counts": np.ones(20, dtype=np.int64),
        "counts_source": "the training text",
        "output_sequences": 2,
        "vocabulary": 20,
        "source": "texts/é.txt",
        "seed": 0,
    }
    return Inputs(**{**values, **changes})


def assert_same(one: Inputs, other: Inputs) -> None:
    for field in dataclasses.fields(Inputs):
        first, second = getattr(one, field.name), getattr(other, field.name)
        if isinstance(first, np.ndarray):
            assert first.dtype == second.dtype
            np.testing.assert_array_equal(first, second)
        else:
            assert first == second


@pytest.mark.parametrize("changes", [{}, {"tags": None}, {"words": [], "tags": None}, {"words": [], "tags": []}])
def test_what_is_saved_is_loaded(tmp_path: Path, changes: dict[str, Any]) -> None:
    inputs = make(**changes)
    inputs.save(tmp_path / "inputs.h5")
    assert_same(Inputs.load(tmp_path / "inputs.h5"), inputs)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1), max_size=5))
def test_any_words_survive(tmp_path_factory: pytest.TempPathFactory, words: list[str]) -> None:
    path = tmp_path_factory.mktemp("inputs") / "inputs.h5"
    inputs = make(words=words, tags=["X"] * len(words))
    inputs.save(path)
    assert Inputs.load(path).words == words


def test_sizes() -> None:
    inputs = make()
    assert (inputs.sequences, inputs.context, inputs.sampled) == (3, 4, 3)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokens": np.zeros((3, 4), dtype=np.int32)},
        {"positions": np.full((3, 1), 2, dtype=np.int32)},
        {"word_ids": np.zeros((3, 4), dtype=np.int32)},
        {"words": ["naive", "x"]},
        {"tags": ["ADJ", "SYM"]},
        {"tags": None},
        {"vocabulary": 21},
        {"output_sequences": 1},
    ],
)
def test_the_hash_tells_what_a_capture_depends_on(changes: dict[str, Any]) -> None:
    assert make(**changes).hash != make().hash


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "other"},
        {"counts": np.zeros(20, dtype=np.int64)},
        {"counts_source": "x"},
        {"seed": 1},
        {"tokens": np.asfortranarray(np.arange(12, dtype=np.int64).reshape(3, 4))},
    ],
)
def test_the_hash_does_not_depend_on_anything_else(changes: dict[str, Any]) -> None:
    assert make(**changes).hash == make().hash


def test_words_do_not_run_together_in_the_hash() -> None:
    assert make(words=["ab", "c"]).hash != make(words=["a", "bc"]).hash


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    make().save(tmp_path / "a.h5")
    make().save(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "inputs.h5"
    with pytest.raises(PhasescopeError, match="no file"):
        Inputs.load(path)
    path.write_text("not HDF5")
    with pytest.raises(PhasescopeError, match=r"inputs\.h5"):
        Inputs.load(path)
    with h5py.File(path, "w") as file:
        file.attrs["encoding"] = "shard"
    with pytest.raises(PhasescopeError, match="not a phasescope inputs file"):
        Inputs.load(path)


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    make().save(tmp_path / "inputs.h5")
    with h5py.File(tmp_path / "inputs.h5", "r+") as file:
        file.attrs["schema"] = 99
    with pytest.raises(PhasescopeError, match=r"version 99.*Update phasescope"):
        Inputs.load(tmp_path / "inputs.h5")


def test_changed_bytes_are_noticed(tmp_path: Path) -> None:
    path = tmp_path / "inputs.h5"
    make().save(path)
    with h5py.File(path, "r+") as file:
        file["tokens"][0, 0] = 7
    with pytest.raises(PhasescopeError, match=r"inputs\.h5 have changed"):
        Inputs.load(path)


def test_a_flipped_bit_anywhere_in_the_arrays_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "inputs.h5"
    make().save(path)
    content = bytearray(path.read_bytes())
    place = content.index(np.arange(12, dtype=np.int32).tobytes())
    content[place + 5] ^= 1
    path.write_bytes(content)
    with pytest.raises(PhasescopeError, match=r"inputs\.h5"):
        Inputs.load(path)


def test_arrays_that_do_not_belong_together() -> None:
    with pytest.raises(ValueError, match=r"word_ids \(2, 4\)"):
        make(word_ids=np.zeros((2, 4), dtype=np.int32))
    with pytest.raises(ValueError, match="1 tags for 2 words"):
        make(tags=["X"])
