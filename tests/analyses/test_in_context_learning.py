"""The in-context-learning score and loss by position, against NumPy over the shards of a real small run."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.in_context_learning import Positions, places, position_bins
from phasescope.errors import PhasescopeError
from tests.analyses.test_analyses import array


@pytest.fixture(scope="module")
def run(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.run.Run:
    return ps.open_run(shutil.copytree(captured, tmp_path_factory.mktemp("context") / "run"))


def test_the_score_is_late_loss_minus_early_loss(run: ps.run.Run) -> None:
    options = Options(resamples=100, early="3", late="20-25")
    table = run.analyse("in_context_learning", options=options)["in_context_learning"]
    assert len(table) == 2 * 2 * 4
    for row in table.itertuples():
        surprisal = array(run.path, row.size, row.seed, row.step, "outputs/surprisal").astype(np.float64)
        early, late = surprisal[:, 2], surprisal[:, 19:25].mean(1)  # column j is about token j + 1
        assert row.score == pytest.approx((late - early).mean(), abs=1e-12)
        assert row.early_loss == pytest.approx(early.mean(), abs=1e-12)
        assert row.late_loss == pytest.approx(late.mean(), abs=1e-12)
        assert row.low <= row.score <= row.high
        assert (row.early, row.late, row.sequences) == ("3", "20-25", 4)


def test_early_and_late_tokens_of_a_sequence_are_resampled_together(run: ps.run.Run) -> None:
    """A sequence that is hard throughout moves both losses and not the score."""
    row = run.analyse("in_context_learning", options=Options(resamples=200, early="1-15", late="16-31"))
    table = row["in_context_learning"]
    surprisal = array(run.path, "small", 1, 16, "outputs/surprisal").astype(np.float64)
    difference = surprisal[:, 15:].mean(1) - surprisal[:, :15].mean(1)
    one = table.set_index(["size", "seed", "step"]).loc[("small", 1, 16)]
    draws = np.random.default_rng(5).integers(0, 4, (20_000, 4))
    spread = np.quantile(difference[draws].mean(1), [0.025, 0.975])
    # Two bootstraps of 4 sequences, one of them of 200 resamples.
    assert one["high"] - one["low"] == pytest.approx(np.diff(spread)[0], rel=0.35)


def test_loss_by_position(run: ps.run.Run) -> None:
    table = run.table("loss_by_position")
    mine = table[(table["size"] == "tiny") & (table["seed"] == 2) & (table["step"] == 4)]
    assert mine[["first", "last"]].to_numpy().tolist() == [
        [1, 1],
        [2, 3],
        [4, 6],
        [7, 10],
        [11, 16],
        [17, 25],
        [26, 31],
    ]
    surprisal = array(run.path, "tiny", 2, 4, "outputs/surprisal").astype(np.float64)
    wanted = [surprisal[:, first - 1 : last].mean() for first, last in mine[["first", "last"]].to_numpy()]
    np.testing.assert_allclose(mine["loss"], wanted, rtol=1e-12)


@pytest.mark.parametrize("context", [4, 5, 9, 16, 32, 256, 500, 501, 512, 2048])
def test_default_places_lie_in_every_context(context: int) -> None:
    early, late = places(context, None, None)
    assert 1 <= early.first <= early.last < late.first <= late.last < context
    if context > 500:
        assert (str(early), str(late)) == ("50", "500")
    bins = position_bins(context)
    covered = [position for place in bins for position in range(place.first, place.last + 1)]
    assert covered == list(range(1, context))


@pytest.mark.parametrize(
    ("early", "late", "said"),
    [
        ("x", None, "--early 'x' is no position"),
        (None, "20-40", "lies beyond the windows of this run: they have 32 tokens"),
        ("0", None, "the first token has no loss"),
        ("9-5", None, "a range goes upwards"),
        ("10", "10-20", "must end before late"),
    ],
)
def test_positions_that_are_none(early: str | None, late: str | None, said: str, run: ps.run.Run) -> None:
    with pytest.raises(PhasescopeError) as error:
        run.analyse("in_context_learning", options=Options(early=early, late=late))
    assert said in str(error.value)


def test_without_outputs_or_with_one_sequence(suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    shared = {"sizes": ["tiny"], "seeds": [1], "steps": [0, 16], "sequences": 4, "context": 16, "sites": "mlp_out"}
    none = ps.capture(suite_folder, texts_file, tmp_path / "none", output_sequences=4, outputs=False, **shared)
    table = none.in_context_learning()
    assert table.empty
    assert "No outputs were captured" in table.attrs["absent"]
    one = ps.capture(suite_folder, texts_file, tmp_path / "one", output_sequences=1, **shared)
    table = one.in_context_learning()
    assert table["score"].notna().all()
    assert table["low"].map(math.isnan).all()


def test_ranges_are_read_as_written() -> None:
    assert Positions.parse(" 40 - 60 ", "--early") == Positions(40, 60)
    assert str(Positions.parse("7", "--early")) == "7"
