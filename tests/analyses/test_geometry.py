"""The shape of activations: against the activations of the run themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import phasescope as ps
from phasescope.analyses import Options
from phasescope.measures import participation_ratio
from phasescope.reports.geometry.section import geometry_finding, geometry_parts
from phasescope.reports.geometry.terminal import geometry_table
from tests.conftest import make_suite

ASKED: dict[str, Any] = {"sequences": 12, "context": 16, "output_sequences": 1, "positions": 3}


@pytest.fixture(scope="module")
def run(texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    folder = tmp_path_factory.mktemp("geometry")
    suite = make_suite(folder / "toy", ("tiny",), (1,), (0, 16))
    run = ps.capture(suite, texts_file, folder / "run", sites="mlp_post,mlp_out,pattern", **ASKED)
    run.analyse("geometry", options=Options(resamples=100))
    return run


def test_numbers_are_those_of_the_activations(run: ps.Run) -> None:
    table = run.table("geometry")
    assert set(table["component"]) == {"mlp_post", "mlp_out"}  # a pattern is no cloud of features
    values = run.layer(0, "mlp_post").activations(seed=1, step=16).double().numpy()
    rows = table[(table["step"] == 16) & (table["layer"] == 0) & (table["component"] == "mlp_post")]
    told = rows.set_index("measure")["value"]
    unit = values / np.linalg.norm(values, axis=1, keepdims=True)
    cosines = (unit @ unit.T)[np.triu_indices(len(unit), 1)]
    eigenvalues = np.linalg.eigvalsh(np.cov(values.T))
    assert told["anisotropy"] == pytest.approx(cosines.mean(), rel=1e-9)
    assert told["participation_ratio"] == pytest.approx(eigenvalues.sum() ** 2 / (eigenvalues**2).sum(), rel=1e-9)
    assert told["norm"] == pytest.approx(np.linalg.norm(values, axis=1).mean(), rel=1e-9)
    assert told["active_share"] == pytest.approx((values > 0).mean(), rel=1e-9)
    assert told["dead_share"] == pytest.approx((values <= 0).all(0).mean(), rel=1e-9)
    assert (rows["samples"] == 36).all()
    known = rows[rows["low"].notna()]
    # Percentiles are moved to the estimate, which lies between them unless the replicates' median does not.
    assert (known["low"] <= known["value"] + 1e-9).all()
    assert (known["value"] <= known["high"] + 1e-9).all()
    assert "dead_share" not in set(table[table["component"] == "mlp_out"]["measure"])


def test_shuffled_features_spread_over_more_dimensions(run: ps.Run) -> None:
    table = run.table("geometry")
    rows = table[table["measure"] == "participation_ratio"]
    assert (rows["shuffled"] > rows["value"]).all()
    assert table[table["measure"] == "norm"]["shuffled"].isna().all()


def test_resamples_are_of_whole_sequences(run: ps.Run) -> None:
    from phasescope.analyses.reader import sample_weights
    from phasescope.measures import interval

    values = run.layer(0, "mlp_out").activations(seed=1, step=16).double()
    drawn = participation_ratio(values, sample_weights(12, 36, 100, 0))
    low, high = interval(drawn, participation_ratio(values))
    table = run.table("geometry").query("step == 16 and layer == 0 and component == 'mlp_out'")
    row = table[table["measure"] == "participation_ratio"].iloc[0]
    assert (row["low"], row["high"]) == (pytest.approx(float(low)), pytest.approx(float(high)))


def test_it_is_shown(run: ps.Run) -> None:
    tables: Any = {"geometry": run.table("geometry")}
    [part] = geometry_parts("tiny", tables)
    for panel in part.panels:
        panel.figure.plotly()
    assert geometry_finding("tiny", tables, 1).startswith("The participation ratio of tiny changes most in L")
    console = Console(width=80)
    with console.capture() as captured:
        console.print(geometry_table(tables["geometry"]))
    assert "L0.mlp_post" in captured.get()
    assert max(map(len, captured.get().splitlines())) <= 80
    empty: Any = {"geometry": tables["geometry"].iloc[:0]}
    assert geometry_parts("tiny", empty) == []
    assert geometry_finding("tiny", empty, 1) == ""


def test_one_sequence_is_too_few(texts_file: Path, tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "toy", ("tiny",), (1,), (0,))
    run = ps.capture(suite, texts_file, tmp_path / "run", sites="mlp_out", **{**ASKED, "sequences": 1})
    table = run.table("geometry")
    assert table["reason"].str.contains("samples of 1 sequence are too few").all()
    assert table["value"].isna().all()
    console = Console(width=80)
    with console.capture() as captured:
        console.print(geometry_table(table))
    assert "samples of 1 sequence are too few." in captured.get()
    [part] = geometry_parts("tiny", {"geometry": table})  # type: ignore[arg-type]
    assert "samples of 1 sequence are too few." in part.notes[0]
    assert "samples of 1 sequence are too few." in run.report_markdown().read_text()
