"""The text's end is held out, and nothing of it is lost, repeated or trained on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasescope.suites.corpus import Text
from phasescope.suites.recipe import Recipe

LETTERS = st.text("ab \n", min_size=1, max_size=60).filter(str.strip)


@given(documents=st.lists(LETTERS, min_size=1, max_size=30), held_out=st.floats(0.01, 0.9))
def test_both_parts_together_are_the_text_in_its_order(documents: list[str], held_out: float) -> None:
    text = Text.read(documents, Recipe(held_out=held_out))
    assert "".join(text.training) + "".join(text.held_out) == "".join(documents)
    assert len("".join(text.held_out)) >= max(1, round(held_out * len("".join(documents))))


def test_short_documents_are_held_out_whole() -> None:
    documents = [f"document {number} " for number in range(100)]
    text = Text.read(documents, Recipe(held_out=0.1))
    assert text.training + text.held_out == tuple(documents)
    assert len(text.held_out) == 10


def test_one_long_document_is_cut_at_a_lines_end() -> None:
    line = "words in a line of a long document\n"
    text = Text.read([line * 1000], Recipe(held_out=0.1))
    assert text.training == (line * (1000 - len(text.held_out[0]) // len(line)),)
    assert len(text.held_out[0]) == 100 * len(line)


def test_a_long_document_before_the_last_is_cut_too() -> None:
    text = Text.read(["word " * 10_000, "the end"], Recipe(held_out=0.1))
    assert len(text.training) == 1
    assert text.held_out[-1] == "the end"
    assert text.held_out[0] == "word " * (len(text.held_out[0]) // 5)


def test_text_without_a_space_is_cut_anyway() -> None:
    text = Text.read(["x" * 10_000], Recipe(held_out=0.1))
    assert [len(part[0]) for part in (text.training, text.held_out)] == [9000, 1000]


def test_documents_without_a_word_are_dropped() -> None:
    assert Text.read(["", "a b", " \n"], Recipe(held_out=0.5)).digest == Text.read(["a b"], Recipe(held_out=0.5)).digest


@pytest.mark.parametrize("other", [["ab", "c", "d" * 50], ["a", "bc" + "d" * 50], ["a", "bc", "d" * 49 + "e"]])
def test_the_digest_tells_texts_and_their_borders_apart(other: list[str]) -> None:
    recipe = Recipe(held_out=0.5)
    assert Text.read(other, recipe).digest != Text.read(["a", "bc", "d" * 50], recipe).digest
