from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from phasescope.errors import PhasescopeError
from phasescope.texts import Document, Inputs, Word, freeze, freezing, read_documents

DOCUMENTS = [Document(f"the cat {number}, the dog of the day. " * 20) for number in range(12)]


@pytest.fixture(scope="module")
def letters() -> Tokenizer:
    """One token per word of one letter, a to z (ids 0 to 25), and an end of text (26)."""
    vocabulary = {chr(ord("a") + i): i for i in range(26)} | {"</s>": 26}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="a"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def test_documents_are_joined_and_cut_into_windows(letters: Tokenizer) -> None:
    documents = [Document("b c"), Document("d e f"), Document("g h i j")]
    inputs = freeze(documents, letters, sequences=2, context=4)
    # b c </s> d | e f </s> g | h i j is too short
    assert inputs.tokens.tolist() == [[1, 2, 26, 3], [4, 5, 26, 6]]
    assert inputs.word_ids.tolist() == [[0, 1, -1, 2], [3, 4, -1, 5]]
    assert inputs.words == ["b", "c", "d", "e", "f", "g"]
    assert inputs.positions.tolist() == [[3], [3]]
    assert inputs.tags is None
    assert inputs.vocabulary == 27
    assert inputs.counts.tolist() == [0, *[1] * 9, *[0] * 16, 2]
    assert inputs.counts_source == "the text itself"


def test_without_an_end_of_text_documents_follow_one_another() -> None:
    tokenizer = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    inputs = freeze([Document("a"), Document("b")], tokenizer, sequences=1, context=2)
    assert inputs.tokens.tolist() == [[0, 1]]


def test_documents_without_tokens_leave_no_trace(letters: Tokenizer) -> None:
    documents = [Document(" "), Document("b"), Document("\n"), Document("c")]
    assert freeze(documents, letters, sequences=1, context=3).tokens.tolist() == [[1, 26, 2]]


def test_tags_go_with_their_words(letters: Tokenizer) -> None:
    document = Document("b c d", (Word(0, 1, "NOUN"), Word(2, 3), Word(4, 5, "VERB")))
    inputs = freeze([document, Document("e f g h")], letters, sequences=2, context=4)
    assert inputs.words == ["b", "c", "d", "e", "f", "g", "h"]
    assert inputs.tags == ["NOUN", "", "VERB", "", "", "", ""]


@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(2, 20))
@settings(max_examples=30, deadline=None)
def test_chosen_windows_are_windows_of_the_text_in_its_order(
    letters: Tokenizer, seed: int, sequences: int, context: int
) -> None:
    generator = np.random.default_rng(seed)
    documents = [
        Document(
            " ".join(chr(ord("a") + letter) for letter in generator.integers(0, 26, size=generator.integers(1, 30)))
        )
        for _ in range(20)
    ]
    whole = " </s> ".join(document.text for document in documents).split()
    stream = [26 if token == "</s>" else ord(token) - ord("a") for token in whole]
    windows = [stream[start : start + context] for start in range(0, len(stream) - context + 1, context)]
    if len(windows) < sequences:
        return
    inputs = freeze(documents, letters, sequences=sequences, context=context, seed=seed)
    remaining = iter(windows)
    assert all(window in remaining for window in inputs.tokens.tolist())  # a subsequence of the windows
    for tokens, words in zip(inputs.tokens.tolist(), inputs.word_ids.tolist(), strict=True):
        for token, word in zip(tokens, words, strict=True):
            assert (word == -1) == (token == 26)
            if word >= 0:
                assert inputs.words[word] == chr(ord("a") + token)
    assert sorted(set(inputs.word_ids[inputs.word_ids >= 0].tolist())) == list(range(len(inputs.words)))


def test_windows_are_chosen_over_the_whole_text(letters: Tokenizer) -> None:
    document = Document(" ".join("abcdefghijklmnopqrstuvwxyz" * 40))
    inputs = freeze([document], letters, sequences=26, context=10)
    chosen = [tuple(row) for row in inputs.tokens.tolist()]
    assert len(set(chosen)) > 10
    assert freeze([document], letters, sequences=26, context=10).hash == inputs.hash
    assert freeze([document], letters, sequences=26, context=10, seed=1).hash != inputs.hash


class TestPositions:
    def freeze(self, tokenizer: Tokenizer, **how: Any) -> Inputs:
        return freeze(DOCUMENTS, tokenizer, **{"sequences": 8, "context": 16, **how})

    def test_all(self, bytes_tokenizer: Tokenizer) -> None:
        inputs = self.freeze(bytes_tokenizer, positions="all")
        assert inputs.positions.tolist() == [list(range(16))] * 8
        assert inputs.sampled == 128

    @given(st.integers(1, 16), st.integers(0, 2**40))
    @settings(max_examples=30, deadline=None)
    def test_random_ones_are_distinct_and_sorted(self, bytes_tokenizer: Tokenizer, k: int, seed: int) -> None:
        positions = self.freeze(bytes_tokenizer, positions=k, seed=seed).positions
        assert positions.shape == (8, k)
        assert positions.min() >= 0
        assert positions.max() < 16
        assert (np.diff(positions, axis=1) > 0).all()

    def test_every_position_is_taken_equally_often(self, bytes_tokenizer: Tokenizer) -> None:
        counts = sum(
            np.bincount(self.freeze(bytes_tokenizer, positions=4, seed=seed).positions.ravel(), minlength=16)
            for seed in range(40)
        )
        # 8 × 4 × 40 / 16 = 80 expected; the standard deviation is about 8 (hypergeometric): five of them.
        assert np.abs(counts - 80).max() < 40

    def test_sequences_have_positions_of_their_own(self, bytes_tokenizer: Tokenizer) -> None:
        assert len({tuple(row) for row in self.freeze(bytes_tokenizer, positions=4).positions.tolist()}) > 1

    def test_a_number_written_as_text(self, bytes_tokenizer: Tokenizer) -> None:
        number = self.freeze(bytes_tokenizer, positions=4)
        assert self.freeze(bytes_tokenizer, positions="4").hash == number.hash

    @pytest.mark.parametrize(
        ("positions", "said"),
        [
            (17, "17 positions cannot be sampled in sequences of 16 tokens"),
            (0, "0 positions"),
            ("lst", "Did you mean last"),
            ("-3", "There are no positions '-3'"),
        ],
    )
    def test_what_cannot_be(self, bytes_tokenizer: Tokenizer, positions: str | int, said: str) -> None:
        with pytest.raises(PhasescopeError, match=said):
            self.freeze(bytes_tokenizer, positions=positions)


