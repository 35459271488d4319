"""Which bytes tokens stand for: together they give back the text."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from phasescope.errors import PhasescopeError
from phasescope.texts import NO_TEXT, Document, Encoder, Inputs, byte_starts, first_bytes, freeze, token_bytes
from tests.conftest import PROSE, make_tokenizer, shared

NASTY = "naïve ☃ 日本語 \u200d👩‍👩‍👧   \n\n\t  x\x00y"


@pytest.fixture(scope="module")
def neox() -> Tokenizer:
    return Tokenizer.from_file(str(shared("tokenizers", "gpt-neox-20b.json")))


def sentencepiece() -> Tokenizer:
    """As Llama's: ▁ for blanks, one put before the text, and bytes for what has no entry."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<unk>", "</s>", *bytes_], show_progress=False)
    tokenizer.train_from_iterator([PROSE], trainer)
    made = json.loads(tokenizer.to_str())
    made["added_tokens"] = made["added_tokens"][:2]  # a trainer has no other way to be told of bytes
    return Tokenizer.from_str(json.dumps(made))


@pytest.fixture(scope="module")
def toy() -> Tokenizer:
    return make_tokenizer().backend_tokenizer  # type: ignore[attr-defined]


_READ: dict[int, tuple[Encoder, list[bytes | None]]] = {}


def read(tokenizer: Tokenizer) -> tuple[Encoder, list[bytes | None]]:
    """Copied and read once for all examples: with the real vocabulary both take half a second."""
    size = tokenizer.get_vocab_size()
    if size not in _READ:
        _READ[size] = Encoder(tokenizer), token_bytes(tokenizer)
    return _READ[size]


def require_tiling(tokenizer: Tokenizer, text: str) -> None:
    encoder, pieces = read(tokenizer)
    encoded = encoder.encode(text)
    tokens = encoded.tokens
    starts, written = byte_starts(tokens, encoded.offsets, pieces, text), text.encode()
    assert (starts >= 0).all()
    firsts = first_bytes(pieces)[tokens]
    for start, first in zip(starts[1:], firsts[1:], strict=True):
        assert written[start] == first


@pytest.mark.parametrize("text", [PROSE, NASTY, "", " ", "a" * 300])
def test_first_bytes_are_those_of_the_text(neox: Tokenizer, toy: Tokenizer, text: str) -> None:
    require_tiling(neox, text)
    require_tiling(toy, text)


def test_real_text_is_tiled_by_the_real_tokenizer(neox: Tokenizer) -> None:
    text = Path(shared("texts", "wikitext2-valid.txt")).read_text(encoding="utf-8")[:60_000]
    require_tiling(neox, text)
    pieces = token_bytes(neox)
    assert [place for place, piece in enumerate(pieces) if piece is None] == [0, 1]  # the end of text, and padding
    assert pieces[50254] == b" " * 24  # added tokens are written as they are, not in the alphabet
    assert set(first_bytes(pieces)) - {NO_TEXT} <= set(range(256))


@given(st.text(max_size=60))
@settings(max_examples=80, deadline=None)
def test_any_text_is_tiled(neox: Tokenizer, toy: Tokenizer, text: str) -> None:
    whole = text.encode("utf-8", "ignore").decode()
    require_tiling(toy, whole)
    if "<|" not in whole:
        require_tiling(neox, unicodedata.normalize("NFC", whole))


def test_only_what_is_normalised_has_no_place(neox: Tokenizer) -> None:
    apart = (
        "The caf" + unicodedata.normalize("NFD", "é") + " is open, 日本語 " + unicodedata.normalize("NFD", "é") + "."
    )
    encoded = Encoder(neox).encode(apart)
    pieces = token_bytes(neox)
    starts = byte_starts(encoded.tokens, encoded.offsets, pieces, apart)
    unknown = [pieces[token].decode() for token, start in zip(encoded.tokens, starts, strict=True) if start < 0]
    assert unknown == [" café", " é"]  # whose last character is two in the text
    for token, start in zip(encoded.tokens, starts, strict=True):
        assert start < 0 or apart.encode().startswith(pieces[token], start)


