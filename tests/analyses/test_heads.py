"""When induction heads form, in planted curves of heads and in a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.heads.bumps import bump_rows, strongest_rows
from phasescope.analyses.heads.columns import BUMPS, REPETITION
from phasescope.analyses.heads.scores import Trajectory, score_table
from phasescope.analyses.reader import as_table
from phasescope.measures import bootstrap_weights
from phasescope.texts.items.items import HEAD_SCORES

STEPS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
OPTIONS = Options(resamples=200)


def planted(*turns: float, highest: float = 0.8, noise: float = 0.02, sequences: int = 16, seed: int = 0) -> Trajectory:
    """Heads of one layer whose induction score rises to `highest` around the given steps; infinity: never."""
    random = np.random.default_rng(seed)
    x = np.log1p(STEPS)
    rise = np.stack([1 / (1 + np.exp(-4 * (x - np.log1p(turn)))) for turn in turns], -1)
    shape = (len(STEPS), sequences, len(turns), len(HEAD_SCORES))
    twins = 0.01 + noise * random.random(shape)
    repeated = 0.01 + noise * random.random(shape)
    own = 1 + 0.1 * random.standard_normal((1, sequences, 1))
    repeated[..., HEAD_SCORES.index("induction")] += highest * rise[:, None] * own
    loss = 5 - 3 * rise.max(1, keepdims=True) * own[:, :, 0]
    heads = [(1, head) for head in range(len(turns))]
    return Trajectory("1m", 3, STEPS, heads, repeated, twins, loss, np.full_like(loss, 5.0))


def bumps(run: Trajectory) -> list[dict[str, object]]:
    weights = bootstrap_weights(run.sequences, OPTIONS.resamples, 0).numpy()
    return as_table(bump_rows(run, weights, OPTIONS), BUMPS).to_dict("records")


def test_heads_form_where_they_were_made_to() -> None:
    run = planted(20.0, 200.0, np.inf)
    strongest, early, late = bumps(run)
    assert [row["head"] for row in (early, late)] == [0, 1]
    for row, turn in ((strongest, 20), (early, 20), (late, 200)):
        assert row["forms_step"] == pytest.approx(turn, rel=0.15)  # checkpoints lie a factor of 2 apart
        assert row["low"] <= turn <= row["high"]
        assert row["start"] < turn < row["end"]
        assert row["start_low"] <= row["start"] <= row["start_high"]
        assert row["highest"] == pytest.approx(0.8, abs=0.08)
        assert row["highest_low"] < row["highest"] < row["highest_high"]
        assert row["reason"] == ""
    assert early["high"] < late["low"]


def test_intervals_reach_to_the_checkpoints_on_both_sides() -> None:
    row = bumps(planted(20.0, noise=0, sequences=4))[0]
    # Half of the rise lies at step 20: nobody saw it between 16 and 32.
    assert (row["low"], row["high"]) == (16, 32)


@pytest.mark.parametrize("highest", [0.0, 0.1])
def test_heads_that_never_attend_by_induction_do_not_form(highest: float) -> None:
    [row] = bumps(planted(20.0, 50.0, highest=highest))
    assert np.isnan(row["forms_step"])
    assert np.isnan(row["start"])
    assert "no head attends by induction" in str(row["reason"])


def test_what_twins_do_too_is_no_induction() -> None:
    run = planted(20.0)
    twins = Trajectory(**{**vars(run), "twins": run.repeated})
    assert len(bumps(twins)) == 1
    assert "no head" in str(bumps(twins)[0]["reason"])


def test_a_head_that_is_there_from_the_start_has_no_rise() -> None:
    run = planted(20.0)
    late = Trajectory(**{**vars(run), "steps": STEPS[-4:], "repeated": run.repeated[-4:], "twins": run.twins[-4:],
                         "loss": run.loss[-4:], "twins_loss": run.twins_loss[-4:]})  # fmt: skip
    row = bumps(late)[0]
    assert row["forms_step"] == row["low"] == row["high"] == STEPS[-4]
    alone = Trajectory(**{**vars(run), "steps": STEPS[-1:], "repeated": run.repeated[-1:], "twins": run.twins[-1:],
                          "loss": run.loss[-1:], "twins_loss": run.twins_loss[-1:]})  # fmt: skip
    assert bumps(alone)[0]["reason"] == "1 step tells no rise"


def test_what_repeating_is_worth_and_the_strongest_head() -> None:
    run = planted(20.0, 200.0)
    weights = bootstrap_weights(run.sequences, OPTIONS.resamples, 0).numpy()
    table = as_table(list(strongest_rows(run, weights, OPTIONS)), REPETITION)
    np.testing.assert_allclose(table["gain"], (run.twins_loss - run.loss).mean(1))
    np.testing.assert_allclose(table["gain"], table["twins_loss"] - table["loss"])
    excess = (run.repeated - run.twins)[..., 0].mean(1)
    np.testing.assert_allclose(table["strongest"], excess.max(1))
    assert table["head"].tolist() == excess.argmax(1).tolist()
    assert (table["strongest_low"] <= table["strongest"]).all()
    assert (table["strongest"] <= table["strongest_high"]).all()
    scores = score_table([run], {run.sequences: weights}, 0.95)
    assert len(scores) == len(STEPS) * 2 * len(HEAD_SCORES)
    row = scores[(scores["step"] == 64) & (scores["head"] == 1) & (scores["score"] == "previous_token")].iloc[0]
    assert row["value"] == pytest.approx(run.score("previous_token")[STEPS.index(64), :, 1].mean())
    assert row["low"] < row["value"] < row["high"]


def test_intervals_cover_what_other_sequences_would_have_shown() -> None:
    """Of 60 draws of 16 sequences, how many intervals hold the true mean: 95 %, less some for so few sequences."""
    held = 0
    for seed in range(60):
        run = planted(20.0, seed=seed)
        row = bumps(run)[0]
        held += row["highest_low"] <= 0.8 <= row["highest_high"]
    assert held >= 48


def test_one_sequence_has_no_interval() -> None:
    run = planted(20.0, sequences=1)
    table = as_table(list(strongest_rows(run, np.ones((5, 1)), OPTIONS)), REPETITION)
    assert table["low"].isna().all()
    assert score_table([run], {1: np.ones((5, 1))}, 0.95)["low"].isna().all()


@pytest.fixture(scope="module")
def heads_run(short_suite: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose heads were scored: two seeds, two steps, layers of two heads."""
    out = tmp_path_factory.mktemp("heads") / "run"
    asked = {"sequences": 2, "context": 16, "output_sequences": 2, "sites": "resid_post"}
    ps.capture(short_suite, texts_file, out, behaviour="heads", **asked)
    return out


def test_a_run_is_asked_and_answers(heads_run: Path) -> None:
    run = ps.open_run(heads_run)
    heads, repetition, formed = (run.table(name) for name in ("heads", "repetition", "induction_heads"))
    layers = heads["layer"].nunique()
    assert len(heads) == 2 * 2 * layers * 2 * len(HEAD_SCORES)  # seeds, steps, layers, heads of each
    assert heads["value"].between(heads["low"] - 1e-9, heads["high"] + 1e-9).all()
    assert len(repetition) == 4
    assert formed["reason"].str.contains("no head").all()  # untrained
    assert heads.attrs.get("absent") is None
