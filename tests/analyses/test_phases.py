"""Phases of tables and runs: bad input, study B's names, and the published correlations of study C."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.phases.curves import Curve, curves_of, read_any_table
from phasescope.analyses.phases.found import phases_in_run, phases_in_table, phases_of
from phasescope.analyses.phases.named import NAMES, Evidence, named_phases
from phasescope.errors import PhasescopeError
from phasescope.measures import find_phases
from tests.conftest import shared

STEPS = np.array([0, *(2**i for i in range(12))])
FAST = Options(resamples=60)


def table_of(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"step": [0, 1, 2], "seed": 1, "loss": [3.0, 2.0, 1.0], **columns})


@pytest.mark.parametrize(
    ("table", "by", "said"),
    [
        (table_of(), ["sead"], "no column 'sead'. Did you mean seed? There are: step, seed, loss"),
        (table_of(step=[0, 1, -2]), [], "has step -2 in row 3: steps are counted from 0"),
        (table_of(step=[0, None, 2]), [], "'step' of steps is empty in row 2"),
        (
            table_of(step=["0", "one", "2"]),
            [],
            "'step' holds 'one' in row 2, which is not a number: correct it, or choose another",
        ),
        (table_of(loss=["3", "n/a?", "1"]), [], "'loss' holds 'n/a?' in row 2, which is not a number"),
        (
            table_of(step=[0, 1, 1], size=["14m", "14m", "31m"]),
            ["seed"],
            "Seed 1 has several values at step 1: name the columns",
        ),
        (table_of(step=[0, 1, 1]), ["seed"], "several values at step 1: keep one row for each step"),
    ],
)
def test_what_is_no_curve_is_one_sentence(table: pd.DataFrame, by: list[str], said: str) -> None:
    with pytest.raises(PhasescopeError) as caught:
        curves_of(table, step="step", value="loss", by=by)
    assert said in str(caught.value)


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    for name, content, said in (
        ("table.json", "{}", "neither .csv, .tsv nor .parquet"),
        ("table.parquet", "nothing", "cannot be read as .parquet"),
        ("table.csv", "step,value\n", "has no rows"),
        ("empty.csv", "", "is empty"),
        ("ragged.csv", "step,value\n0,1\n1,2,3\n", "cannot be read as .csv"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(PhasescopeError, match=said):
            read_any_table(tmp_path / name)
    with pytest.raises(PhasescopeError, match="There is no table"):
        read_any_table(tmp_path / "missing.csv")


def test_unsorted_rows_gaps_and_a_consensus_of_seeds() -> None:
    rows = [(seed, step, seed + step) for seed in (2, 1) for step in (4, 0, 2) if (seed, step) != (1, 2)]
    table = pd.DataFrame(rows, columns=["seed", "step", "value"]).assign(task="blimp")
    one, two, together = curves_of(table, step="step", value="value", by=["task", "seed"])
    assert two.group == {"task": "blimp", "seed": 2}
    many = pd.DataFrame({"step": [0] * 3, "value": [1.0] * 3, "seed": ["seed10", "seed2", "seed1"]})
    found = curves_of(many, step="step", value="value", by=["seed"])[:3]
    assert [curve.group["seed"] for curve in found] == ["seed1", "seed2", "seed10"]
    assert (two.steps.tolist(), two.values.tolist()) == ([0, 2, 4], [[2, 4, 6]])
    assert together.group == {"task": "blimp"}
    np.testing.assert_array_equal(together.values, [[1, np.nan, 5], [2, 4, 6]])
    assert len(one.steps) == 2
    named = table.rename(columns={"seed": "run"})
    assert len(curves_of(named, step="step", value="value", by=["task"], seed="run")) == 3
    assert len(curves_of(named, step="step", value="value", by=["task", "run"])) == 2


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_records_of_a_table_on_disk(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"curves{suffix}"
    curve = np.interp(np.log1p(STEPS), [0, 3, 5, 8], [1, 1, 0, 0.5])
    table = pd.DataFrame({"at": STEPS, "value": curve, "size": "14m"})
    if suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, sep="\t" if suffix == ".tsv" else ",", index=False)
    (found,) = phases_in_table(path, "at", "value", ["size"], None, FAST)
    record = found.record()
    assert set(record) == {"group", "phases", "boundaries", "peak"}
    assert record["group"] == {"size": "14m"}
    assert [set(phase) for phase in record["phases"]] == [{"start", "end", "label", "slope"}] * 3
    assert record["boundaries"][0]["step"] == pytest.approx(np.expm1(3), abs=0.1)
    assert record["boundaries"][1]["step"] == pytest.approx(np.expm1(5), abs=0.1)
    assert record["peak"]["step"] in STEPS
    with pytest.raises(PhasescopeError, match=r"Name the column of values with --value\. There are: at, value, size"):
        phases_in_table(path, "at", None, [], None, FAST)


@pytest.mark.parametrize("at_once", [64, 1], ids=["here", "by processes"])
def test_many_curves_are_found_as_each_alone(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly: neither how many curves there are nor how many processors share them changes a digit."""
    generator = np.random.default_rng(0)
    grids = [STEPS, STEPS[:9]]
    curves = [
        Curve({"task": number}, at := grids[number % 2], generator.standard_normal((1 + number % 3, len(at))).cumsum(1))
        for number in range(9)
    ]
    alone = [find_phases(curve.steps, curve.values, resamples=60) for curve in curves]
    told: list[int] = []
    monkeypatch.setattr("phasescope.analyses.phases.found._AT_ONCE", at_once)
    monkeypatch.setattr("phasescope.analyses.phases.found.cores", lambda: 2)
    assert phases_of(curves, FAST, told.append) == alone
    assert sum(told) == 9


