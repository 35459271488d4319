from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts.readers.dataset import DatasetName, read_dataset


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("owner/name", DatasetName("owner/name")),
        ("owner/na.me-2:validation", DatasetName("owner/na.me-2", split="validation")),
        ("owner/name:test:body text", DatasetName("owner/name", split="test", column="body text")),
        (
            "Salesforce/wikitext/wikitext-2-raw-v1:test",
            DatasetName("Salesforce/wikitext", "wikitext-2-raw-v1", "test"),
        ),
        ("owner/name:train[:10%]", None),  # streams have no percentages
        ("name", None),
        ("/owner/name", None),
        ("./owner/name", None),
        ("a/b/c/d", None),
        ("owner/name:", None),
        ("", None),
    ],
)
def test_names(source: str, expected: DatasetName | None) -> None:
    assert DatasetName.parse(source) == expected


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A data set on disk, which the library reads as it reads one of the hub."""
    pytest.importorskip("datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "set"
    folder.mkdir()
    rows = [{"text": "One.", "n": 1}, {"text": " ", "n": 2}, {"text": "Two.", "n": 3}]
    (folder / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder)


def test_rows_with_text_are_documents(local: str) -> None:
    assert [document.text for document in read_dataset(DatasetName(local))] == ["One.", "Two."]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ({"column": "txt"}, r"has no column 'txt'\. Did you mean text\?"),
        ({"column": "n"}, "the column 'n' holds a int, not a text"),
        ({"split": "nosuch"}, "cannot be opened: .*nosuch"),
    ],
)
def test_what_is_wrong_is_said(local: str, name: dict[str, str], said: str) -> None:
    with pytest.raises(PhasescopeError, match=said):
        list(read_dataset(DatasetName(local, **name)))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(PhasescopeError, match=r"pip install 'phasescope\[datasets\]'"):
        list(read_dataset(DatasetName("owner/name")))
