"""Exact counts and stupid backoff, against counting by hand."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from phasescope.errors import PhasescopeError
from phasescope.texts import NgramIndex, WordCounts, build_index, frequency_bins, log_frequency, ngram_log_probabilities
from phasescope.texts.counts import ngram_index as module


def corpus(seed: int, words: int, documents: int = 20) -> list[list[str]]:
    draw = random.Random(seed)
    known = [f"w{number}" for number in range(words)] + ["été", "中文"]
    return [
        [draw.choice(known[: draw.randint(2, len(known))]) for _ in range(draw.randint(0, 60))]
        for _ in range(documents)
    ]


def by_hand(documents: Sequence[Sequence[object]]) -> Counter[tuple[object, ...]]:
    return Counter(
        tuple(words[i : i + n]) for words in documents for n in range(1, 6) for i in range(len(words) - n + 1)
    )


def backoff_by_hand(counts: Counter[tuple[object, ...]], context: tuple[str, ...], word: str) -> float:
    total = sum(count for gram, count in counts.items() if len(gram) == 1)
    if not context:
        return max(counts[word,], 1) / total
    if counts[*context, word]:
        return counts[*context, word] / counts[context]
    return 0.4 * backoff_by_hand(counts, context[1:], word)


@pytest.mark.parametrize("pairs", [False, True])
def test_the_index_counts_exactly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairs: bool) -> None:
    if pairs:  # as if there were more words than 16 bits can tell
        monkeypatch.setattr(module, "_MOST_SINGLE", 3)
    documents = corpus(0, 8)
    index = build_index(tmp_path / "with a blank" / "index", documents, unit="word", source="made up")
    assert index.description.width == (2 if pairs else 1)
    counts = by_hand(documents)
    draw = random.Random(1)
    grams = [*draw.sample(sorted(counts, key=str), 200), ("w1",) * 5, ("w0", "w7", "w7")]
    for n in range(1, 6):
        asked = [gram for gram in grams if len(gram) == n]
        ids = np.array([index.ids([str(word) for word in gram]) for gram in asked])
        assert index.count(ids).tolist() == [counts[gram] for gram in asked]
    assert index.total == sum(map(len, documents))
    assert list(NgramIndex(index.folder).documents()) == [words for words in documents if words]
    assert index.ids(["never", "w0"]).tolist() == [-1, index.vocabulary["w0"]]


def test_a_corpus_of_one_word_can_be_indexed(tmp_path: Path) -> None:
    index = build_index(tmp_path / "index", [["alone"]], unit="word", source="one word")
    assert index.count(np.array([[0]])).tolist() == [1]
    assert index.count(np.array([[0, 0]])).tolist() == [0]


def test_tokens_can_be_indexed(tmp_path: Path) -> None:
    documents = [[70_000, 3, 3, 70_000], [3, 3]]
    index = build_index(tmp_path / "index", documents, unit="token", source="tokens")
    assert index.count(np.array([[3, 3], [70_000, 3], [3, 70_000], [70_000, 70_000]])).tolist() == [2, 1, 1, 0]
    assert index.count(np.array([[3], [70_001]])).tolist() == [4, 0]


def test_stupid_backoff_is_its_definition(tmp_path: Path) -> None:
    documents = corpus(2, 6)
    index = build_index(tmp_path / "index", documents, unit="word", source="made up")
    counts = by_hand(documents)
    draw = random.Random(3)
    windows = [[draw.choice(["w0", "w1", "w2", "w3", "été", "never"]) for _ in range(30)] for _ in range(4)]
    ids = index.ids([word for window in windows for word in window])
    place = np.tile(np.arange(30), 4)
    found = ngram_log_probabilities(ids, place, index).reshape(5, 4, 30)
    for row, window in enumerate(windows):
        for i, word in enumerate(window):
            for n in range(1, 6):
                context = tuple(window[max(0, i - n + 1) : i])
                expected = math.log(backoff_by_hand(counts, context, word))
                assert found[n - 1, row, i] == pytest.approx(expected, abs=1e-12)


def test_words_that_were_never_seen_have_finite_scores(tmp_path: Path) -> None:
    index = build_index(tmp_path / "index", [["a", "b"]] * 5, unit="word", source="made up")
    scores = ngram_log_probabilities(index.ids(["нет", "слов", "", "a"]), np.arange(4), index)
    assert np.isfinite(scores).all()
    assert scores[0, :3].tolist() == [math.log(1 / 10)] * 3  # as if seen once
    assert scores[1, 1] == pytest.approx(math.log(0.4 / 10))


def test_an_index_that_is_taken_empty_or_damaged_is_said(tmp_path: Path) -> None:
    index = build_index(tmp_path / "index", [["a", "b"]], unit="word", source="made up")
    with pytest.raises(PhasescopeError, match="there already"):
        build_index(tmp_path / "index", [["a"]], unit="word", source="made up")
    with pytest.raises(PhasescopeError, match=r"nothing\.txt is empty"):
        build_index(tmp_path / "other", [[]], unit="word", source="nothing.txt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index"]  # nothing half done is left
    (index.folder / "table.0").unlink()
    with pytest.raises(PhasescopeError, match=r"damaged: it has no table\.0"):
        NgramIndex(index.folder)
    with pytest.raises(PhasescopeError, match="no n-gram index"):
        NgramIndex(tmp_path)


def test_lists_of_counts(tmp_path: Path) -> None:
    tabs, commas = tmp_path / "counts.tsv", tmp_path / "counts.csv"
    tabs.write_text('word\tcount\nthe\t30\ncat\t2\n"\t1\n', encoding="utf-8")
    commas.write_text('the,30\ncat,2\n"""",1\n', encoding="utf-8")
    for path in (tabs, commas):
        counts = WordCounts.read(path)
        assert counts.total == 33
        assert counts.count(counts.ids(["cat", '"', "the"])[:, None]).tolist() == [2, 1, 30]
        assert ngram_log_probabilities(counts.ids(["cat", "dog"]), np.array([0, 1]), counts, 1)[0].tolist() == [
            math.log(2 / 33),
            math.log(1 / 33),
        ]
    tabs.write_text("the\t30\ncat\n", encoding="utf-8")
    with pytest.raises(PhasescopeError, match=r"counts\.tsv line 2"):
        WordCounts.read(tabs)
    tabs.write_bytes("été\t3\n".encode("latin-1"))
    with pytest.raises(PhasescopeError, match="not UTF-8: line 1"):
        WordCounts.read(tabs)


def test_frequencies_and_their_bins() -> None:
    counts = np.array([0, 1, 9, 10, 999, 1000])
    assert log_frequency(counts, 1000).tolist() == np.log(np.array([1, 1, 9, 10, 999, 1000]) / 1000).tolist()
    assert frequency_bins(counts, 1_000_000).tolist() == [0, 0, 0, 1, 2, 3]
    assert frequency_bins(counts, 1000).tolist() == [3, 3, 3, 4, 5, 6]
