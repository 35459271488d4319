from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts.document import Document
from phasescope.texts.readers import treebank
from phasescope.texts.readers.treebank import read_conllu


def row(identifier: str, form: str, tag: str, misc: str = "_") -> str:
    head = "_" if "-" in identifier or "." in identifier else "0"
    return "\t".join([identifier, form, "_", tag, "_", "_", head, "_", "_", misc])


def read(path: Path, *sentences: list[str]) -> list[Document]:
    path.write_text("".join("\n".join(sentence) + "\n\n" for sentence in sentences), encoding="utf-8")
    return list(read_conllu(path))


def words(document: Document) -> list[tuple[str, str | None]]:
    assert document.words is not None
    return [(document.text[word.start : word.end], word.tag) for word in document.words]


HELLO = [row("1", "Hello", "INTJ", "SpaceAfter=No"), row("2", "!", "PUNCT")]


def test_spaces_are_as_in_the_text(tmp_path: Path) -> None:
    (document,) = read(tmp_path / "a.conllu", HELLO, HELLO)
    assert document.text == "Hello! Hello!"
    assert words(document) == [("Hello", "INTJ"), ("!", "PUNCT")] * 2


def test_no_space_between_sentences_where_the_treebank_has_none(tmp_path: Path) -> None:
    glued = [row("1", "One", "NUM", "SpaceAfter=No")]
    (document,) = read(tmp_path / "a.conllu", glued, HELLO)
    assert document.text == "OneHello!"


def test_a_multiword_token_is_one_word_with_the_tag_of_its_first(tmp_path: Path) -> None:
    sentence = [
        row("1", "I", "PRON"),
        row("2-3", "don't", "_", "SpaceAfter=No"),
        row("2", "do", "AUX"),
        row("3", "n't", "PART"),
        row("4", ".", "PUNCT"),
    ]
    (document,) = read(tmp_path / "a.conllu", sentence)
    assert document.text == "I don't."
    assert words(document) == [("I", "PRON"), ("don't", "AUX"), (".", "PUNCT")]


def test_empty_nodes_are_not_in_the_text(tmp_path: Path) -> None:
    sentence = [row("1", "Yes", "INTJ"), row("1.1", "ghost", "VERB"), row("2", "we", "PRON"), row("2.1", "g", "X")]
    (document,) = read(tmp_path / "a.conllu", sentence)
    assert document.text == "Yes we"


def test_an_unknown_tag_is_none_and_a_word_may_hold_blanks_or_be_an_underscore(tmp_path: Path) -> None:
    (document,) = read(tmp_path / "a.conllu", [row("1", "10 000", "NUM"), row("2", "_", "_")])
    assert words(document) == [("10 000", "NUM"), ("_", None)]


def test_documents_and_paragraphs(tmp_path: Path) -> None:
    documents = read(
        tmp_path / "a.conllu",
        ["# newdoc id = one", "# newpar id = p1", *HELLO],
        ["# newpar", *HELLO],
        ["# newdoc", *HELLO],
    )
    assert [document.text for document in documents] == ["Hello!\n\nHello!", "Hello!"]
    assert words(documents[0]) == words(documents[1]) * 2


def test_a_file_without_documents_is_cut_between_sentences(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(treebank, "LONGEST", 20)
    documents = read(tmp_path / "a.conllu", *[HELLO] * 10)
    assert [document.text for document in documents] == ["Hello! Hello! Hello! Hello!"] * 2 + ["Hello! Hello!"]


def test_a_bad_sentence_is_named_by_its_line(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"a\.conllu: the sentence at line 4 is not CoNLL-U"):
        read(tmp_path / "a.conllu", HELLO, ["just some text"])


def test_the_real_treebank_gives_its_own_text(shared_data: Callable[[str], Path]) -> None:
    path = shared_data("texts/en_ewt-ud-dev.conllu")
    documents = list(read_conllu(path))
    source = path.read_text(encoding="utf-8")
    assert len(documents) == source.count("# newdoc")
    everything = "\n".join(document.text for document in documents)
    sentences = re.findall(r"^# text = (.*)$", source, re.MULTILINE)
    assert len(sentences) == 2001
    assert [sentence for sentence in sentences if sentence.strip() not in everything] == []
    assert re.sub(r"\s", "", everything) == re.sub(r"\s", "", "".join(sentences))
    tags = {tag for document in documents for _, tag in words(document)}
    universal = "ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB X"
    assert tags == set(universal.split())