def kl_of(*knots: tuple[float, float]) -> np.ndarray:
    x, y = zip(*knots, strict=True)
    noise = 0.003 * np.random.default_rng(1).standard_normal(len(STEPS))
    return np.interp(np.log1p(STEPS), x, y) + noise


FULL = kl_of((0, 0.4), (2.2, 0.4), (3.8, 0.15), (5.2, 0.6), (7.6, 0.35))
SMALL = kl_of((0, 0.4), (2.2, 0.4), (3.8, 0.15), (5.2, 0.6), (7.6, 0.6))


def evidence() -> Evidence:
    x = np.log1p(STEPS)
    distances = {"uniform": np.interp(x, [0, 2.2, 4, 7.6], [0.1, 0.1, 1.2, 3.0])}
    distances["unigram"] = np.interp(x, [0, 2.2, 3.8, 7.6], [1.2, 1.1, 0.1, 2.0])
    columns = [pd.Series(values, index=STEPS) for values in distances.values()]
    return Evidence(*columns, measured=True)


def test_the_four_phases_of_study_b_are_named_by_evidence() -> None:
    found = find_phases(STEPS, FULL, resamples=60)
    named = named_phases(found, evidence())
    assert [name.name for name in named] == list(NAMES)
    assert "nats from uniform" in named[0].evidence
    assert "KL to the unigram distribution goes from" in named[1].evidence


def test_untrained_models_that_are_furthest_apart_hide_nothing() -> None:
    apart = kl_of((0, 0.9), (2.2, 0.9), (3.8, 0.15), (5.2, 0.6), (7.6, 0.35))
    assert [name.name for name in named_phases(find_phases(STEPS, apart, resamples=60), evidence())] == list(NAMES)


def test_a_size_that_never_reconverges_and_one_without_evidence() -> None:
    found = find_phases(STEPS, SMALL, resamples=60)
    assert [name.name for name in named_phases(found, evidence())] == [*NAMES[:3], ""]
    unnamed = named_phases(found, Evidence())
    assert {(name.name, name.evidence) for name in unnamed} == {
        ("", "neither entropy nor surprisal of this size is known")
    }
    flat = find_phases(STEPS, np.ones(len(STEPS)))
    assert [name.name for name in named_phases(flat, evidence())] == [""]


def test_the_analysis_of_a_run(captured: Path, tmp_path: Path) -> None:
    run = ps.open_run(shutil.copytree(captured, tmp_path / "run"))
    tables = run.analyse("phases", options=FAST)
    phases, peaks = tables["phases"], tables["peaks"]
    assert list(dict.fromkeys(phases["curve"])) == ["kl", "surprisal", "entropy"]
    seeds = set(phases.loc[phases["curve"] == "surprisal", "seed"].fillna(0))
    assert seeds == {0, 1, 2}  # 0: the mean of both
    assert phases.groupby(["curve", "size", "seed"], dropna=False)["phase"].min().eq(0).all()
    # Four steps do not tell a trend from errors.
    assert set(phases["label"]) == {"undetermined"}
    assert (phases["start"] == 0).all()
    assert (phases["end"] == 16).all()
    assert len(peaks) == len(phases)
    pd.testing.assert_frame_equal(run.phases(), phases)
    found = phases_in_run(phases, peaks)
    assert {"curve": "kl", "size": "tiny"} in [one.group for one in found]
    assert all(one.record()["peak"] is not None for one in found)


@pytest.mark.parametrize("family", ["openwebtext_pythia", "openwebtext_mamba", "openwebtext_rwkv"])
@pytest.mark.parametrize("order", range(1, 6))
def test_published_boundaries_agree_with_published_peaks(family: str, order: int) -> None:
    """Consensus of six seeds: what rises significantly begins before the peak, what falls ends after it."""
    table = pd.read_csv(shared("behaviour", "parc_heuristic_correlations.tsv"), sep="\t")
    table = table[(table["ModelFamily"] == family) & (table["CorrelatingVariable"] == f"OpenWebText_{order}gram")]
    *_, together = curves_of(table, step="ModelStep", value="PearsonR", by=["ModelSeed"], seed="ModelSeed")
    assert together.values.shape == (6, 10)
    found = find_phases(together.steps, together.values, resamples=200)
    peak = found.peak
    assert peak is not None
    for phase in found.phases:
        if phase.label.endswith("rising"):
            assert phase.start < peak.high
        if phase.label.endswith("falling"):
            assert phase.end > peak.low
    if order < 3:
        # The unigram and the bigram fall, or at least cease to rise, at a boundary whose peak is near.
        turn = next(number for number, phase in enumerate(found.phases) if not phase.label.endswith("rising"))
        assert turn >= 1
        assert found.boundaries[turn - 1].low <= peak.high
        later = found.boundaries[turn:]
        assert all(boundary.high >= peak.low for boundary in later)
