from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.minimal_pairs import MINIMAL_PAIRS, identical, pair_margins
from phasescope.texts import Scores, join
from phasescope.texts.items.minimal_pairs import read_pairs

OWN = ("own_determiner_noun", "own_subject_verb", "own_word_order", "own_indefinite_article")


@pytest.fixture(scope="module")
def asked(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    """The run of two sizes × two seeds × four steps, asked for our own pairs and for two paradigms of a file."""
    folder = tmp_path_factory.mktemp("asked")
    shutil.copytree(captured, folder / "toy")
    lines = []
    for name, (good, bad) in {
        "order": ("The layer says", "layer The says"),
        "say": ("seeds learn", "seed learn"),
    }.items():
        lines += [
            {"UID": name, "sentence_good": f"{good} {word}.", "sentence_bad": f"{bad} {word}."}
            for word in ("what follows", "the weather", "nothing", "it all")
        ]
    (folder / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run = ps.open_run(folder / "toy")
    run.visit(["minimal_pairs", f"minimal_pairs={folder / 'pairs.jsonl'}"])
    return run


def test_the_same_as_plain_loops_over_the_models(asked: ps.Run, suite_folder: Path) -> None:
    """Accuracy exactly; log-probabilities to the rounding of float32 in another order."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    table = asked.minimal_pairs()
    for size, seed, step in [("tiny", 2, 16)]:
        folder = suite_folder / size / f"seed{seed}" / f"step{step}"
        model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        entries = len(tokenizer)
        of_model = table[(table["size"] == size) & (table["seed"] == seed) & (table["step"] == step)]

        def score(sentence: str, before: str = "", model=model, tokenizer=tokenizer, entries=entries) -> float:  # type: ignore[no-untyped-def]
            """ln p of a sentence after the end-of-text token, less what is before a word in it."""
            tokens = [tokenizer.eos_token_id, *tokenizer.encode(sentence)]
            with torch.no_grad():
                said = model(torch.tensor([tokens])).logits[0, :, :entries].double().log_softmax(-1)
            log_prob = [float(said[i - 1, tokens[i]]) for i in range(1, len(tokens))]
            return sum(log_prob[len(tokenizer.encode(before)) if before else 0 :])

        pairs = list(read_pairs(None))
        for paradigm in OWN:
            mine = [pair for pair in pairs if pair.paradigm == paradigm]
            whole = [score(pair.sentences[0]) - score(pair.sentences[1]) for pair in mine]
            words = [
                score(f"{pair.prefixes[0]} {pair.words[0]}", pair.prefixes[0])
                - score(f"{pair.prefixes[1]} {pair.words[1]}", pair.prefixes[1])
                for pair in mine
            ]
            for method, margins in (("full_sentence", whole), (mine[0].method, words)):
                row = of_model[(of_model["paradigm"] == paradigm) & (of_model["method"] == method)]
                assert row["accuracy"].item() == np.mean([margin > 0 for margin in margins])
                assert row["margin"].item() == pytest.approx(np.mean(margins), abs=1e-4)
                assert row["pairs"].item() == 64


def test_rows_and_intervals(asked: ps.Run) -> None:
    table = asked.minimal_pairs()
    assert list(table.columns) == list(MINIMAL_PAIRS)
    methods = dict(table.groupby("paradigm")["method"].unique().map(sorted))
    assert methods["own_word_order"] == ["full_sentence", "one_prefix"]
    assert methods["own_indefinite_article"] == ["full_sentence", "two_prefix"]
    assert methods["order"] == methods["all"] == ["full_sentence"]
    counts = table.groupby(["paradigm", "method"]).size()
    assert (counts == 16).all()  # two sizes, two seeds, four steps
    assert ((table["low"] <= table["accuracy"]) & (table["accuracy"] <= table["high"])).all()
    assert ((table["margin_low"] <= table["margin"]) & (table["margin"] <= table["margin_high"])).all()
    assert table["low"].min() >= 0
    assert table["high"].max() <= 1


def test_means_over_paradigms(asked: ps.Run) -> None:
    table = asked.minimal_pairs().query("method == 'full_sentence'").set_index(["size", "seed", "step"])
    for name, parts in (("all", ("order", "say")), ("own_all", OWN)):
        mean = sum(table[table["paradigm"] == part]["accuracy"] for part in parts) / len(parts)
        found = table[table["paradigm"] == name]
        np.testing.assert_allclose(found["accuracy"], mean.loc[found.index], rtol=1e-12)
        assert set(found["pairs"]) == {sum(set(table[table["paradigm"] == part]["pairs"]).pop() for part in parts)}


def test_the_interval_is_that_of_a_mean_of_shares(asked: ps.Run) -> None:
    """The bootstrap's standard error of a share is √(p (1 − p) / n): here within the noise of 4000 resamples."""
    made = asked.analyse("minimal_pairs", options=Options(resamples=4000, level=0.95))["minimal_pairs"]
    some = made[made["paradigm"].isin(OWN) & made["accuracy"].between(0.3, 0.7)]
    assert len(some)
    wanted = 2 * 1.96 * np.sqrt(some["accuracy"] * (1 - some["accuracy"]) / some["pairs"])
    np.testing.assert_allclose(some["high"] - some["low"], wanted, rtol=0.12)  # shares come in steps of 1 / 64


def test_ties_count_half_and_are_seen_through_any_order_of_sums() -> None:
    sequences = [np.array([0, 1, 2, 3])] * 4
    columns = {
        "method": ["one_prefix"] * 4,
        "word_first": [2, 2, 1, 1],
        "word_last": [3, 3, 4, 4],
    }
    items = join("minimal_pairs", "ties", sequences, [(1, 4)] * 4, columns, "x")
    log_prob = np.array([[0.1, 0.7, 0.3], [0.3, 0.7, 0.1], [0.2, 0.5, 0.9], [0.2, 0.4, 0.9]], dtype=np.float32)
    margins = pair_margins(items, Scores(-log_prob.ravel(), np.zeros(4)), np.zeros(2, bool))
    assert margins["one_prefix"].tolist() == [0, pytest.approx(-0.1, abs=1e-6)]
    assert margins["full_sentence"][1] == pytest.approx(-0.1, abs=1e-6)


def test_identical_sentences_are_ties_whatever_rounding_makes_of_them() -> None:
    sequences = [np.array([0, 1, 2])] * 2 + [np.array([0, 1, 2]), np.array([0, 1, 3])]
    columns = {"method": ["one_prefix"] * 4, "word_first": [2] * 4, "word_last": [3] * 4}
    items = join("minimal_pairs", "same", sequences, [(1, 3)] * 4, columns, "x")
    assert identical(items).tolist() == [True, False]
    log_prob = np.array([-1, -2, -1, -2.0001, -1, -2, -1, -3], dtype=np.float32)
    margins = pair_margins(items, Scores(log_prob, np.zeros(4)), identical(items))
    assert margins["full_sentence"].tolist() == margins["one_prefix"].tolist() == [0, 1]


def test_a_set_with_identical_pairs_is_read_and_its_ties_are_told(captured: Path, tmp_path: Path) -> None:
    shutil.copytree(captured, tmp_path / "toy")
    lines = [
        {"UID": "passive", "sentence_good": f"The layer {verb}.", "sentence_bad": f"The layer {bad}."}
        for verb, bad in [("says", "say"), ("settles", "settles"), ("listens", "listen"), ("drifts", "drift")]
    ]
    (tmp_path / "passive.jsonl").write_text("\n".join(map(json.dumps, lines)))
    run = ps.open_run(tmp_path / "toy")
    run.visit(f"minimal_pairs={tmp_path / 'passive.jsonl'}")
    table = run.minimal_pairs()
    assert set(table["ties"]) == {1}
    assert set(table["pairs"]) == {4}
    assert set(table["accuracy"]) <= {0.125, 0.375, 0.625, 0.875}  # three that are chosen, and half of one
    assert "the same count half, as every tie: 1 of 4 of passive." in table.attrs["identical"]


def test_a_run_that_was_not_asked_says_how_to_ask(captured: Path, tmp_path: Path) -> None:
    shutil.copytree(captured, tmp_path / "toy")
    table = ps.open_run(tmp_path / "toy").minimal_pairs()
    assert table.empty
    assert list(table.columns) == list(MINIMAL_PAIRS)
    assert "phasescope visit" in table.attrs["absent"]


def test_checkpoints_without_scores_are_named(asked: ps.Run, tmp_path: Path) -> None:
    shutil.copytree(asked.path, tmp_path / "toy")
    run = ps.open_run(tmp_path / "toy")
    key = run.reader.key("tiny", 1, 4)
    for name in (*OWN, "order"):
        run.folder.scores("minimal_pairs", name, key).unlink()
    table = run.minimal_pairs()
    assert (
        "1 of 16 checkpoints were not asked for all minimal pairs (the first: tiny/seed1/step4)"
        in table.attrs["unscored"]
    )
    mine = table.query("size == 'tiny' and seed == 1 and step == 4")
    assert set(mine["paradigm"]) == {"say"}
    assert not set(itertools.chain(table.attrs)) & {"absent"}
