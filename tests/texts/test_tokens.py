from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers
from transformers import CanineTokenizer, PreTrainedTokenizerFast

from phasescope.errors import PhasescopeError
from phasescope.texts import Encoder, Word, align, split_words

# Words, blanks, marks and scripts mixed, besides anything that UTF-8 can hold.
mixed = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "the",
                " the cat",
                "don't",
                "l’eau",
                " ",
                "\n\n",
                ",",
                ", the",
                "é",
                "e\u0301",
                "हिन्दी",
                "中文",
                "😀",
                "a_b",
            ]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    ),
    max_size=30,
).map("".join)


@pytest.fixture(scope="module")
def neox_encoder(neox: Tokenizer) -> Encoder:
    return Encoder(neox)  # once: it copies 50 000 entries


def brute_force(offsets: list[tuple[int, int]], words: list[Word]) -> list[int]:
    """The definition of alignment, token by token and character by character."""
    found = []
    for start, end in offsets:
        characters = set(range(start, end))
        sharing = [i for i, word in enumerate(words) if characters & set(range(word.start, word.end))]
        found.append(sharing[0] if sharing else -1)
    return found


@given(mixed)
@settings(max_examples=150, deadline=None)
def test_tokens_belong_to_the_first_word_they_share_a_character_with(bytes_tokenizer: Tokenizer, text: str) -> None:
    encoded = Encoder(bytes_tokenizer).encode(text)
    words = split_words(text)
    aligned = align(encoded.offsets, words)
    assert aligned.tolist() == brute_force([tuple(pair) for pair in encoded.offsets.tolist()], words)
    assert (np.diff(aligned[aligned >= 0]) >= 0).all()  # words are met in order
    # A word without a token of its own was swallowed whole by tokens that began in an earlier word.
    covered = [set(range(*offset)) for offset in encoded.offsets.tolist()]
    for index, word in enumerate(words):
        if index not in aligned:
            inside = [t for t, characters in enumerate(covered) if characters & set(range(word.start, word.end))]
            assert inside
            assert all(0 <= aligned[t] < index for t in inside)


@given(mixed)
@settings(max_examples=60, deadline=None)
def test_the_real_tokenizer_is_aligned_too(neox_encoder: Encoder, text: str) -> None:
    encoded, words = neox_encoder.encode(text), split_words(text)
    pairs = [tuple(pair) for pair in encoded.offsets.tolist()]
    assert align(encoded.offsets, words).tolist() == brute_force(pairs, words)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 6)), max_size=12), st.data())
def test_alignment_with_any_words_and_offsets(gaps: list[tuple[int, int]], data: st.DataObject) -> None:
    words, place = [], 0
    for gap, length in gaps:
        words.append(Word(place + gap, place + gap + length))
        place += gap + length
    pairs = st.tuples(st.integers(0, place + 3), st.integers(0, 6)).map(lambda pair: (pair[0], pair[0] + pair[1]))
    offsets = data.draw(st.lists(pairs, max_size=12))
    aligned = align(np.array(offsets, dtype=np.int32).reshape(-1, 2), words)
    assert aligned.tolist() == brute_force(offsets, words)


@pytest.mark.parametrize("words", [[Word(3, 5), Word(0, 2)], [Word(0, 3), Word(2, 4)], [Word(1, 1)]])
def test_words_that_overlap_are_refused(words: list[Word]) -> None:
    with pytest.raises(ValueError, match="overlap"):
        align(np.array([[0, 1]]), words)


@given(mixed)
def test_words_are_runs_of_word_characters(text: str) -> None:
    words = split_words(text)
    places = [place for word in words for place in range(word.start, word.end)]
    assert places == sorted(set(places))
    outside = "".join(character for place, character in enumerate(text) if place not in set(places))
    # Fractions and superscripts are numeric to Python and no word characters to Unicode.
    assert not any(character.isalpha() or character.isdecimal() for character in outside)


def test_words_of_several_scripts() -> None:
    text = "Don't stop: l’eau, e\u0301te\u0301 हिन्दी 中文 x_1 3.5 'quoted'"
    assert [text[word.start : word.end] for word in split_words(text)] == [
        *["Don't", "stop", "l’eau", "e\u0301te\u0301", "हिन्दी", "中文", "x_1", "3", "5", "quoted"]
    ]


def test_a_token_across_two_words_belongs_to_the_first() -> None:
    words = [Word(0, 3, "DET"), Word(4, 7, "NOUN")]
    assert align(np.array([[0, 5], [5, 7], [7, 8]]), words).tolist() == [0, 1, -1]


def test_settings_of_the_tokenizer_are_neither_applied_nor_changed(bytes_tokenizer: Tokenizer) -> None:
    own = Tokenizer.from_str(bytes_tokenizer.to_str())
    own.enable_truncation(3)
    own.enable_padding(length=50)
    assert len(Encoder(own).encode("qwertyuiop").tokens) == 10
    assert (own.truncation["max_length"], own.padding["length"]) == (3, 50)


def test_no_special_tokens_are_added(bytes_tokenizer: Tokenizer) -> None:
    from tokenizers.processors import TemplateProcessing

    own = Tokenizer.from_str(bytes_tokenizer.to_str())
    own.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    assert len(own.encode("q").ids) == 2
    assert len(Encoder(own).encode("q").tokens) == 1


def test_the_vocabulary_ends_at_the_highest_id(neox: Tokenizer) -> None:
    assert Encoder(neox).vocabulary == 50277
    with_gap = Tokenizer(models.WordLevel({"a": 0, "b": 7}, unk_token="a"))
    assert with_gap.get_vocab_size() == 2
    assert Encoder(with_gap).vocabulary == 8


def test_added_tokens_count(bytes_tokenizer: Tokenizer) -> None:
    own = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(bytes_tokenizer.to_str()))
    before = Encoder(own).vocabulary
    own.add_tokens([AddedToken("<|extra|>", special=True)])
    encoder = Encoder(own)
    assert encoder.vocabulary == before + 1 == len(own)
    assert encoder.encode("<|extra|>").tokens.tolist() == [before]


def test_the_end_of_text(bytes_tokenizer: Tokenizer) -> None:
    assert Encoder(bytes_tokenizer).end_of_text == 0
    assert Encoder(PreTrainedTokenizerFast(tokenizer_object=bytes_tokenizer)).end_of_text is None
    fast = PreTrainedTokenizerFast(tokenizer_object=bytes_tokenizer, eos_token="<|endoftext|>")
    assert Encoder(fast).end_of_text == 0
    assert Encoder(Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))).end_of_text is None


def test_a_tokenizer_without_offsets_is_refused() -> None:
    with pytest.raises(PhasescopeError, match=r"CanineTokenizer.*fast tokenizer"):
        Encoder(CanineTokenizer())


def test_blanks_only_and_nothing(bytes_tokenizer: Tokenizer) -> None:
    own = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    own.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    encoded = Encoder(own).encode(" \n ")
    assert encoded.tokens.shape == (0,)
    assert encoded.offsets.shape == (0, 2)
    assert align(encoded.offsets, []).shape == (0,)
