"""Alignment of tokens with words, for the three kinds of tokenizers that models have, over random Unicode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from phasescope.texts import Document, Encoder, align, freeze, split_words, words_read

PROSE = [
    "the cat and the dog don't see naïve café-goers in the night, the end of the day 123",
    "हिन्दी 中文 e\u0301 l’eau",
] * 9


def byte_level() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=330, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(PROSE, trainer)
    return tokenizer


def sentence_piece() -> Tokenizer:
    """As Llama and T5 have: blanks become ▁, characters that were never seen become bytes or one unknown token."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(PROSE, trainer)
    return tokenizer


def word_piece() -> Tokenizer:
    """As BERT has: words and punctuation apart, continuations marked by ##, what is unknown is one token."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=150, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator(PROSE, trainer)
    return tokenizer


ENCODERS = {made.__name__: Encoder(made()) for made in (byte_level, sentence_piece, word_piece)}
kinds = pytest.mark.parametrize("kind", ENCODERS)
texts = st.lists(
    st.one_of(
        st.sampled_from(
            ["the", " cat", "don't", " ", "\n\n", ",", "é", "e\u0301", " हिन्दी", "中文", "😀", "▁", "##x", "a_b"]
        ),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    ),
    max_size=25,
).map("".join)


@kinds
@settings(max_examples=50, deadline=None)
@given(text=texts)
def test_tokens_put_together_give_back_the_text(kind: str, text: str) -> None:
    offsets = ENCODERS[kind].encode(text).offsets
    covered = np.zeros(len(text), dtype=bool)
    for start, end in offsets:
        assert 0 <= start <= end <= len(text)
        covered[start:end] = True
    assert (np.diff(offsets[:, 0]) >= 0).all()  # in the order of the text
    together = "".join(character for character, seen in zip(text, covered, strict=True) if seen)
    assert "".join(together.split()) == "".join(text.split())


@kinds
@settings(max_examples=50, deadline=None)
@given(text=texts)
def test_every_token_belongs_to_at_most_one_word_and_every_word_has_one(kind: str, text: str) -> None:
    encoded, words = ENCODERS[kind].encode(text), split_words(text)
    found = align(encoded.offsets, words)
    assert found.shape == encoded.tokens.shape
    for word_id, (start, end) in zip(found, encoded.offsets, strict=True):
        sharing = [i for i, word in enumerate(words) if word.start < end and start < word.end]
        assert word_id == (sharing[0] if sharing else -1)
    # Words are in order, and the tokens of one lie side by side but for those that are of no word.
    assert (np.diff(found[found >= 0]) >= 0).all()


def test_byte_level_tokens_decode_to_the_text() -> None:
    tokenizer = byte_level()
    for text in [*PROSE[:2], "中文 \t 😀 né\u0301e"]:
        assert tokenizer.decode(Encoder(tokenizer).encode(text).tokens.tolist()) == text


@kinds
@settings(max_examples=25, deadline=None)
@given(extra=texts, seed=st.integers(0, 5))
def test_log_probabilities_of_words_are_sums_over_their_tokens(kind: str, extra: str, seed: int) -> None:
    tokenizer = {"byte_level": byte_level, "sentence_piece": sentence_piece, "word_piece": word_piece}[kind]()
    inputs = freeze([Document(" ".join([*PROSE, extra]))], tokenizer, sequences=6, context=12, output_sequences=4)
    read = words_read(inputs)
    surprisal = np.random.default_rng(seed).exponential(size=(4, 11))
    found = iter(read.log_probabilities(surprisal))
    for i, word in enumerate(read.words):
        row = inputs.word_ids[read.sequence[i]]
        columns = np.flatnonzero(row == read.index[i])
        assert word == inputs.words[read.index[i]]
        # Cut by an edge, or perhaps: at the last position a word may go on.
        assert read.measured[i] == (columns[0] > 0 and columns[-1] < 11)
        if read.measured[i]:
            assert next(found) == pytest.approx(-surprisal[read.sequence[i]][columns - 1].sum())
    assert next(found, None) is None
    for sequence in range(4):
        places = read.place[read.sequence == sequence]
        assert places.tolist() == list(range(len(places)))