@given(st.lists(st.sampled_from([" the", "é", "e\u0301", "日", "\n", "  ", "x", "\u2126", "ß", "👩‍👩"]), max_size=30))
@settings(max_examples=60, deadline=None)
def test_places_that_are_told_are_right(neox: Tokenizer, parts: list[str]) -> None:
    """Whatever is normalised in between: bytes agree, places rise, and they begin where the token's characters do."""
    text = "".join(parts)
    encoder, pieces = read(neox)
    encoded = encoder.encode(text)
    starts = byte_starts(encoded.tokens, encoded.offsets, pieces, text)
    told = starts >= 0
    assert (np.diff(starts[told]) > 0).all()
    for token, start, (first, last) in zip(encoded.tokens, starts, encoded.offsets.tolist(), strict=True):
        if start >= 0:
            assert text.encode().startswith(pieces[token], start)
            assert len(text[:last].encode()) >= start
            assert not text[:first].encode()[start + len(pieces[token]) :].strip()  # blanks may lie between
    if unicodedata.is_normalized("NFC", text):
        assert told.all()


@pytest.mark.parametrize("literal", ["<|endoftext|>", "<|padding|>"])
def test_a_special_token_in_a_text_is_no_word_and_leaves_the_places_on_both_sides(
    neox: Tokenizer, literal: str
) -> None:
    text = f"The first ends.{literal}The second begins."
    inputs = freeze([Document(text)], neox, sequences=1, context=9, output_sequences=1)
    assert inputs.words == ["The", "first", "ends", "The", "second", "begins"]
    assert inputs.bytes is not None
    spelt = int(np.flatnonzero(inputs.tokens[0] == neox.token_to_id(literal))[0])
    assert inputs.word_ids[0, spelt] == -1
    starts = inputs.bytes.starts[0].tolist()
    assert starts[spelt] == text.index("<")
    assert starts[spelt + 1] == -1  # a tokenizer may put a blank there
    for token, start in zip(inputs.tokens[0, spelt + 2 :].tolist(), starts[spelt + 2 :], strict=True):
        assert text.startswith(neox.decode([token]), start)


def test_an_unknown_word_is_a_word() -> None:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(["[UNK]"])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inputs = freeze([Document("a b [UNK]")], tokenizer, sequences=1, context=3)
    assert inputs.words == ["a", "b"]
    assert inputs.word_ids.tolist() == [[0, 1, -1]]


@pytest.mark.parametrize("text", ["The layers say: naïve ☃", "a  b", "x"])
def test_sentencepiece_knows_blanks_bytes_and_the_one_before_the_text(text: str) -> None:
    tokenizer = sentencepiece()
    pieces = token_bytes(tokenizer)
    encoded = Encoder(tokenizer).encode(text)
    tokens = encoded.tokens
    assert b"".join(pieces[token] or b"?" for token in tokens) == b" " + text.encode()
    starts = byte_starts(tokens, encoded.offsets, pieces, text)
    assert starts[0] == 0
    assert all(
        text.encode()[start] == (pieces[token] or b"?")[0] for start, token in zip(starts[1:], tokens[1:], strict=True)
    )
    assert pieces[tokenizer.token_to_id("</s>")] is None
    assert pieces[tokenizer.token_to_id("<unk>")] is None
    assert pieces[tokenizer.token_to_id("<0x0A>")] == b"\n"


def test_tokenizers_whose_bytes_are_not_known_are_refused() -> None:
    word_piece = Tokenizer(models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"))
    word_piece.decoder = decoders.WordPiece()
    word_level = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    word_level.pre_tokenizer = pre_tokenizers.Whitespace()
    bare = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    for tokenizer, kind in ((word_piece, "WordPiece"), (word_level, "WordLevel"), (bare, "BPE")):
        with pytest.raises(PhasescopeError, match=f"{kind} tokenizer .*Leave --next-byte out"):
            token_bytes(tokenizer)
        assert Encoder(tokenizer).pieces is None


def test_frozen_inputs_say_where_their_tokens_begin(tmp_path: Path) -> None:
    tokenizer = make_tokenizer()
    texts = [PROSE, NASTY, PROSE[::-1]]
    inputs = freeze([Document(text) for text in texts], tokenizer, sequences=5, context=16, output_sequences=2)
    assert inputs.bytes is not None
    by_number = {number: text.encode() for number, text in zip(_numbers(texts), texts, strict=True)}
    for token, number, start in zip(
        inputs.tokens.ravel(), inputs.bytes.documents.ravel(), inputs.bytes.starts.ravel(), strict=True
    ):
        text, first = by_number[number], inputs.bytes.first[token]
        assert start == len(text) if first == NO_TEXT else text[start] == first
    inputs.save(tmp_path / "inputs.h5")
    again = Inputs.load(tmp_path / "inputs.h5")
    assert again.bytes is not None
    assert again.hash == inputs.hash
    for name in ("documents", "starts", "first"):
        assert np.array_equal(getattr(again.bytes, name), getattr(inputs.bytes, name))


def _numbers(texts: list[str]) -> list[int]:
    from phasescope.texts.token_bytes import document_number

    return [document_number(text) for text in texts]
