from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts import Framing, ItemEncoder, Items, pair_items
from phasescope.texts.items.minimal_pairs import OWN, Pair, read_pairs
from tests.conftest import make_tokenizer, shared

LINE = {
    "sentence_good": "A layer that has settled says this.",
    "sentence_bad": "A layer that have settled says this.",
    "one_prefix_method": True,
    "one_prefix_prefix": "A layer that",
    "one_prefix_word_good": "has",
    "one_prefix_word_bad": "have",
    "UID": "agreement",
}


@pytest.fixture(scope="module")
def encoder() -> ItemEncoder:
    return ItemEncoder(make_tokenizer(), None)  # type: ignore[arg-type]


def written(path: Path, *lines: dict[str, Any] | str) -> str:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines), encoding="utf-8")
    return str(path)


def spelled(items: Items, item: int, first: int, last: int) -> str:
    return str(make_tokenizer().decode(items.sequence(item)[first:last]))  # type: ignore[attr-defined]


def test_whole_sentences_are_scored_after_the_end_of_text_token(tmp_path: Path, encoder: ItemEncoder) -> None:
    [items] = pair_items(written(tmp_path / "a.jsonl", LINE), encoder)
    assert (items.kind, items.name, items.items) == ("minimal_pairs", "agreement", 2)
    for i, sentence in enumerate((LINE["sentence_good"], LINE["sentence_bad"])):
        assert items.sequence(i)[0] == encoder.begin
        assert spelled(items, i, int(items.first[i]), int(items.last[i])) == sentence
        assert items.last[i] == items.lengths[i]
    assert items.columns["role"] == ["good", "bad"]
    assert items.columns["pair"] == [0, 0]
    assert items.columns["sentence"] == [LINE["sentence_good"], LINE["sentence_bad"]]


def test_the_word_that_decides_is_told(tmp_path: Path, encoder: ItemEncoder) -> None:
    two = {
        "UID": "two",
        "sentence_good": "An instrument listens.",
        "sentence_bad": "A instrument listens.",
        "two_prefix_method": True,
        "two_prefix_prefix_good": "An",
        "two_prefix_prefix_bad": "A",
        "two_prefix_word": "instrument",
    }
    neither = {key: LINE[key] for key in ("sentence_good", "sentence_bad")} | {"UID": "neither"}
    elsewhere = LINE | {"one_prefix_prefix": "Another layer that", "UID": "elsewhere"}
    sets = pair_items(written(tmp_path / "a.jsonl", LINE, two, neither, elsewhere), encoder)
    words = {
        items.name: [
            spelled(items, i, items.columns["word_first"][i], items.columns["word_last"][i]).strip()
            for i in range(2)
            if items.columns["method"][i]
        ]
        for items in sets
    }
    assert words == {"agreement": ["has", "have"], "two": ["instrument", "instrument"], "neither": [], "elsewhere": []}
    assert sets[1].columns["method"] == ["two_prefix"] * 2
    assert sets[2].columns["word_first"] == [-1, -1]


def test_masked_models_are_framed_and_have_no_word(tmp_path: Path) -> None:
    framed = ItemEncoder(make_tokenizer(), Framing(1, 2, 3))  # type: ignore[arg-type]
    [items] = pair_items(written(tmp_path / "a.jsonl", LINE), framed)
    assert items.sequence(0)[[0, -1]].tolist() == [1, 2]
    assert items.last[0] == items.lengths[0] - 1
    assert items.columns["method"] == ["", ""]


def test_a_tokenizer_without_an_end_of_text_is_refused() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    with pytest.raises(PhasescopeError, match="no token that begins or ends a text"):
        ItemEncoder(tokenizer, None)


def test_identical_sentences_are_a_pair(tmp_path: Path) -> None:
    """As in BLiMP's passive_1, lines 325 and 811."""
    same = LINE | {"sentence_bad": LINE["sentence_good"]}
    assert len(list(read_pairs(written(tmp_path / "a.jsonl", LINE, same)))) == 2


def test_one_odd_line_of_a_published_set_is_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [LINE] * 30 + ["{", LINE | {"sentence_good": ""}] + [LINE] * 30
    assert len(list(read_pairs(written(tmp_path / "a.jsonl", *lines)))) == 60
    said = " ".join(capsys.readouterr().err.split())
    assert "2 of 62 lines of" in said
    assert "were left out. The first:" in said
    assert "line 31 is not JSON" in said
    with pytest.raises(PhasescopeError, match="line 2 is not JSON"):  # more than a tenth
        list(read_pairs(written(tmp_path / "b.jsonl", LINE, "{", *[LINE] * 7)))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["{"], r"a\.jsonl line 1 is not JSON"),
        ([LINE, "[1]"], r"line 2 is a JSON list, not an object"),
        ([], "is empty"),
        (["", " "], "is empty"),
        ([LINE, "", {k: v for k, v in LINE.items() if k != "sentence_bad"}], "line 3: the field sentence_bad is miss"),
        ([LINE | {"sentence_good": 3}], "line 1: the field sentence_good is no text"),
        ([{k: v for k, v in LINE.items() if k != "one_prefix_word_bad"}], "the field one_prefix_word_bad is missing"),
        ([{k: v for k, v in LINE.items() if k != "UID"}], "the field UID is missing"),
        ([LINE | {"UID": "a/b"}], "the UID 'a/b' is no name"),
        ([LINE | {"sentence_bad": " "}], "a sentence is empty"),
    ],
)
def test_bad_files(tmp_path: Path, lines: list[Any], message: str) -> None:
    with pytest.raises(PhasescopeError, match=message):
        list(read_pairs(written(tmp_path / "a.jsonl", *lines)))


def test_files_and_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="no file or folder"):
        list(read_pairs(str(tmp_path / "none.jsonl")))
    with pytest.raises(PhasescopeError, match=r"no \.jsonl file in"):
        list(read_pairs(str(tmp_path)))


def test_our_own_pairs(encoder: ItemEncoder) -> None:
    pairs = list(read_pairs(None))
    counts = Counter(pair.paradigm for pair in pairs)
    assert set(counts.values()) == {64}
    assert len({pair.sentences for pair in pairs}) == len(pairs) == 256
    assert all(pair.word(side) for pair in pairs for side in (0, 1))
    assert all(items.source == OWN for items in pair_items(None, encoder))


def test_blimp(encoder: ItemEncoder) -> None:
    """Every pair of the real files: the words are found where BLiMP says they are."""
    folder = shared("blimp")
    pairs: list[Pair] = list(read_pairs(str(folder)))
    assert len(pairs) == 4000
    sets = pair_items(str(folder), encoder)
    assert [items.items for items in sets] == [2000] * 4
    for items in sets:
        assert items.columns["method"] == ["one_prefix"] * 2000
        first, last = np.array(items.columns["word_first"]), np.array(items.columns["word_last"])
        assert (first < last).all()
        assert (last <= items.lengths).all()
        # What is before the word is the same in both sentences of a pair.
        assert (first[0::2] == first[1::2]).all()
