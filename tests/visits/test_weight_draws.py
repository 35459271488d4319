"""Weights drawn around checkpoints, against devinterp called by hand; and what is said of draws that diverge."""

from __future__ import annotations

import contextlib
import io
import shutil
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

import phasescope as ps
from phasescope.analyses import Options
from phasescope.cli import app
from phasescope.errors import PhasescopeError
from phasescope.reports.learning_coefficient.section import coefficient_finding, coefficient_parts
from phasescope.reports.learning_coefficient.terminal import coefficient_table
from phasescope.store import RunFolder, ShardKey, verify
from phasescope.store.draws import Traces, keep_draws, read_draws
from phasescope.suites.load import load_model
from phasescope.visits.importing.weight_draws import Sampling, draw_into
from phasescope.visits.recorded import suite_of

pytest.importorskip("devinterp")
# Six batches of two: each chain reads all twelve sequences twice.
ASKED = Sampling(chains=2, draws=12, batch_size=2, lr=1e-4, n_beta=10.0, localization=100.0, seed=3)
KEY = ShardKey("tiny", 1, 16)


@pytest.fixture(scope="module")
def drawn(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(Path(shutil.copytree(captured, tmp_path_factory.mktemp("drawn") / "run")))
    done = draw_into(folder, suite(folder), ("full", "layers", "l1h0"), ASKED, "cpu")
    assert done.as_record() == {"drawn": ["tiny/seed1/step0", "tiny/seed1/step16"], "already": 0, "failed": []}
    return folder


def suite(folder: RunFolder, steps: str = "0,16") -> Any:
    return suite_of(folder.read_manifest()).select(sizes=["tiny"], seeds=[1], steps=steps)


def by_hand(folder: RunFolder, at: str) -> Any:
    """As a user of devinterp calls it."""
    from datasets import Dataset
    from devinterp.slt.llc import llc
    from devinterp.slt.weight_restrictions import create_param_masks

    (checkpoint,) = suite(folder, "16")
    model = load_model(checkpoint, dtype="float32")
    tokens = ps.open_run(folder.path).inputs.tokens.astype(np.int64)
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return llc(
            model, Dataset.from_dict({"input_ids": tokens}).with_format("torch"), {}, lr=ASKED.lr,
            n_beta=ASKED.n_beta, param_masks=create_param_masks(model, at), localization=ASKED.localization,
            num_chains=2, num_draws=12, batch_size=2, num_init_loss_batches=6, init_seed=3,
            match_sampling_input_ids_across_chains=False, device="cpu",
        )  # fmt: skip


@pytest.mark.parametrize("at", ["full", "l0", "l1h0"])
def test_coefficients_are_those_of_devinterp_called_by_hand(drawn: RunFolder, at: str) -> None:
    """Tolerance: a loss of 6 nats in float32 is known to 1e-6, and nβ is 10. All draws count, as in devinterp."""
    found = by_hand(drawn, at)
    asked, every = read_draws(drawn, KEY)
    assert asked == asdict(ASKED)
    assert every[at].losses == pytest.approx(found["loss_trace"].values, abs=1e-5)
    assert every[at].start == pytest.approx(float(found["init_loss"]), abs=1e-5)
    tables = ps.open_run(drawn.path).analyse("learning_coefficient", options=Options(burn_in=0.0))
    row = tables["learning_coefficient"].query("step == 16").set_index("at").loc[at]
    assert row["coefficient"] == pytest.approx(float(found["llc_mean"]), abs=1e-4)
    assert (row["chains"], row["diverged"], row["draws"], row["counted"]) == (2, 0, 12, 12)
    chains = tables["chains"].query("step == 16 and at == @at")["coefficient"]
    assert chains.to_numpy() == pytest.approx(found["llc_per_chain"].values, abs=1e-4)


def test_layers_and_heads_are_told(drawn: RunFolder) -> None:
    table = ps.open_run(drawn.path).table("learning_coefficient")
    rows = table.query("step == 16").set_index("at")
    assert set(rows.index) == {"full", "l0", "l1", "l1h0"}
    assert (rows.loc["l1h0", "layer"], rows.loc["l1h0", "head"]) == (1, 0)
    assert rows.loc["full", ["layer", "head"]].isna().all()
    assert not [finding for finding in verify(drawn) if finding.problem]


def test_what_is_there_is_not_drawn_again(drawn: RunFolder) -> None:
    again = draw_into(drawn, suite(drawn), ("full", "l0"), ASKED, "cpu")
    assert (again.drawn, again.already) == ([], 2)
    with pytest.raises(PhasescopeError, match=r"drawn in another way \(lr 0.0001 instead of 0.001\)"):
        draw_into(drawn, suite(drawn), ("full",), Sampling(**asdict(ASKED) | {"lr": 1e-3}), "cpu")


def test_draws_that_diverge_are_one_sentence(captured: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(captured, tmp_path / "run"))
    folder = RunFolder(run)
    asked = ["learning-coefficient", str(run), "--sizes", "tiny", "--seeds", "1", "--steps", "16", "--chains", "2"]
    shown = CliRunner().invoke(app, [*asked, "--draws", "8", "--batch-size", "4", "--lr", "1e6", "--device", "cpu"])
    assert shown.exit_code == 0, shown.output
    assert "Weights were drawn around 1 checkpoint" in " ".join(shown.output.split())
    tables = ps.open_run(run).analyse("learning_coefficient")
    row = tables["learning_coefficient"].iloc[0]
    assert row["reason"] == "all chains diverged: choose a smaller --lr"
    assert np.isnan(row["coefficient"])
    assert tables["chains"]["diverged_at"].notna().all()
    # One of two: it counts nowhere else, and is kept.
    losses = np.array([[5.0, 5.1, 5.2, 5.3, 5.2, 5.3], [5.0, 90.0, 9e9, np.nan, np.nan, np.nan]])
    traces = Traces(5.0, np.where(np.isfinite(losses), 5.0, np.nan), losses)
    sampling = asdict(Sampling(chains=2, draws=6, n_beta=10.0))
    keep_draws(folder, KEY, sampling, {"full": traces}, {"inputs": ps.open_run(run).inputs.hash})
    tables = ps.open_run(run).analyse("learning_coefficient")
    row = tables["learning_coefficient"].iloc[0]
    assert row["coefficient"] == pytest.approx(10 * (np.mean([5.3, 5.2, 5.3]) - 5.0))
    assert row["reason"].startswith("1 of 2 chains diverged: choose a smaller --lr")
    assert tables["chains"]["diverged_at"].tolist()[1] == 3
    assert tables["chains"]["highest"].tolist() == [5.3, 9e9]


def test_a_negative_coefficient_is_doubted(drawn: RunFolder, tmp_path: Path) -> None:
    folder = RunFolder(Path(shutil.copytree(drawn.path, tmp_path / "run")))
    asked, every = read_draws(folder, KEY)
    traces = every["full"]
    low = {"full": Traces(traces.start, traces.starts, traces.starts - 0.1)}
    keep_draws(folder, KEY, asked, low, {"inputs": ps.open_run(folder.path).inputs.hash})
    row = ps.open_run(folder.path).table("learning_coefficient").query("step == 16").iloc[0]
    assert row["coefficient"] == pytest.approx(-1.0)
    assert row["reason"].startswith("negative: the chains found lower losses")


@pytest.mark.parametrize(
    ("losses", "burn_in", "r_hat", "reason"),
    [
        (
            [[5.1, 5.2, 5.3, 5.2, 5.3, 5.1]] * 2,
            0.5,
            np.nan,
            "R-hat needs 4 draws that count, not 3: choose more --draws",
        ),
        ([[5.1, 5.2] * 10, [5.2, 5.1] * 10], 0.95, np.nan, "R-hat needs 4 draws that count, not 1"),
        ([[5.1, 5.2] * 10], 0.5, 0.931, "one chain is beside no other, and has no interval: choose more --chains"),
        ([[5.1] * 20] * 2, 0.5, np.nan, "R-hat is not known, for all draws are equal: choose a larger --lr"),
        ([[5.1] * 20, [5.4] * 20], 0.5, np.inf, "chains have not settled (R-hat inf): choose more --draws"),
    ],
)
def test_an_r_hat_that_is_not_known_is_a_doubt(
    drawn: RunFolder, tmp_path: Path, losses: list[list[float]], burn_in: float, r_hat: float, reason: str
) -> None:
    folder = RunFolder(Path(shutil.copytree(drawn.path, tmp_path / "run")))
    values = np.array(losses)
    sampling = asdict(Sampling(chains=len(values), draws=values.shape[1]))
    traces = {"full": Traces(5.0, np.full_like(values, 5.0), values)}
    keep_draws(folder, KEY, sampling, traces, {"inputs": ps.open_run(folder.path).inputs.hash})
    table = ps.open_run(folder.path).analyse("learning_coefficient", options=Options(burn_in=burn_in))[
        "learning_coefficient"
    ]
    row = table.query("step == 16").iloc[0]
    assert row["reason"].startswith(reason)
    assert row["r_hat"] == pytest.approx(r_hat, abs=0.01, nan_ok=True)
    if r_hat == np.inf:
        console = Console(width=120)
        with console.capture() as shown:
            console.print(coefficient_table(table))
        assert "∞" in shown.get()


@pytest.mark.parametrize(
    ("at", "change", "sentence"),
    [
        (("l9",), {}, "devinterp finds no weights 'l9' in gpt_neox: Layer 9 out of range"),
        (("fool",), {}, "devinterp finds no weights 'fool' in gpt_neox"),
        ((), {}, "No weights are named"),
        (("full",), {"batch_size": 13}, "A batch of 13 is more than the 12 sequences"),
        (("full",), {"draws": 1}, "--draws must be at least 2"),
        (("full",), {"lr": -1.0}, "--lr must be a number above 0"),
        (("full",), {"lr": float("nan")}, "--lr must be a number above 0"),
    ],
)
def test_what_makes_no_sense_is_refused(
    captured: Path, tmp_path: Path, at: tuple[str, ...], change: dict[str, Any], sentence: str
) -> None:
    folder = RunFolder(Path(shutil.copytree(captured, tmp_path / "run")))
    with pytest.raises(PhasescopeError, match=sentence):
        draw_into(folder, suite(folder), at, Sampling(**asdict(ASKED) | change), "cpu")
    assert not folder.drawn()


def test_it_is_shown(drawn: RunFolder, captured: Path) -> None:
    run = ps.open_run(drawn.path)
    tables: Any = {"learning_coefficient": run.table("learning_coefficient")}
    [part] = coefficient_parts(tables)
    assert [panel.title for panel in part.panels] == ["All weights", "Layer by layer", "Head by head"]
    for panel in part.panels:
        panel.figure.plotly()
    assert coefficient_finding("tiny", tables, 1).startswith("The local learning coefficient of tiny goes from")
    console = Console(width=80)
    with console.capture() as shown:
        console.print(coefficient_table(tables["learning_coefficient"]))
    assert "l1h0" in shown.get()
    assert max(map(len, shown.get().splitlines())) <= 80
    assert "learning coefficient" in set(run.phases()["curve"])
    empty = ps.open_run(captured).table("learning_coefficient")
    assert "phasescope learning-coefficient" in empty.attrs["absent"]
    assert coefficient_parts({"learning_coefficient": empty}) == []  # type: ignore[arg-type]
