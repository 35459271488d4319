"""Words, tokens and token ids that somebody else made, with their tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from phasescope.errors import PhasescopeError
from phasescope.texts import Document, Encoder, Inputs, freeze, read_documents
from phasescope.texts.document import ReadyTokens
from phasescope.texts.readers.ready_tokens import read_ready

TEXT = "Don't stop: naïve dogs ran 日本語."


def lines(path: Path, *records: Any) -> Path:
    path.write_text("\n".join(map(json.dumps, records)) + "\n", encoding="utf-8")
    return path


def frozen(path: Path, tokenizer: Tokenizer, context: int, sequences: int = 1) -> Inputs:
    return freeze(read_documents(path), tokenizer, sequences=sequences, context=context)


def tag_of_each_token(inputs: Inputs) -> list[str]:
    assert inputs.tags is not None
    return ["" if word < 0 else inputs.tags[word] for word in inputs.word_ids[0]]


def test_ids_are_read_as_they_are_and_rows_are_windows(neox: Tokenizer, tmp_path: Path) -> None:
    rows = [[5, 17, 0, 300], [7, 8, 9, 10]]
    for path in (
        lines(tmp_path / "a.jsonl", *({"ids": row} for row in rows)),
        lines(tmp_path / "b.jsonl", *({"input_ids": row, "text": "no"} for row in rows)),
    ):
        name = f"{path}:input_ids" if path.name == "b.jsonl" else str(path)
        inputs = freeze(read_documents(name), neox, sequences=2, context=4)
        assert inputs.tokens.tolist() == rows  # no end of text between them
    np.save(tmp_path / "ids.npy", np.array(rows, dtype=np.uint16))
    assert frozen(tmp_path / "ids.npy", neox, 4, 2).tokens.tolist() == rows
    np.save(tmp_path / "flat.npy", np.array(rows).ravel())
    assert frozen(tmp_path / "flat.npy", neox, 4, 2).tokens.tolist() == rows


def test_ids_of_a_text_give_what_the_text_gives(neox: Tokenizer, tmp_path: Path) -> None:
    encoded = Encoder(neox).encode(TEXT)
    number = len(encoded.tokens)
    (tmp_path / "a.txt").write_text(TEXT, encoding="utf-8")
    read = frozen(tmp_path / "a.txt", neox, number)
    ready = frozen(lines(tmp_path / "a.jsonl", {"ids": encoded.tokens.tolist()}), neox, number)
    assert (ready.words, ready.tokens.tolist()) == (read.words, read.tokens.tolist())
    assert ready.word_ids.tolist() == read.word_ids.tolist()
    assert read.bytes is not None
    assert ready.bytes is not None
    assert ready.bytes.starts.tolist() == read.bytes.starts.tolist()
    assert ready.bytes.documents.tolist() == read.bytes.documents.tolist()


@pytest.mark.parametrize("written", ["entries", "decoded", "ids", "pairs"])
def test_every_token_keeps_its_tag(neox: Tokenizer, tmp_path: Path, written: str) -> None:
    """Whatever the words are: neighbours in one word may have different tags, and punctuation has one."""
    text = "Don't stop: two dogs."
    encoded = Encoder(neox).encode(text)
    ids = encoded.tokens.tolist()
    tags = [f"T{place % 3}" for place in range(len(ids))]
    tags[2] = "UNK"
    decoded = [neox.decode([token]) for token in ids]
    record: Any = {
        "entries": {"tokens": [neox.id_to_token(token) for token in ids], "tags": tags},
        "decoded": {"tokens": decoded, "tags": tags},
        "ids": {"ids": ids, "tags": tags, "text": "ignored"},
        "pairs": [[token, tag] for token, tag in zip(decoded, tags, strict=True)],
    }[written]
    path = tmp_path / ("tagged.json" if written == "pairs" else "a.jsonl")
    path.write_text(json.dumps(record), encoding="utf-8")
    inputs = frozen(path, neox, len(ids))
    assert inputs.tokens[0].tolist() == ids
    assert tag_of_each_token(inputs) == [*tags[:2], "", *tags[3:]]


def test_tokens_of_one_word_with_one_tag_are_that_word(neox: Tokenizer, tmp_path: Path) -> None:
    encoded = Encoder(neox).encode(" phasescope")
    assert len(encoded.tokens) > 1
    record = {"ids": encoded.tokens.tolist(), "tags": ["NOUN"] * len(encoded.tokens)}
    inputs = frozen(lines(tmp_path / "a.jsonl", record), neox, len(encoded.tokens))
    assert (inputs.words, inputs.tags) == (["phasescope"], ["NOUN"])


def test_words_with_tags(neox: Tokenizer, tmp_path: Path) -> None:
    record = {"words": ["The", "dog", "'s", "here", "."], "tags": ["DET", "NOUN", "PART", "ADV", "_"]}
    (document,) = read_documents(lines(tmp_path / "a.jsonl", record))
    assert document.text == "The dog 's here ."
    (document,) = read_documents(lines(tmp_path / "a.jsonl", record | {"text": "The dog's here."}))
    assert document.words is not None
    assert [document.text[word.start : word.end] for word in document.words] == record["words"]
    assert [word.tag for word in document.words] == ["DET", "NOUN", "PART", "ADV", None]


def test_what_stands_beside_a_text_is_not_taken_for_its_tokens(tmp_path: Path) -> None:
    records = [{"text": "A text.", "tags": ["news", "sport"], "tokens": 3}, {"text": "B", "ids": ["x7"]}]
    assert [document.text for document in read_documents(lines(tmp_path / "a.jsonl", *records))] == ["A text.", "B"]


def test_word_pieces_are_put_together(tmp_path: Path) -> None:
    vocabulary = {"[UNK]": 0, "[CLS]": 1, "un": 2, "##seen": 3, "dogs": 4, "[SEP]": 5}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.add_special_tokens(["[UNK]", "[CLS]", "[SEP]"])
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tagged = [["[CLS]", "UNK"], ["un", "JJ"], ["##seen", "JJ"], ["dogs", "NNS"], ["[SEP]", "UNK"]]
    path = tmp_path / "pos_tagged_tokens.json"
    path.write_text(json.dumps(tagged))
    inputs = frozen(path, tokenizer, 5)
    assert inputs.tokens.tolist() == [[1, 2, 3, 4, 5]]
    assert (inputs.words, inputs.tags) == (["unseen", "dogs"], ["JJ", "NNS"])
    assert inputs.word_ids.tolist() == [[-1, 0, 0, 1, -1]]


@given(st.lists(st.integers(0, 290), min_size=2, max_size=40), st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
def test_any_ids_have_a_text_and_words_of_their_own(bytes_tokenizer: Tokenizer, ids: list[int], seed: int) -> None:
    """Also ids that cut characters in two: offsets are in the text, and every token of letters keeps its tag."""
    tags = tuple(f"T{tag}" for tag in np.random.default_rng(seed).integers(0, 3, len(ids)))
    document, encoded = read_ready(Document("", ready=ReadyTokens(tuple(ids), tags, "here")), Encoder(bytes_tokenizer))
    assert encoded.tokens.tolist() == ids
    assert (encoded.offsets >= 0).all()
    assert (encoded.offsets <= len(document.text)).all()
    document.text.encode()
    given = Document("", ready=ReadyTokens(tuple(ids), tags, "here"))
    inputs = freeze([given], bytes_tokenizer, sequences=1, context=len(ids))
    for token, word, tag in zip(ids, inputs.word_ids[0], tags, strict=True):
        if word >= 0 and (bytes_tokenizer.id_to_token(token) or "").isascii():
            assert inputs.tags is not None
            assert inputs.tags[word] == tag


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"ids": [1, 50_277]}, r"line 1: the token id 50277 is none of this tokenizer, which has 50277 entries"),
        ({"ids": [-1, 2]}, r"the token id -1 is none"),
        ({"ids": [1.5]}, r"the field 'ids' holds 1.5, and its values are whole numbers"),
        ({"tokens": ["the", "no such token"]}, r"'no such token' is no token of this tokenizer"),
        ({"tokens": ["the"], "tags": ["DET", "NOUN"]}, r"has 2 tags for 1 tokens: give one for each"),
        ({"words": ["dog", "the"], "tags": ["NOUN", "DET"], "text": "the dog"}, r"the word 'the' is not in the text"),
        ({"tags": ["NOUN"]}, r"has no field 'text'.*\"words\", \"tokens\" or \"ids\""),
    ],
)
def test_what_does_not_fit_is_said(neox: Tokenizer, tmp_path: Path, record: dict[str, Any], said: str) -> None:
    with pytest.raises(PhasescopeError, match=said):
        frozen(lines(tmp_path / "a.jsonl", record), neox, 2)


def test_other_files_that_are_no_tokens(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"text": "a"}')
    with pytest.raises(PhasescopeError, match=r"a\.json is no list of \[token, tag\]"):
        list(read_documents(tmp_path / "a.json"))
    np.save(tmp_path / "a.npy", np.zeros((2, 2)))
    with pytest.raises(PhasescopeError, match=r"a\.npy holds no token ids"):
        list(read_documents(tmp_path / "a.npy"))
    np.save(tmp_path / "o.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(PhasescopeError, match=r"o\.npy cannot be read as an array"):
        list(read_documents(tmp_path / "o.npy"))


def test_sentencepiece_ids_have_their_blanks() -> None:
    tokenizer = Tokenizer(models.BPE({"▁": 0, "a": 1, "b": 2, "▁a": 3}, [("▁", "a")]))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Replace("▁", " ")
    inputs = freeze([Document("", ready=ReadyTokens(("a", "b", " a"), None, "x"))], tokenizer, sequences=1, context=3)
    assert (inputs.tokens.tolist(), inputs.words) == ([[1, 2, 3]], ["ab", "a"])
