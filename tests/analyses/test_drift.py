"""How far weights came: against the matrices themselves, and from a few entries of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from safetensors.numpy import load_file

import phasescope as ps
from phasescope.reports.drift.section import drift_finding, drift_parts
from phasescope.reports.drift.terminal import drift_table
from tests.conftest import make_suite

STEPS = (0, 2, 4, 16)
ASKED: dict[str, Any] = {"sequences": 2, "context": 16, "output_sequences": 1, "sites": "resid_post"}
W_IN = "blocks.0.mlp.W_in"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_suite(tmp_path_factory.mktemp("drift") / "toy", ("tiny",), (1,), STEPS)


@pytest.fixture(scope="module")
def kept(suite: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    return ps.capture(suite, texts_file, tmp_path_factory.mktemp("kept") / "run", keep_weights=True, **ASKED)


@pytest.fixture(scope="module")
def sampled(suite: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    return ps.capture(suite, texts_file, tmp_path_factory.mktemp("sampled") / "run", **ASKED)


def matrices(suite: Path) -> list[np.ndarray[Any, Any]]:
    """W_in of the first layer, straight from the files."""
    files = [load_file(suite / f"tiny/seed1/step{step}/model.safetensors") for step in STEPS]
    return [file["gpt_neox.layers.0.mlp.dense_h_to_4h.weight"].T.astype(np.float64) for file in files]


def test_distances_and_turns_are_those_of_the_matrices(suite: Path, kept: ps.Run) -> None:
    table = kept.table("drift")
    rows = table[(table["site"] == W_IN) & table["head"].isna()].sort_values("step")
    W = matrices(suite)
    moves = np.diff(np.stack(W), axis=0).reshape(len(W) - 1, -1)
    lengths = np.linalg.norm(moves, axis=1)
    assert rows["exact"].all()
    np.testing.assert_allclose(rows["from_start"], [np.linalg.norm(w - W[0]) for w in W], rtol=1e-6)
    np.testing.assert_allclose(rows["relative"], rows["from_start"] / np.linalg.norm(W[0]), rtol=1e-6)
    np.testing.assert_allclose(rows["from_previous"].iloc[1:], lengths, rtol=1e-6)
    np.testing.assert_allclose(rows["path_share"], np.r_[0, lengths.cumsum()] / lengths.sum(), rtol=1e-6)
    turns = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in zip(moves[1:], moves[:-1], strict=True)]
    np.testing.assert_allclose(rows["cosine"].iloc[2:], turns, rtol=1e-6)
    assert rows["cosine"].iloc[:2].isna().all()
    assert rows["previous_step"].tolist() == [pd.NA, 0, 2, 4]
    np.testing.assert_array_equal(rows["low"], rows["high"])


def test_heads_of_kept_matrices_add_up(kept: ps.Run) -> None:
    table = kept.table("drift")
    rows = table[table["site"] == "blocks.0.attn.W_Q"]
    whole, heads = rows[rows["head"].isna()], rows[rows["head"].notna()]
    assert heads["head"].nunique() == 2
    squares = heads.groupby("step")["from_start"].apply(lambda values: (values**2).sum())
    np.testing.assert_allclose(squares, whole.set_index("step")["from_start"] ** 2, rtol=1e-9)


def test_a_few_entries_tell_them_within_their_error(kept: ps.Run, sampled: ps.Run) -> None:
    keys = ["site", "step"]
    exact, told = (run.table("drift").query("head.isna()").set_index(keys).sort_index() for run in (kept, sampled))
    assert (told["entries"] <= 256).all()
    part = told[~told["exact"]].index
    assert len(part)
    moved = exact.loc[part].query("from_start > 0").index
    held = (exact["from_start"] >= told["low"]) & (exact["from_start"] <= told["high"])
    # The toy's matrices move by one and the same share of each entry: the errors of steps are not independent.
    assert held[moved].mean() > 0.8
    turns = told.loc[part].query("cosine.notna()").index
    assert ((exact["cosine"] >= told["cosine_low"]) & (exact["cosine"] <= told["cosine_high"]))[turns].mean() > 0.8


def test_norms_are_those_of_the_matrices(suite: Path, sampled: ps.Run) -> None:
    table = sampled.table("norms")
    rows = table[table["site"] == W_IN].sort_values("step")
    W = matrices(suite)
    for column, order in (("frobenius", "fro"), ("nuclear", "nuc"), ("spectral", 2)):
        np.testing.assert_allclose(rows[column], [np.linalg.norm(w, order) for w in W], rtol=1e-6)  # type: ignore[call-overload]
    np.testing.assert_allclose(rows["condition"], [np.linalg.cond(w) for w in W], rtol=1e-3)
    np.testing.assert_allclose(rows["stable_rank"], (rows["frobenius"] / rows["spectral"]) ** 2, rtol=1e-9)
    assert set(table["kind"]) == {"weight", "circuit"}


def test_it_is_shown(kept: ps.Run) -> None:
    tables: Any = {name: kept.table(name) for name in ("drift", "norms")}
    [part] = drift_parts("tiny", tables)
    part.panels[0].figure.plotly()
    assert len(part.panels[0].variants) > 20
    told = drift_finding("tiny", tables, 1)
    assert told.startswith("Of all matrices of tiny, ")
    assert "half of its path is gone by step" in told
    console = Console(width=80)
    with console.capture() as captured:
        console.print(drift_table(tables["drift"], tables["norms"]))
    text = captured.get()
    assert "W_in" in text
    assert max(map(len, text.splitlines())) <= 80
    empty: Any = {name: table.iloc[:0] for name, table in tables.items()}
    assert drift_parts("tiny", empty) == []
    assert drift_finding("tiny", empty, 1) == ""


def test_one_step_says_why_there_is_no_way(suite: Path, texts_file: Path, tmp_path: Path) -> None:
    run = ps.capture(suite, texts_file, tmp_path / "run", steps="4", **ASKED)
    rows = run.table("drift")
    assert (rows["reason"] == "one step alone").all()
    assert rows["path_share"].isna().all()
    assert (rows["from_start"] == 0).all()
