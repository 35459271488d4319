"""Heuristics and agreement over real small runs, against independent computations in float64 NumPy."""

from __future__ import annotations

import json
import random
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.heuristics.correlations import NGRAMS
from phasescope.analyses.reader import RunReader
from phasescope.analyses.word_readings import token_units
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.texts import (
    Document,
    NgramIndex,
    contextual_similarity,
    freeze,
    ngram_log_probabilities,
    words_read,
)
from tests.analyses.test_analyses import array
from tests.conftest import make_tokenizer
from tests.suites.nursery_samples import train_sample

NOUNS = ["layer", "model", "step", "seed", "token", "word", "head", "curve", "phase", "rank"]
VERBS = ["settles", "moves", "learns", "forgets", "predicts", "follows"]


def documents(number: int, seed: int = 0) -> list[str]:
    """Sentences drawn at random, so that every window is another one."""
    draw = random.Random(seed)

    def sentence() -> str:
        return f"the {draw.choice(NOUNS)} {draw.choice(VERBS)} a {draw.choice(NOUNS)} and the {draw.choice(NOUNS)}."

    return [" ".join(sentence() for _ in range(draw.randint(4, 12))) for _ in range(number)]


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A suite that knows its own text: one size, two seeds, four steps."""
    folder = tmp_path_factory.mktemp("nursery") / "suite"
    train_sample(folder, documents(400), steps=4, batch=2, context=32)
    return folder


@pytest.fixture(scope="module")
def run(nursery: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.run.Run:
    out = tmp_path_factory.mktemp("runs") / "run"
    return ps.capture(nursery, out=out, sequences=12, context=32, output_sequences=10, sites="mlp_out")


@pytest.fixture(scope="module")
def tables(run: ps.run.Run) -> dict[str, pd.DataFrame]:
    return run.analyse("heuristics", "agreement", options=Options(resamples=100, unit="word"))


def observed(run: ps.run.Run, seed: int, step: int) -> np.ndarray:
    """Word log-probabilities, word by word and token by token."""
    inputs, values = run.inputs, array(run.path, "150k", seed, step, "outputs/surprisal")
    read = words_read(inputs)
    found = []
    for sequence, index, measured in zip(read.sequence, read.index, read.measured, strict=True):
        if measured:
            columns = np.flatnonzero(inputs.word_ids[sequence] == index)
            found.append(-sum(values[sequence, column - 1] for column in columns))
    return np.array(found)


def index_of(run: ps.run.Run) -> NgramIndex:
    folders = [path for path in (run.path / "reference").iterdir() if path.is_dir()]
    return next(index for index in map(NgramIndex, folders) if index.description.unit == "word")


def test_correlations_are_those_of_word_log_probabilities_with_ngrams(
    run: ps.run.Run, tables: dict[str, pd.DataFrame]
) -> None:
    read, index = words_read(run.inputs), index_of(run)
    ngrams = ngram_log_probabilities(index.ids(read.words), read.place, index)[:, read.measured]
    table = tables["heuristics"].set_index(["seed", "step", "predictor"])
    assert set(table.index.get_level_values("step")) == {0, 1, 2, 4}
    for seed in (1, 2):
        for step in (0, 4):
            y = observed(run, seed, step)
            for x, name in zip(ngrams, NGRAMS, strict=True):
                row = table.loc[(seed, step, name)]
                assert row["pearson"] == pytest.approx(pearsonr(x, y)[0], abs=1e-9)
                assert row["spearman"] == pytest.approx(spearmanr(x, y)[0], abs=1e-9)
                assert row["low"] <= row["pearson"] <= row["high"]
                assert row["spearman_low"] <= row["spearman"] <= row["spearman_high"]
                assert (row["words"], row["sequences"], row["unit"]) == (len(y), 10, "word")


def test_similarity_is_correlated_over_the_words_that_have_one(
    run: ps.run.Run, tables: dict[str, pd.DataFrame]
) -> None:
    from phasescope.texts import Vectors

    read = words_read(run.inputs)
    (kept,) = (run.path / "reference").glob("vectors-*.bin")
    similarity = contextual_similarity(Vectors.read(kept).of(read.words), read.place, weighted=True)[read.measured]
    known = np.isfinite(similarity)
    row = tables["heuristics"].set_index(["seed", "step", "predictor"]).loc[(1, 4, "similarity_weighted")]
    assert row["pearson"] == pytest.approx(pearsonr(similarity[known], observed(run, 1, 4)[known])[0], abs=1e-9)
    assert row["words"] == known.sum()


def test_the_regression_has_its_rows_and_its_r2(tables: dict[str, pd.DataFrame]) -> None:
    fit = tables["heuristic_fit"]
    assert set(fit["term"]) == {"unigram", "5-gram", "similarity_weighted"}
    assert len(fit) == 2 * 4 * 3
    assert (fit["r2_training"] <= 1).all()
    assert (fit["low"] <= fit["coefficient"]).all()
    assert (fit["coefficient"] <= fit["high"]).all()
    assert (fit["words_training"] + fit["words_held_out"] <= tables["heuristics"]["words"].max()).all()


def test_peaks_are_of_each_seed_and_of_their_mean(tables: dict[str, pd.DataFrame]) -> None:
    peaks, curves = tables["heuristic_peaks"], tables["heuristics"]
    pearson = peaks[peaks["measure"] == "pearson"]
    assert len(pearson) == 3 * 5
    for row in pearson.itertuples():
        mine = curves[curves["predictor"] == row.predictor]
        if not pd.isna(row.seed):
            mine = mine[mine["seed"] == row.seed]
        curve = mine.groupby("step")["pearson"].mean()
        assert row.peak_step == curve.idxmax()
        assert row.correlation == pytest.approx(curve.max())
        assert row.low <= row.peak_step <= row.high
        assert row.at_end == (row.peak_step == 4)


def test_tokens_too(run: ps.run.Run) -> None:
    before = set((run.path / "reference").iterdir())
    everything = run.analyse("heuristics", options=Options(resamples=20))
    table = everything["heuristics"]
    assert set(table["unit"]) == set(everything["heuristic_fit"]["unit"]) == {"word", "token"}
    table = table[table["unit"] == "token"]
    assert table["words"].max() == 10 * 31
    (folder,) = set((run.path / "reference").iterdir()) - before  # the index of tokens
    index, tokens = NgramIndex(folder), run.inputs.tokens[:10].astype(np.int64)
    scores = ngram_log_probabilities(tokens.ravel(), np.tile(np.arange(32), 10), index).reshape(5, 10, 32)[:, :, 1:]
    y = -array(run.path, "150k", 1, 4, "outputs/surprisal").ravel()
    row = table.set_index(["seed", "step", "predictor"]).loc[(1, 4, "bigram")]
    assert row["pearson"] == pytest.approx(pearsonr(scores[1].ravel(), y)[0], abs=1e-9)
    assert table.set_index("predictor").loc["similarity", "reason"].iloc[0] == "tokens have no word vectors"


def test_the_default_corpus_is_the_text_that_was_trained_on(nursery: Path, run: ps.run.Run) -> None:
    held_out = [json.loads(line)["text"] for line in (nursery / "heldout.jsonl").read_text().splitlines()]
    trained = [text for text in documents(400) if text not in held_out]
    counted = list(index_of(run).documents())
    assert counted[:-1] == [re.findall(r"\w+", text) for text in trained][: len(counted) - 1]
    assert len(counted) in (len(trained), len(trained) + 1)  # a document at the border may be cut


def test_the_index_is_made_once(run: ps.run.Run, tables: dict[str, pd.DataFrame]) -> None:
    before = {path: path.stat().st_mtime_ns for path in (run.path / "reference").rglob("*")}
    run.analyse("heuristics", options=Options(resamples=5))
    assert {path: path.stat().st_mtime_ns for path in (run.path / "reference").rglob("*")} == before


def test_without_a_corpus_it_is_absent_not_an_error(captured: Path, tmp_path: Path) -> None:
    run = ps.open_run(shutil.copytree(captured, tmp_path / "run"))
    table = run.analyse("heuristics")["heuristics"]
    assert table.empty
    assert "no reference corpus" in table.attrs["absent"]
    assert "--reference FILE" in run.table("heuristics").attrs["absent"]  # also when it is read from the disk


def test_corpora_of_ones_own(captured: Path, texts_file: Path, tmp_path: Path) -> None:
    run = ps.open_run(shutil.copytree(captured, tmp_path / "run"))
    some = Options(resamples=10, reference=str(texts_file))
    table = run.analyse("heuristics", options=some)["heuristics"]
    assert table["reference"].unique().tolist() == [str(texts_file)]
    assert table.set_index("predictor").loc[list(NGRAMS), "pearson"].notna().all()
    index = index_of(run).folder
    again = run.analyse("heuristics", options=some.but(reference=str(index)))["heuristics"]
    np.testing.assert_array_equal(table["pearson"], again["pearson"])
    counts = tmp_path / "counts.tsv"
    counts.write_text("the\t9\nlayer\t4\nevery\t2\nof\t5\n", encoding="utf-8")
    few = run.analyse("heuristics", options=some.but(reference=str(counts)))
    assert few["heuristics"].groupby("predictor")["pearson"].apply(lambda values: values.notna().all()).to_dict() == {
        **dict.fromkeys(NGRAMS, False), "unigram": True, "similarity": False, "similarity_weighted": False,
    }  # fmt: skip
    assert set(few["heuristics"]["reason"]) == {
        "", "the reference counts words, not n-grams", "no word vectors were given (--vectors FILE)",
    }  # fmt: skip
    with pytest.raises(PhasescopeError, match="index of words, and tokens are wanted"):
        run.analyse("heuristics", options=some.but(reference=str(index), unit="token"))
    with pytest.raises(PhasescopeError, match="There is no unit 'letter'"):
        some.but(unit="letter")


def test_a_corpus_in_another_script_or_encoding_is_said(captured: Path, tmp_path: Path) -> None:
    run = ps.open_run(shutil.copytree(captured, tmp_path / "run"))
    other = tmp_path / "other.txt"
    other.write_text("все счастливые семьи похожи друг на друга " * 5, encoding="utf-8")
    table = run.analyse("heuristics", options=Options(resamples=10, reference=str(other)))["heuristics"]
    ngrams = table[table["predictor"].isin(NGRAMS[:1])]
    assert ngrams["pearson"].isna().all()
    assert ngrams["reason"].str.contains("another language or script").all()
    wrong = tmp_path / "wrong.txt"
    wrong.write_bytes("déjà vu".encode("latin-1"))
    with pytest.raises(PhasescopeError, match=r"wrong\.txt is not UTF-8: line 1"):
        run.analyse("heuristics", options=Options(reference=str(wrong)))
    assert not list((run.path / "reference").glob(".*"))  # no half of an index is left


def test_agreement_is_the_correlation_of_two_models(run: ps.run.Run, tables: dict[str, pd.DataFrame]) -> None:
    pairs, means = tables["agreement_pairs"], tables["agreement"]
    assert len(pairs) == 4
    for row in pairs.itertuples():
        x, y = observed(run, row.seed, row.step), observed(run, row.beside_seed, row.step)
        assert row.pearson == pytest.approx(pearsonr(x, y)[0], abs=1e-9)
        assert row.low <= row.pearson <= row.high
    assert means["relation"].tolist() == ["seeds"] * 4
    np.testing.assert_allclose(means["pearson"], pairs["pearson"])


def test_agreement_across_sizes_and_one_seed_only(captured: Path, tmp_path: Path) -> None:
    run = ps.open_run(shutil.copytree(captured, tmp_path / "run"))
    table = run.analyse("agreement", options=Options(resamples=10))["agreement"]
    assert table.groupby("relation")["pairs"].max().to_dict() == {"seeds": 1, "sizes": 4}
    for path in (run.path / "checkpoints").glob("small/seed*"):
        shutil.rmtree(path)
    shutil.rmtree(run.path / "checkpoints/tiny/seed2")
    with pytest.warns(PhasescopeWarning, match="has lost"):
        alone = ps.open_run(run.path).analyse("agreement")["agreement"]
    assert alone.empty
    assert "needs two seeds or sizes" in alone.attrs["absent"]


def test_agreement_with_another_run_by_words(nursery: Path, run: ps.run.Run, tmp_path: Path) -> None:
    """Another tokenizer cuts the same text elsewhere; words that have the same words before them are the same."""
    text = tmp_path / "text.jsonl"
    shutil.copy(nursery / "heldout.jsonl", text)
    other = train_sample(tmp_path / "suite", documents(200, 1), seeds=[7], steps=1, batch=2, context=32, vocabulary=290)
    theirs = ps.capture(
        other, text, tmp_path / "theirs", sequences=24, context=30, output_sequences=24, sites="mlp_out"
    )
    ours = ps.capture(nursery, text, tmp_path / "ours", sequences=20, context=32, output_sequences=20, sites="mlp_out")
    tables = ours.analyse("agreement", options=Options(resamples=20, beside=(str(theirs.path),)))
    beside = tables["agreement"][tables["agreement"]["relation"] == "runs"]
    assert beside["step"].tolist() == [0, 1]
    assert beside["beside_run"].unique().tolist() == ["theirs"]
    assert beside["words"].min() > 50
    row = tables["agreement_pairs"].query("beside_run == 'theirs' and seed == 2 and step == 1").iloc[0]
    found: dict[tuple[str, ...], list[list[float]]] = {}
    for number, (one, seed) in enumerate([(ours, 2), (theirs, 7)]):
        read, values = words_read(one.inputs), iter(observed(one, seed, 1))
        for i in np.flatnonzero(read.measured):
            value = next(values)
            if read.place[i] >= 5:
                found.setdefault(tuple(read.words[i - 5 : i + 1]), [[], []])[number].append(value)
    both = [(x[0], y[0]) for x, y in found.values() if len(x) == len(y) == 1]
    assert row["words"] == len(both)
    assert row["pearson"] == pytest.approx(pearsonr(*zip(*both, strict=True))[0], abs=1e-9)


def test_agreement_with_a_run_of_another_text_is_refused(run: ps.run.Run, captured: Path) -> None:
    with pytest.raises(PhasescopeError, match="no words in common"):
        run.analyse("agreement", options=Options(beside=(str(captured),)))


@pytest.mark.parametrize("bos", ["always", "never"])
def test_tokens_that_are_measured_are_those_of_the_text(bos: str) -> None:
    """A beginning-of-text token is no unit; column j of the surprisal is about token j + 1 of the window."""
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"bos_token": "<s>"})  # type: ignore[attr-defined]
    inputs = freeze([Document("the cat sat on the mat. " * 9)], tokenizer, sequences=3, context=8, bos=bos)
    units = token_units(cast(RunReader, SimpleNamespace(inputs=inputs)))
    surprisal = np.arange(3 * 7, dtype=np.float64).reshape(3, 7)
    of_text = inputs.tokens[:, inputs.first :]
    assert units.ids.tolist() == of_text.ravel().tolist()
    assert units.place.tolist() == [*range(of_text.shape[1])] * 3
    assert units.ids[units.measured].tolist() == inputs.tokens[:, 1:].ravel().tolist()
    assert (-units.log_probabilities(surprisal)).tolist() == surprisal.ravel().tolist()