def test_too_little_text_says_how_much_there_is(letters: Tokenizer) -> None:
    document = Document(" ".join("abcdefghij"))
    with pytest.raises(PhasescopeError, match=r"its 10 tokens make 3 sequences of 3, and 4 are wanted.*--sequences 3"):
        freeze([document], letters, sequences=4, context=3)
    with pytest.raises(PhasescopeError, match=r"make 0 sequences of 16.*shorter ones \(--context\)"):
        freeze([document], letters, sequences=4, context=16)
    with pytest.raises(PhasescopeError, match="its 0 tokens"):
        freeze([], letters)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"sequences": 0}, "--sequences must be 1 or more, not 0"),
        ({"context": 1}, "--context must be 2"),
        ({"output_sequences": -1}, "--output-sequences must be 0"),
        ({"seed": -1}, "--seed must be 0"),
    ],
)
def test_numbers_that_make_no_sense(letters: Tokenizer, how: dict[str, int], said: str) -> None:
    with pytest.raises(PhasescopeError, match=said):
        freeze(DOCUMENTS, letters, **how)


def test_no_more_sequences_feed_the_outputs_than_there_are(bytes_tokenizer: Tokenizer) -> None:
    assert freeze(DOCUMENTS, bytes_tokenizer, sequences=4, context=8).output_sequences == 4
    assert freeze(DOCUMENTS, bytes_tokenizer, sequences=4, context=8, output_sequences=2).output_sequences == 2


class TestCounts:
    def freeze(self, letters: Tokenizer, counts: Any) -> Inputs:
        return freeze([Document("b c")], letters, sequences=1, context=2, counts=counts, counts_source="corpus")

    def test_given_ones_are_kept(self, letters: Tokenizer) -> None:
        inputs = self.freeze(letters, np.arange(27, dtype=np.uint32))
        assert inputs.counts.tolist() == list(range(27))
        assert inputs.counts.dtype == np.int64
        assert inputs.counts_source == "corpus"

    def test_rows_of_padding_are_cut_off(self, letters: Tokenizer) -> None:
        assert len(self.freeze(letters, [1] * 27 + [0] * 5).counts) == 27

    @pytest.mark.parametrize("counts", [[1] * 26, [1] * 28, []])
    def test_of_another_vocabulary(self, letters: Tokenizer, counts: list[int]) -> None:
        with pytest.raises(PhasescopeError, match=r"vocabulary|whole number"):
            self.freeze(letters, counts)

    @pytest.mark.parametrize("counts", [[0.5] * 27, [-1] * 27, [[1] * 27]])
    def test_that_are_no_counts(self, letters: Tokenizer, counts: Any) -> None:
        with pytest.raises(PhasescopeError, match="one whole number per vocabulary entry"):
            self.freeze(letters, counts)


def test_a_stream_without_end_is_read_until_there_is_enough(
    letters: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(freezing, "LEAST_READ", 1000)
    read = 0

    def endless() -> Iterator[Document]:
        nonlocal read
        while True:
            read += 1
            yield Document("a b c d e f g h i")

    freeze(endless(), letters, sequences=2, context=5)
    assert read == 101  # 9 tokens each, and an end of text between two: 1008 after 101
    read = 0
    freeze(endless(), letters, sequences=20, context=5)
    assert read == 201  # 20 windows of 5 for each of 20 sequences


def test_words_that_no_tool_could_store_are_made_storable(letters: Tokenizer, tmp_path: Path) -> None:
    long = "x" * 100_000
    document = Document(f"{long} b\0b c", (Word(0, len(long)), Word(len(long) + 1, len(long) + 4)))
    inputs = freeze([document], letters, sequences=1, context=2)
    assert inputs.words == ["x" * 200, "b\ufffdb"]
    inputs.save(tmp_path / "inputs.h5")
    assert Inputs.load(tmp_path / "inputs.h5").hash == inputs.hash


def test_the_real_treebank_keeps_its_tags(neox: Tokenizer, shared_data: Callable[[str], Path]) -> None:
    path = shared_data("texts/en_ewt-ud-dev.conllu")
    inputs = freeze(read_documents(path), neox, sequences=64, context=128, positions=5, source=str(path))
    assert inputs.vocabulary == len(inputs.counts) == 50277
    assert inputs.tags is not None
    assert (inputs.word_ids >= 0).mean() > 0.9
    # A token of a word decodes to a piece of it, but for those that bring the next word or half a character along.
    tokens, ids = inputs.tokens.ravel().tolist(), inputs.word_ids.ravel().tolist()
    pieces = [
        neox.decode([token]).strip() in inputs.words[word] for token, word in zip(tokens, ids, strict=True) if word >= 0
    ]
    assert np.mean(pieces) > 0.98
    the = [inputs.tags[word] for word in range(len(inputs.words)) if inputs.words[word] == "the"]
    assert the.count("DET") / len(the) > 0.95
