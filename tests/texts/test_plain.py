from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts.document import whole_characters
from phasescope.texts.readers import plain
from phasescope.texts.readers.plain import read_json_lines, read_text


def texts_of(path: Path, content: str | bytes) -> list[str]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [document.text for document in read_text(path)]


def test_a_plain_file_is_one_document(tmp_path: Path) -> None:
    assert texts_of(tmp_path / "a.txt", "\n\nOne.\n\nTwo = three.\n = not a title\n\n") == [
        "One.\n\nTwo = three.\n = not a title"
    ]


def test_form_feeds_separate_documents_also_within_a_line(tmp_path: Path) -> None:
    assert texts_of(tmp_path / "a.txt", "One.\n\fTwo.\fThree.\n\f\f  \n") == ["One.", "Two.", "Three."]


def test_wikitext_articles_are_documents_and_sections_are_not(tmp_path: Path) -> None:
    content = " \n = First = \n \n Text . \n \n = = Section = = \n \n More . \n \n = Second = \n \n Text . \n"
    documents = texts_of(tmp_path / "a.txt", content)
    assert [text.split("\n")[0].strip() for text in documents] == ["= First =", "= Second ="]
    assert "= = Section = =" in documents[0]


def test_the_real_wikitext_has_sixty_articles(shared_data: Callable[[str], Path]) -> None:
    documents = list(read_text(shared_data("texts/wikitext2-valid.txt")))
    assert len(documents) == 60  # as WikiText's own description counts them
    assert documents[0].text.startswith("= Homarus gammarus =")


def test_windows_line_ends_and_a_byte_order_mark_leave_no_trace(tmp_path: Path) -> None:
    assert texts_of(tmp_path / "a.txt", b"\xef\xbb\xbfOne\r\ntwo\r\n") == ["One\ntwo"]


def test_a_long_text_is_cut_at_line_ends_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "LONGEST", 100)
    lines = [f"line {number}" for number in range(100)]
    documents = texts_of(tmp_path / "a.txt", "\n".join(lines))
    assert len(documents) > 5
    assert "\n".join(documents).split("\n") == lines
    assert max(map(len, documents)) <= 100 + len(lines[-1]) + 1


def test_reading_begins_before_the_file_ends(tmp_path: Path) -> None:
    """The bad byte is in the third document: the first two come out of a file that could not be read whole."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"One\n\fTwo\n\f\nThr\xe9e\n")
    documents = read_text(path)
    assert [next(documents).text, next(documents).text] == ["One", "Two"]
    with pytest.raises(PhasescopeError, match="UTF-8"):
        next(documents)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_another_encoding_is_named_with_line_and_byte(tmp_path: Path, mark: bytes) -> None:
    before = mark + "Ünder.\n".encode()
    with pytest.raises(PhasescopeError, match=rf"a\.txt is not UTF-8: line 2 \(byte {len(before) + 3}\).*0xe9"):
        texts_of(tmp_path / "a.txt", before + b"caf\xe9\n")


def test_utf16_is_recognised(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"UTF-16.*iconv"):
        texts_of(tmp_path / "a.txt", "Hello".encode("utf-16"))


def test_json_lines_with_blank_ones_and_any_field(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "One", "body": "B"}\n\n{"text": "  ", "body": "C"}\n{"text": "Two", "body": "D"}')
    assert [d.text for d in read_json_lines(path)] == ["One", "Two"]
    assert [d.text for d in read_json_lines(path, "body")] == ["B", "C", "D"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{'text': 1}", "line 2 is not JSON"),
        ('{"text": "cut o', "line 2 is not JSON"),
        ("[" * 100_000, "line 2 is not JSON"),
        ('"a text"', "line 2 is a JSON str, not an object"),
        ('{"txt": "a", "id": 3}', r"line 2 has no field 'text'\. Did you mean txt\? There are: txt, id\."),
        ('{"text": null}', "line 2: the field 'text' holds a NoneType"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n' + line + "\n")
    documents = read_json_lines(path)
    assert next(documents).text == "fine"
    with pytest.raises(PhasescopeError, match=said):
        next(documents)


def test_half_characters_of_json_become_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(r'{"text": "a\ud83d b \ud83d\ude00"}')
    assert next(read_json_lines(path)).text == "a\ufffd b 😀"
    assert whole_characters("é😀") == "é😀"
    json.dumps(whole_characters("\udc00x"), ensure_ascii=False).encode()  # UTF-8 can hold it
