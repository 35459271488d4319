from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pandas as pd

from phasescope.analyses import Options
from phasescope.analyses.link.first_fifth import first_fifth
from phasescope.reports.kit import tidy
from phasescope.reports.page.findings import findings, headline
from tests.reports.tables import SyntheticRun, make_run, settling_of


def told(run: SyntheticRun, topic: str) -> list[str]:
    return [finding.sentence for finding in findings(run) if finding.topic == topic]


def planted(tmp_path: Path, settles: dict[tuple[int, str], list[int | None]]) -> SyntheticRun:
    """One size whose sites settle exactly where it is said, one step per seed."""
    steps = (0, 1, 2, 4, 8, 16, 32, 64, 100)
    seeds = range(1, 1 + len(next(iter(settles.values()))))
    run = make_run(tmp_path, depths={"1m": 2}, seeds=list(seeds), steps=steps, components=("attn_out", "mlp_out"))
    table = run.tables["convergence"].copy()
    for (layer, component), wanted in settles.items():
        for seed, step in zip(seeds, wanted, strict=True):
            here = (table["layer"] == layer) & (table["component"] == component) & (table["seed"] == seed)
            start = 100 if step is None else step
            cka = pd.Series([0.95 if at >= start else 0.1 for at in table.loc[here, "step"]], table.index[here])
            table.loc[here, "cka"], table.loc[here, "low"], table.loc[here, "high"] = cka, cka - 0.02, cka + 0.02
    run.tables["convergence"], run.tables["settling"] = table, settling_of(table)
    run.tables["first_fifth"] = first_fifth(run.tables["settling"], table, Options())
    return run


def test_first_last_and_never_settling_are_told_with_their_range(tmp_path: Path) -> None:
    run = planted(
        tmp_path,
        {
            (0, "mlp_out"): [4, 8, 16],
            (0, "attn_out"): [16, 16, 32],
            (1, "mlp_out"): [32, 64, 64],
            (1, "attn_out"): [64, None, None],
        },
    )
    assert told(run, "settling") == [
        "In 1m, mlp_out of L0 settles first, at step 8 [4, 16]: from there on CKA to the final state stays at 0.9 or "
        "more (median of 3 seeds, their range in brackets); mlp_out of L1 settles last, at step 64 [32, 64]; 1 of 4 "
        "sites does not settle before the last step, 100."
    ]
    assert told(run, "fifth") == [
        # Of the seeds' layers a half, a half and a quarter: 41.7 ± 4.303 × 14.4 / √3 (Student's t of two degrees)
        "Of the 4 sites of 1m, 42 % [6, 78] settle within the first fifth of training, by step 20 (τ = 0.9; mean of "
        "3 seeds, 95 % interval)."
    ]


def test_sites_that_settle_together_are_told_together(tmp_path: Path) -> None:
    everywhere = [(layer, component) for layer in (0, 1) for component in ("attn_out", "mlp_out")]
    (sentence,) = told(planted(tmp_path, {site: [8, 8] for site in everywhere}), "settling")
    assert sentence.startswith("In 1m, all 4 sites settle at step 8 [8, 8]: from there on")
    assert "last" not in sentence
    (sentence,) = told(planted(tmp_path, {site: [None, None] for site in everywhere}), "settling")
    assert sentence == "In 1m, no site settles before the last step, 100 (CKA to the final state of 0.9 or more)."


def test_one_seed_has_its_interval_in_brackets(tmp_path: Path) -> None:
    (sentence,) = told(planted(tmp_path, {(0, "mlp_out"): [2], (1, "mlp_out"): [8], (0, "attn_out"): [8],
                                          (1, "attn_out"): [8]}), "settling")  # fmt: skip
    assert "at step 2 [1, 4]" in sentence
    assert "one seed, its bootstrap interval in brackets" in sentence


