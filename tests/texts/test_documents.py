from __future__ import annotations

import json
from pathlib import Path

import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts import Document, read_documents


def test_a_file_is_read_by_its_suffix(tmp_path: Path) -> None:
    (tmp_path / "a.TXT").write_text("One.")
    (tmp_path / "b.jsonl").write_text('{"text": "Two.", "body": "Three."}')
    (tmp_path / "c.conllu").write_text("1\tFour\t_\tNUM\t_\t_\t0\troot\t_\t_\n\n")
    assert list(read_documents(tmp_path / "a.TXT")) == [Document("One.")]
    assert list(read_documents(str(tmp_path / "b.jsonl"))) == [Document("Two.")]
    assert list(read_documents(f"{tmp_path}/b.jsonl:body")) == [Document("Three.")]
    assert next(read_documents(tmp_path / "c.conllu")).text == "Four"


@pytest.mark.parametrize("content", ["", "  \n\n \f\n", "\ufeff"])
def test_an_empty_text_says_so(tmp_path: Path, content: str) -> None:
    path = tmp_path / "a.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PhasescopeError, match=r"a\.txt is empty"):
        list(read_documents(path))


@pytest.mark.parametrize("name", ["a.jsonl", "a.conllu"])
def test_an_empty_file_of_another_kind_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("\n\n")
    with pytest.raises(PhasescopeError, match="is empty"):
        list(read_documents(tmp_path / name))


def test_what_cannot_be_opened_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "articles.txt").write_text("One.")
    (tmp_path / "table.csv").write_text("a,b")
    for source, said in [
        (tmp_path / "article.txt", r"There is no file .*article\.txt\. Did you mean articles\.txt\?"),
        (f"{tmp_path}/nothing.jsonl:body", r"There is no file .*nothing\.jsonl\."),
        (tmp_path / "nowhere" / "a.txt", "There is no file .* A text is 'docs'"),
        (tmp_path / "table.csv", "What kind of text .*table.csv"),
        (tmp_path, "is a folder"),
        ("nothing of the kind", "There is no text 'nothing of the kind'"),
        ("", "is a folder|There is no text"),
        ("x" * 5000, "There is no text"),
        ("a\0b", "There is no text"),
    ]:
        with pytest.raises(PhasescopeError, match=said):
            read_documents(source)


def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    loop = tmp_path / "a.txt"
    loop.symlink_to(loop)
    with pytest.raises(PhasescopeError, match="no file"):
        list(read_documents(loop))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.conllu"])
def test_a_literal_end_of_text_ends_a_document_in_every_reader(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = "One dog.\n<|endoftext|>\nTwo cats.<|end_of_text|><|endoftext|> "
    written = {
        "a.txt": text,
        "a.jsonl": json.dumps({"text": text}),
        "a.conllu": "".join(
            f"{number}\t{word}\t_\t{tag}\t_\t_\t_\t_\t_\t_\n"
            for number, (word, tag) in enumerate(
                [("One", "NUM"), ("dog.", "NOUN"), ("<|endoftext|>", "SYM"), ("Two", "NUM"), ("cats.", "NOUN")], start=1
            )
        ),
    }[name]
    path.write_text(written, encoding="utf-8")
    documents = list(read_documents(path))
    assert [document.text for document in documents] == ["One dog.", "Two cats."]
    if name == "a.conllu":
        for document in documents:
            assert document.words is not None
            assert [document.text[word.start : word.end] for word in document.words] == document.text.split()
            assert [word.tag for word in document.words] == ["NUM", "NOUN"]
