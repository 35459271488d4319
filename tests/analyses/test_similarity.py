"""The question of similarity: its tables against measures asked one by one of the run's own activations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.reader import sample_weights
from phasescope.analyses.similarity.columns import MEASURES
from phasescope.errors import PhasescopeError
from phasescope.measures import (
    SIMILARITIES,
    angular_procrustes,
    interval,
    linear_cka,
    mutual_neighbours,
    nearest,
    pwcca,
    rsa,
    shared_luck,
)
from tests.conftest import make_suite

ASKED: dict[str, Any] = {"sequences": 16, "context": 16, "output_sequences": 1, "positions": 3}
ALONE = {
    "cka": linear_cka,
    "rsa": rsa,
    "neighbours": mutual_neighbours,
    "procrustes": angular_procrustes,
    "pwcca": pwcca,
}


@pytest.fixture(scope="module")
def run(texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    """Two sizes (16 and 24 wide, of two and three layers) × two seeds × three steps; 48 samples."""
    folder = tmp_path_factory.mktemp("similarity")
    suite = make_suite(folder / "toy", ("tiny", "small"), (1, 2), (0, 4, 16))
    run = ps.capture(suite, texts_file, folder / "run", sites="mlp_out,pattern", compare_seeds=False, **ASKED)
    run.analyse("similarity", options=Options(resamples=40, measures=tuple(ALONE)))
    return run


def values(run: ps.Run, size: str, seed: int, step: int, layer: int) -> torch.Tensor:
    return run.layer(layer, "mlp_out", size=size).activations(seed=seed, step=step)


@pytest.mark.parametrize(
    ("relation", "other"),
    [
        ("final", ("small", 1, 16, 1)),
        ("previous", ("small", 1, 0, 1)),
        ("next_layer", ("small", 1, 4, 2)),
        ("seed", ("small", 2, 4, 1)),
    ],
)
def test_each_relation_is_the_measure_of_the_two_it_names(
    run: ps.Run, relation: str, other: tuple[str, int, int, int]
) -> None:
    table = run.table("similarity")
    assert set(table["component"]) == {"mlp_out"}  # a pattern is no cloud of features
    rows = table.query("size == 'small' and seed == 1 and step == 4 and layer == 1").query("relation == @relation")
    named = rows[["other_size", "other_seed", "other_step", "other_layer"]].drop_duplicates()
    assert list(named.itertuples(index=False, name=None)) == [other]
    x, y = values(run, "small", 1, 4, 1), values(run, *other)
    told = rows.set_index("measure")["value"]
    for name, measure in ALONE.items():
        assert told[name] == pytest.approx(float(measure(x, y)), abs=1e-9), name
    known = rows[rows["low"].notna()]
    assert len(known) == len(ALONE)
    assert (known["low"] <= known["value"] + 1e-9).all()
    assert (known["value"] <= known["high"] + 1e-9).all()


def test_sizes_meet_at_the_same_share_of_depth(run: ps.Run) -> None:
    rows = run.table("similarity").query("relation == 'size' and measure == 'rsa'")
    assert set(rows["size"]) == {"tiny"}
    assert set(rows["other_size"]) == {"small"}
    assert set(zip(rows["layer"], rows["other_layer"], strict=True)) == {(0, 0), (1, 2)}
    row = rows.query("seed == 2 and step == 16 and layer == 1").iloc[0]
    expected = rsa(values(run, "tiny", 2, 16, 1), values(run, "small", 2, 16, 2))
    assert row["value"] == pytest.approx(float(expected), abs=1e-9)


def test_the_first_step_stands_beside_all_others(run: ps.Run) -> None:
    table = run.table("similarity").query("measure == 'cka' and seed == 1 and size == 'small' and layer == 2")
    for relation in ("final", "next_layer", "seed", "previous"):
        rows = table[table["relation"] == relation]
        if len(rows):
            assert (rows["first"] == rows["value"].iloc[0]).all()
    assert table.query("relation == 'previous'")["step"].tolist() == [4, 16]
    assert table.query("relation == 'next_layer'").empty  # it is the last


def test_means_are_over_sites_and_other_seeds_with_intervals_of_the_mean(run: ps.Run) -> None:
    rows = run.table("similarity").query("size == 'small' and step == 4 and measure == 'neighbours'")
    means = run.table("similarity_means").query("size == 'small' and step == 4 and measure == 'neighbours'")
    for relation, compared in (("final", 3), ("next_layer", 2), ("seed", 3)):
        told = means.query("seed == 2 and relation == @relation").iloc[0]
        mine = rows[(rows["relation"] == relation) & ((rows["seed"] == 2) | (rows["other_seed"] == 2))]
        assert told["compared"] == compared
        assert told["value"] == pytest.approx(mine["value"].mean(), abs=1e-12)
        assert told["shuffled"] == pytest.approx(mine["shuffled"].mean(), abs=1e-12)
    counts = sample_weights(16, 48, 40, 0).double()
    known = [
        shared_luck(*(nearest(values(run, "small", 2, step, layer), 10) for step in (4, 16)), 16) for layer in range(3)
    ]
    drawn = [shared.mean() + wider * (counts @ shared / 48 - shared.mean()) for shared, wider in known]
    low, high = interval(torch.stack(drawn).mean(0), torch.stack([shared.mean() for shared, _ in known]).mean())
    told = means.query("seed == 2 and relation == 'final'").iloc[0]
    assert (told["low"], told["high"]) == (pytest.approx(float(low)), pytest.approx(float(high)))


def test_cca_of_too_few_samples_is_said(run: ps.Run) -> None:
    table = run.table("similarity").query("measure == 'pwcca'")
    # 48 samples are enough for 16 and 24 dimensions.
    assert (table["reason"] == "").all()
    few = run.analyse("similarity", options=Options(resamples=5, measures=("pwcca",), maps=()))["similarity"]
    assert few["value"].notna().all()


def test_a_step_more_costs_its_own_share(run: ps.Run) -> None:
    options = Options(resamples=40, measures=("cka", "rsa"))
    run.analyse("similarity", options=options)
    files = sorted((run.path / "results" / "parts").rglob("*.h5")) or sorted(
        run.path.rglob("*parts*/**/similarity/**/*")
    )
    before = {path: path.stat().st_mtime_ns for path in files if path.is_file() and "similarity" in str(path)}
    assert before
    again = run.analyse("similarity", options=options)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    np.testing.assert_allclose(again["similarity"]["value"], run.table("similarity")["value"])


def test_any_two_checkpoints_have_a_map(run: ps.Run) -> None:
    options = Options(resamples=5, measures=("cka",), maps=("tiny/seed1/step0:small/seed2/step16",))
    maps = run.analyse("similarity", options=options)["similarity_maps"]
    assert set(maps["map"]) == {"last step", "first step", "last and first step", "two seeds", "two sizes", "asked for"}
    asked = maps[maps["map"] == "asked for"]
    assert len(asked) == 2 * 3
    row = asked.query("layer == 1 and other_layer == 2").iloc[0]
    expected = linear_cka(values(run, "tiny", 1, 0, 1), values(run, "small", 2, 16, 2))
    assert row["value"] == pytest.approx(float(expected), abs=1e-12)
    own = maps[maps["map"] == "last step"].query("size == 'small' and layer == other_layer")
    np.testing.assert_allclose(own["value"], 1)


def test_a_run_maps_layers_of_any_two_checkpoints(run: ps.Run) -> None:
    made = run.layer_map("small/seed1/step4", ("small", 2, 0), ["procrustes", "cka"], "mlp_out")
    assert made["measure"].unique().tolist() == ["cka", "procrustes"]
    row = made.query("layer == 0 and other_layer == 2 and measure == 'procrustes'").iloc[0]
    expected = angular_procrustes(values(run, "small", 1, 4, 0), values(run, "small", 2, 0, 2))
    assert row["value"] == pytest.approx(float(expected), abs=1e-12)
    with pytest.raises(PhasescopeError, match=r"no component called pattern in common\. There are: mlp_out"):
        run.layer_map("small/seed1/step4", "small/seed1/step4", components="pattern")


@pytest.mark.parametrize(
    ("maps", "said"),
    [
        ("tiny/seed1/step0", "names no two checkpoints"),
        ("tiny/1/0:tiny/seed1/step4", "'tiny/1/0' names no checkpoint: write size, seed and step"),
        ("tiny/seed1/step3:tiny/seed1/step4", "There is no step 3 of tiny/seed1"),
        ("tinny/seed1/step4:tiny/seed1/step4", "There is no size 'tinny'"),
    ],
)
def test_what_is_no_checkpoint_is_said(run: ps.Run, maps: str, said: str) -> None:
    with pytest.raises(PhasescopeError, match=said):
        run.analyse("similarity", options=Options(resamples=5, measures=("cka",), maps=(maps,)))


def test_measures_are_those_there_are() -> None:
    assert tuple(SIMILARITIES) == MEASURES
    assert Options(measures=("rsa", "cka")).measures == ("cka", "rsa")
    with pytest.raises(PhasescopeError, match="no measure of similarity 'rsq'"):
        Options(measures=("rsq",))
    with pytest.raises(PhasescopeError, match="at least one"):
        Options(measures=())