def test_surprisal_is_told_against_token_frequencies(run: SyntheticRun) -> None:
    table = pd.DataFrame(
        {"size": "0.4m", "seed": 1, "step": [0, 8, 16, 64], "surprisal": [8.0, 5.0, 7.0, 4.0], "unigram": 6.5}
    ).assign(sequences=18, tokens=100)
    table = table.assign(low=table["surprisal"] - 0.1, high=table["surprisal"] + 0.2)
    one = replace(run, tables=run.tables | {"surprisal": table})
    assert told(one, "surprisal") == [
        "The surprisal of 0.4m falls from 8.00 [7.90, 8.20] at step 0 to 4.00 [3.90, 4.20] at step 64 (nats per token; "
        "one seed, its 95 % interval in brackets), 2.50 below the 6.50 of token frequencies alone, which it passes at "
        "step 64."  # at step 8 it was below, but not for good
    ]
    flat = replace(run, tables=run.tables | {"surprisal": table.assign(surprisal=[8.0, 5.0, 7.0, 8.001])})
    assert "hardly changes, from 8.00 [7.90, 8.20] at step 0 to 8.00 [3.90, 4.20]" in told(flat, "surprisal")[0]
    worse = replace(run, tables=run.tables | {"surprisal": table.assign(unigram=3.0)})
    assert told(worse, "surprisal")[0].endswith("1.00 above the 3.00 of token frequencies alone.")


def test_seeds_are_told_by_their_peak_and_end(run: SyntheticRun) -> None:
    table = pd.DataFrame({"size": "0.4m", "step": [0, 8, 64], "kl": [0.01, 0.9, 0.5], "seeds": 3})
    table = table.assign(low=table["kl"] - 0.01, high=table["kl"] + 0.01, missing="", sequences=18, tokens=100)
    known = replace(run, tables=run.tables | {"seeds": table})
    assert told(known, "seeds") == [
        "The 3 seeds of 0.4m are furthest apart at step 8 (expected KL 0.90 [0.89, 0.91] nats per token) and end, at "
        "step 64, at 0.50 [0.49, 0.51]."
    ]
    untrained = table.assign(step=[8, 64, 100], kl=[0.9, 0.1, 0.5], low=[0.8, 0.1, 0.4], high=[1.0, 0.2, 0.6])
    again = replace(run, tables=run.tables | {"seeds": untrained})
    assert told(again, "seeds") == [
        "The 3 seeds of 0.4m begin furthest apart (expected KL 0.90 [0.80, 1.00] nats per token at step 8), are "
        "closest at step 64 (0.10 [0.10, 0.20]) and part again until step 100 (0.50 [0.40, 0.60])."
    ]
    unsure = replace(run, tables=run.tables | {"seeds": untrained.assign(low=0.05)})
    assert "furthest apart at step 8" in told(unsure, "seeds")[0]
    rising = replace(run, tables=run.tables | {"seeds": table[:2]})
    assert "furthest apart at the last step, 8: expected KL 0.90" in told(rising, "seeds")[0]


def test_the_largest_change_of_rank_is_told_with_its_direction(run: SyntheticRun) -> None:
    table = run.table("rank").assign(proportional=0.5)
    moved = (table["size"] == "0.4m") & (table["component"] == "OV") & (table["layer"] == 2) & (table["step"] == 1000)
    table.loc[moved, "proportional"] = table.loc[moved, "seed"].map({1: 0.2, 2: 0.25, 3: 0.25})
    known = replace(run, tables=run.tables | {"rank": table})
    assert told(known, "rank")[0] == (
        "The proportional effective rank of 0.4m changes most in OV of L2, where it falls from 0.500 [0.500, 0.500] at "
        "step 0 to 0.250 [0.200, 0.250] at step 1000 (median over heads and 3 seeds, range of the seeds in brackets)."
    )


