"""*Re-run this study*: the small version on each page runs as written, and shows what the page says it shows.

All pages begin with the same suite, which is trained once; what another page has captured is found there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from phasescope.cli import app
from tests.docs.pages import PAGES, ROOT, columns_in, commands_in, section

# Whole studies: minutes.
pytestmark = pytest.mark.slow

STUDIES = ROOT / "docs" / "studies"
Table = Callable[[str, str], pd.DataFrame]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture
def table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Table:
    monkeypatch.chdir(folder)
    return lambda run, name: pd.read_parquet(Path("runs", run, "results", f"{name}.parquet"))


def run_small_version(page: str) -> None:
    text = (STUDIES / f"{page}.md").read_text(encoding="utf-8")
    commands = commands_in(section(text, "A small version"))
    assert [command[0] for command in commands][:2] == ["train", "capture"]
    for command in commands:
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, (command, result.output)
    _tables_have_the_columns_of_their_pages(command[1])


def _tables_have_the_columns_of_their_pages(run: str) -> None:
    told = {name: columns for text in PAGES for name, columns in columns_in(text.read_text(encoding="utf-8")).items()}
    made = {path.stem: list(pd.read_parquet(path).columns) for path in Path(run, "results").glob("*.parquet")}
    listed = made.keys() & told.keys()
    assert len(listed) > 2
    assert {name: made[name] for name in listed} == {name: told[name] for name in listed}


def test_tending_towards_stability(table: Table) -> None:
    run_small_version("a-tending-towards-stability")
    convergence = table("small-a", "convergence")
    early, late = (convergence[convergence["step"] == step]["cka"] for step in (0, 128))
    assert early.max() < 0.95
    assert late.to_numpy() == pytest.approx(1)
    assert set(table("small-a", "settling")["size"]) == {"150k", "400k"}
    rank = table("small-a", "rank")
    assert rank[rank["component"] == "OV"]["proportional"].between(0, 1).all()
    gradients = table("small-a", "gradients")
    whole = gradients[gradients["site"] == "model"].set_index(["size", "step"])["cosine"].unstack()
    assert (whole[0] > 0.15).all()
    assert (whole[128] < 0.1).all()


def test_language_model_behavioral_phases(table: Table) -> None:
    run_small_version("c-behavioral-phases")
    peaks = table("small-words", "heuristic_peaks")
    tokens = peaks[(peaks["unit"] == "token") & (peaks["measure"] == "pearson") & peaks["seed"].isna()]
    of = tokens.set_index(["predictor", "size"])
    assert (of.loc["unigram"]["before_next"] > 0.95).all()
    assert (of.loc["unigram"]["peak_step"] < of.loc["bigram"]["peak_step"]).all()
    assert of.loc["bigram"]["at_end"].all()
    assert table("small-words", "heuristic_fit")["r2_held_out"].max() > 0.3
    assert set(table("small-words", "agreement")["relation"]) == {"seeds", "sizes"}


def test_convergence_and_divergence_of_seeds(table: Table) -> None:
    run_small_version("b-convergence-and-divergence")
    seeds = table("small-words", "seeds")
    surprisal = table("small-words", "surprisal")
    for size, curve in seeds.groupby("size"):
        lowest = curve.loc[curve["kl"].idxmin()]
        first, last = curve.iloc[0], curve.iloc[-1]
        assert first["low"] > lowest["high"]
        assert last["low"] > lowest["high"]
        there = surprisal[(surprisal["size"] == size) & (surprisal["step"] == lowest["step"])]
        assert (there["surprisal"] - there["unigram"]).abs().max() < 0.2
    turns = table("small-words", "reference_turns")
    assert turns["turns"].all()
    assert turns["seeds_part"].all()
    contrasts = table("small-words", "seeds_by_contrasts")
    last = contrasts[(contrasts["measure"] == "last_kl") & contrasts["group"].isin(["frequent", "function"])]
    assert (last[last["by"].isin(["frequency", "pos"])]["high"] < 0).all()
    across = table("small-words", "kl_across")
    assert set(across["relation"]) == {"last", "previous"}


def test_training_trajectories_across_scales(table: Table) -> None:
    run_small_version("d-training-trajectories")
    shares = table("small-words", "trajectories")
    assert shares.groupby(["size", "seed", "percent"])["share"].sum(min_count=5).dropna().to_numpy() == pytest.approx(1)
    assert shares[shares["percent"] <= 20]["share"].notna().all()
    aligned = table("small-words", "size_alignment").set_index("measure")
    assert (aligned.loc[["entropy", "likely tokens"]]["ratio_high"] < 0.7).all()
    assert not table("small-words", "class_agreement").empty
    noise = table("small-words", "noise").set_index(["kind", "rate", "step"])
    assert (noise.loc[("swap", 0.5, 0)]["ratio"] - 1).abs().max() < 0.1
    assert (noise.loc[("swap", 0.5, 128)]["ratio_low"] > 1).all()
    assert (noise.loc[("swap", 0.5, 128)]["ratio"] > noise.loc[("swap", 0.1, 128)]["ratio"].max()).all()
