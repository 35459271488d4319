"""Who stays near whom along training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rich.console import Console

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses import neighbours as analysed
from phasescope.analyses.neighbours import _interval, analyse
from phasescope.errors import PhasescopeError
from phasescope.measures import neighbours as measures
from phasescope.measures import overlap
from phasescope.reports.neighbours.section import neighbours_finding, neighbours_parts
from phasescope.reports.neighbours.terminal import neighbours_table
from tests.conftest import make_suite

K = 3


@pytest.fixture(scope="module")
def run(texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    folder = tmp_path_factory.mktemp("neighbours")
    suite = make_suite(folder / "toy", ("tiny",), (1, 2), (0, 4, 8))
    wanted = {"sequences": 6, "context": 16, "positions": 2, "output_sequences": 2, "sites": "resid_post,attn_out"}
    return ps.capture(suite, texts_file, folder / "run", keep_weights=True, **wanted)


def asked(run: ps.Run, k: int) -> pd.DataFrame:
    return analyse(run.reader, Options(neighbours=k, resamples=100))["neighbours"]


def by_hand(x: np.ndarray, y: np.ndarray, k: int) -> float:
    def near(values: np.ndarray) -> list[set[int]]:
        unit = values.astype(np.float64) / np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True)
        cosines = unit @ unit.T
        np.fill_diagonal(cosines, -np.inf)
        return [set(row[:k].tolist()) for row in np.argsort(-cosines, axis=1)]

    return float(np.mean([len(one & other) / k for one, other in zip(near(x), near(y), strict=True)]))


def test_overlaps_are_those_of_neighbours_by_hand(run: ps.Run) -> None:
    table = asked(run, K)
    site = "blocks.0.hook_resid_post"

    def values(seed: int, step: int) -> np.ndarray:
        key = next(key for key in run.reader.keys if (key.seed, key.step) == (seed, step))
        with run.reader.folder.open_shard(key) as shard:
            return shard.read(f"activations/{site}")

    def told(step: int, against: str) -> float:
        rows = table[(table["seed"] == 1) & (table["step"] == step) & (table["site"] == site)]
        return float(rows.set_index("against").loc[against, "overlap"])

    assert told(0, "last") == pytest.approx(by_hand(values(1, 0), values(1, 8), K))
    assert told(8, "previous") == pytest.approx(by_hand(values(1, 8), values(1, 4), K))
    assert told(4, "seeds") == pytest.approx(by_hand(values(1, 4), values(2, 4), K))


def test_rows_are_of_what_there_is(run: ps.Run) -> None:
    table = asked(run, K)
    of_step = table.groupby("step")["against"].agg(lambda column: sorted(set(column)))
    assert of_step.to_dict() == {0: ["last", "seeds"], 4: ["last", "previous", "seeds"], 8: ["previous", "seeds"]}
    assert {"embedding", "attn_out", "resid_post"} == set(table["component"])
    assert (table["low"] <= table["overlap"] + 1e-9).all()
    embedding = table[table["component"] == "embedding"]
    assert embedding["samples"].min() > 100
    # Chance is k of all others.
    assert embedding["shuffled"].mean() == pytest.approx(K / (embedding["samples"].max() - 1), abs=0.01)
    assert table.loc[table["component"] == "attn_out", "shuffled"].mean() == pytest.approx(K / 11, abs=0.12)


def test_means_are_over_sites_of_layers_and_surer_than_one(run: ps.Run) -> None:
    made = analyse(run.reader, Options(neighbours=K, resamples=100))
    each, means = made["neighbours"], made["neighbours_means"]
    each = each[each["layer"].notna()]
    keys = ["seed", "step", "against"]
    of_sites = each.groupby(keys)[["overlap", "shuffled"]].mean()
    found = means.set_index(keys).loc[of_sites.index]
    np.testing.assert_allclose(found[["overlap", "shuffled"]], of_sites)
    assert set(found["sites"]) == {4}  # two layers of two components; no embedding
    assert (found["low"] <= found["overlap"]).all()
    assert (found["overlap"] <= found["high"]).all()
    wide = each.assign(width=each["high"] - each["low"]).groupby(keys)["width"].mean()
    assert (found["high"] - found["low"] < wide).all()


def test_they_are_curves_with_phases_once_they_were_asked_for(run: ps.Run) -> None:
    named = {"nearest neighbours kept", "nearest neighbours between seeds"}
    assert not named & set(run.table("phases")["curve"])
    run.analyse("neighbours", options=Options(neighbours=K, resamples=20))
    assert named <= set(run.table("phases")["curve"])


def test_too_many_neighbours_are_told(run: ps.Run) -> None:
    table = asked(run, 12)
    rows = table[table["component"] == "resid_post"]
    assert rows["overlap"].isna().all()
    assert set(rows["reason"]) == {"12 samples are too few for 12 neighbours"}
    table = table[table["layer"].notna()]
    console = Console(width=80)
    with console.capture() as captured:
        console.print(neighbours_table(table))
    assert "12 samples are too few for 12 neighbours." in captured.get()
    [part] = neighbours_parts("tiny", {"neighbours": table})  # type: ignore[arg-type]
    assert list(part.notes) == ["12 samples are too few for 12 neighbours."]
    with pytest.raises(PhasescopeError, match="1 nearest neighbour or more, not 0"):
        asked(run, 0)


def test_a_state_without_variance_has_no_neighbours_and_says_so(run: ps.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.full((12, 8), 0.1)
    monkeypatch.setattr(analysed, "read_activations", lambda shard, site: iter([("", values)]))
    rows = asked(run, K)
    rows = rows[rows["component"] == "resid_post"]
    assert rows["overlap"].isna().all()
    assert set(rows["reason"]) == {"all samples point one way, and none is nearer than another"}


def test_neighbours_by_parts_are_those_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(57, 8, generator=torch.Generator().manual_seed(0))
    whole = measures.nearest(x, 5)
    monkeypatch.setattr(measures, "_COSINES", 57 * 4)
    assert torch.equal(measures.nearest(x, 5), whole)
    assert not (whole == torch.arange(57)[:, None]).any()  # nobody is near to itself


def test_overlap_counts_in_any_order() -> None:
    assert overlap([[1, 2], [0, 2], [0, 1]], [[2, 1], [2, 3], [4, 5]]).tolist() == [1, 0.5, 0]
    with pytest.raises(ValueError, match="of the same"):
        overlap([[1, 2]], [[1]])


def test_of_many_entries_the_interval_is_the_normal_one() -> None:
    means = np.random.default_rng(0).random(5000)
    low, high = _interval(means, Options(resamples=10))
    assert high - low == pytest.approx(2 * 1.96 * means.std() / np.sqrt(5000), rel=1e-3)
    few = _interval(means[:400], Options(resamples=2000))
    assert few[1] - few[0] == pytest.approx(2 * 1.96 * means[:400].std() / 20, rel=0.1)


def test_it_is_shown(run: ps.Run) -> None:
    tables = {"neighbours": asked(run, K)}
    [part] = neighbours_parts("tiny", tables)  # type: ignore[arg-type]
    for panel in part.panels:
        panel.figure.plotly()
    told = neighbours_finding("tiny", tables, 2)  # type: ignore[arg-type]
    assert told.startswith("Of the 3 nearest neighbours in the deepest resid_post of tiny the share that are those of")
    console = Console(width=80, no_color=True)
    with console.capture() as captured:
        console.print(neighbours_table(tables["neighbours"]))
    assert "L0.resid_post" in captured.get()
    assert "embedding" in captured.get()
    empty = {"neighbours": tables["neighbours"][:0]}
    assert neighbours_parts("tiny", empty) == []  # type: ignore[arg-type]
    assert neighbours_finding("tiny", empty, 2) == ""  # type: ignore[arg-type]