def test_what_models_were_asked_is_told_with_what_every_seed_agrees_on(run: SyntheticRun) -> None:
    (sentence, _) = told(run, "questions")
    assert sentence.startswith("At step 1000, 0.4m answers right 66 % [66, 67] of 200 questions of arc_easy (beyond")
    table = run.table("multiple_choice")
    doubtful = table.assign(low=table["low"].where(table["seed"] != 2, 0.2))
    (sentence, _) = told(replace(run, tables=run.tables | {"multiple_choice": doubtful}), "questions")
    assert "of arc_easy (not surely beyond the 25 % of chance)" in sentence

    (sentence, _) = told(run, "context")
    assert "is -0.41 [-0.42, -0.41] nats: what was read helps (median of 3 seeds" in sentence
    scores = run.table("in_context_learning")
    doubtful = scores.assign(high=scores["high"].where(scores["seed"] != 2, 0.1))
    (sentence, _) = told(replace(run, tables=run.tables | {"in_context_learning": doubtful}), "context")
    assert "not surely different from none" in sentence

    (sentence, _) = told(run, "noise")
    last = tidy.of(run.table("noise"), size="0.4m", kind="swap", rate=0.2, step=1000)["ratio"]
    assert f"has {last.median():.1f} [{last.min():.1f}, {last.max():.1f}] (swap)" in sentence

    (sentence, _) = told(run, "benchmarks")
    assert sentence.startswith("Of 6 tasks that 0.4m was measured on by acc, 6 surely end higher")
    fallen = run.table("evaluations")
    fallen = fallen.assign(low=fallen["low"].where(fallen["step"] < 1000, 0.0))
    assert told(replace(run, tables=run.tables | {"evaluations": fallen}), "benchmarks") == []


def test_the_headline_is_three_sentences_about_the_largest_size(run: SyntheticRun) -> None:
    sentences = headline(run)
    assert len(sentences) == 3
    assert all("1.6m" in sentence for sentence in sentences)
    assert {found.size for found in findings(run)} == {"0.4m", "1.6m"}


def test_what_cannot_be_said_is_not_said(run: SyntheticRun, tmp_path: Path) -> None:
    one_step = make_run(tmp_path, steps=(512,))
    assert findings(one_step) == []
    assert headline(one_step) == []
    fifth = run.table("first_fifth").iloc[:0]
    convergence = run.table("convergence").assign(cka=math.nan)
    unsettled = settling_of(convergence.iloc[: 12 * 40])
    blind = replace(run, tables=run.tables | {"convergence": convergence, "settling": unsettled, "first_fifth": fifth})
    assert not told(blind, "settling")
    assert not told(blind, "fifth")
    assert len(headline(blind)) == 3  # surprisal, seeds, rank
    assert findings(replace(run, tables={})) == []


def test_what_is_high_from_the_beginning_or_by_chance_is_told_as_that(tmp_path: Path) -> None:
    run = planted(tmp_path, {(0, "mlp_out"): [0, 0], (0, "attn_out"): [16, 32], (1, "mlp_out"): [32, 32]})
    table = run.tables["convergence"]
    chance = (table["layer"] == 1) & (table["component"] == "attn_out")
    table.loc[chance, ["cka", "low", "high"]] = [[0.5 if step < 8 else 0.96] * 3 for step in table.loc[chance, "step"]]
    table.loc[chance, "shuffled"] = 0.93
    run.tables["settling"] = settling_of(table)
    run.tables["first_fifth"] = first_fifth(run.tables["settling"], table, Options())
    assert told(run, "settling") == [
        "In 1m, attn_out of L0 settles first, at step 16 [16, 32]: from there on CKA to the final state stays at 0.9 "
        "or more (median of 2 seeds, their range in brackets); mlp_out of L1 settles last, at step 32 [32, 32]; when "
        "others settle cannot be told: mlp_out of L0 has CKA 0.95 at step 0; attn_out of L1 has CKA up to 0.93 with "
        "texts that do not match."
    ]
    (fifth,) = told(run, "fifth")
    assert fifth.startswith("Of the 2 sites of 1m that moved, 25 %")
    everywhere = [(layer, component) for layer in (0, 1) for component in ("attn_out", "mlp_out")]
    (sentence,) = told(planted(tmp_path, {site: [0, 0] for site in everywhere}), "settling")
    assert sentence == (
        "When the sites of 1m settle cannot be told (CKA to the final state of 0.9 or more): attn_out of L0, mlp_out "
        "of L0, attn_out of L1 and 1 more have CKA 0.95 at step 0."
    )
    assert not told(planted(tmp_path, {site: [0, 0] for site in everywhere}), "fifth")
