"""Classes, agreement and curves against perplexity, of runs whose outputs are planted and of a real one."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import phasescope as ps
from phasescope.analyses import Options, RunReader, analyse
from phasescope.analyses.trajectories.classes import cohens_kappa
from phasescope.analyses.trajectories.columns import PERCENTS
from phasescope.measures import TRAJECTORY_CLASSES, clustered_mean_interval
from phasescope.store import Entry, RunFolder, ShardKey, write_container
from tests.measures.test_trend import slow_class

STEPS = (0, 1, 2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)
SHAPE = (4, 31)  # sequences and positions of the outputs of the captured run
QUICK = Options(resamples=40)
Outputs = Callable[[str, int, int], tuple[np.ndarray, np.ndarray] | None]


def plant(captured: Path, out: Path, outputs: Outputs, steps: tuple[int, ...] = STEPS, kl: bool = False) -> RunFolder:
    """A run with the inputs of a captured one and these outputs (surprisal, entropy); None: captured without any."""
    shutil.copytree(captured, out, ignore=shutil.ignore_patterns("checkpoints", "cohorts", "results"))
    folder = RunFolder(out)
    manifest = folder.read_manifest()
    keys = [ShardKey(size, seed, step) for size in ("tiny", "small") for step in steps for seed in (1, 2)]
    manifest["checkpoints"] = [{"size": key.size, "seed": key.seed, "step": key.step} for key in keys]
    folder.write_manifest(manifest)
    for size in ("tiny", "small"):
        for step in steps:
            common, digests = {"size": size, "step": step, "inputs": manifest["inputs"]["hash"]}, []
            for seed in (1, 2):
                found = outputs(size, seed, step)
                names = dict(zip(("outputs/surprisal", "outputs/entropy"), found or (), strict=False))
                entries = {name: Entry(values.astype(np.float32)) for name, values in names.items()}
                path = folder.shard(ShardKey(size, seed, step))
                digests.append(write_container(path, "shard", entries, {**common, "seed": seed}))
            if kl:
                pairs = np.full((2, 2, *SHAPE), float(step), np.float32)
                pairs[0, 0] = pairs[1, 1] = 0
                written = {"kl": Entry(pairs), "seeds": Entry(np.array([1, 2]))}
                attrs = {**common, "shards": " ".join(digests)}
                write_container(folder.cohort(size, step), "cohort", written, attrs)
    return folder


def tables_of(folder: RunFolder, options: Options = QUICK) -> dict[str, pd.DataFrame]:
    return analyse(RunReader(folder), ["trajectories"], options)


def mixed(size: str, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Tokens of every class, the same in both sizes and seeds but for a little noise, with a few missing."""
    along = math.log1p(step) / math.log1p(STEPS[-1])
    late = np.clip((along - 0.5) / 0.5, 0, 1)
    kinds = np.array([0.0, -2 * late, 2 * late, 3 * late * (1 - late)])
    shape = kinds[np.arange(SHAPE[1]) % 4]
    generator = np.random.default_rng([step, seed, len(size)])
    noise = np.where(np.arange(SHAPE[1]) % 8 == 7, 1.0, 0.01)
    surprisal = 3 + shape + noise * generator.normal(size=SHAPE) + 2 * (step < 13)
    surprisal[1, 5] = np.nan
    return surprisal, np.abs(surprisal) / 2


def test_classes_and_shares_are_those_of_a_plain_computation(captured: Path, tmp_path: Path) -> None:
    folder = plant(captured, tmp_path / "run", mixed)
    tables = tables_of(folder)
    surprisal = np.stack([mixed("tiny", 2, step)[0].astype(np.float32) for step in STEPS]).astype(float)
    tokens = tables["token_classes"]
    tokens = tokens[(tokens["size"] == "tiny") & (tokens["seed"] == 2)]
    shares = tables["trajectories"].query("size == 'tiny' and seed == 2")
    inputs = RunReader(folder).inputs
    for percent in PERCENTS:
        window = [i for i, step in enumerate(STEPS) if step >= percent / 100 * 128]
        x = np.log(np.array(STEPS)[window])
        wanted = np.array([[slow_class(surprisal[window, s, p], x) for p in range(31)] for s in range(4)])
        found = tokens[f"after_{percent}"].astype(object).fillna("").to_numpy().reshape(SHAPE)
        assert (found == wanted).all()
        for row in shares[shares["percent"] == percent].itertuples():
            has = np.where(wanted == "", np.nan, wanted == row._4)
            mean, low, high = clustered_mean_interval(has, resamples=40)
            assert row.share == pytest.approx(float(mean))
            assert (row.low, row.high) == pytest.approx((float(low), float(high)))
            assert (row.first_step, row.last_step, row.checkpoints) == (STEPS[window[0]], 128, len(window))
            assert (row.sequences, row.tokens, row.reason) == (4, 4 * 31 - 1, "")
    assert set(shares["class"]) == set(TRAJECTORY_CLASSES)
    assert shares.groupby("percent")["share"].sum().to_numpy() == pytest.approx(1)
    assert tokens["token"].tolist() == inputs.tokens[:4, 1:].ravel().tolist()
    assert tokens["position"].tolist() == list(range(1, 32)) * 4
    assert {"stagnating", "decreasing", "increasing"} <= set(tokens["after_10"].dropna())


def test_the_same_tokens_are_compared_across_sizes_and_seeds(captured: Path, tmp_path: Path) -> None:
    tables = tables_of(plant(captured, tmp_path / "run", mixed))
    tokens = tables["token_classes"].set_index(["size", "seed", "sequence", "position"])["after_20"].astype(object)
    agreement = tables["class_agreement"].query("percent == 20").set_index(["size_a", "size_b", "seeds"])
    groups = {
        ("tiny", "small", "same"): [("tiny", 1, "small", 1), ("tiny", 2, "small", 2)],
        ("tiny", "small", "different"): [("tiny", 1, "small", 2), ("tiny", 2, "small", 1)],
        ("tiny", "tiny", "different"): [("tiny", 1, "tiny", 2), ("tiny", 2, "tiny", 1)],
        ("small", "small", "different"): [("small", 1, "small", 2), ("small", 2, "small", 1)],
    }
    order = list(dict.fromkeys(tables["trajectories"]["size"]))
    groups = {(*sorted(key[:2], key=order.index), key[2]): pairs for key, pairs in groups.items()}
    assert set(agreement.index) == set(groups)
    for key, pairs in groups.items():
        cells: Counter[tuple[str, str]] = Counter()
        for a, i, b, j in pairs:
            left, right = (tokens[a, i], tokens[b, j]) if (a, b) == key[:2] else (tokens[b, j], tokens[a, i])
            cells.update((x, y) for x, y in zip(left, right, strict=True) if pd.notna(x) and pd.notna(y))
        total = sum(cells.values())
        same = sum(count for (x, y), count in cells.items() if x == y) / total
        left_share, right_share = (Counter[str](), Counter[str]())
        for (x, y), count in cells.items():
            left_share[x] += count / total
            right_share[y] += count / total
        chance = sum(left_share[name] * right_share[name] for name in TRAJECTORY_CLASSES)
        row = agreement.loc[key]
        assert row["kappa"] == pytest.approx((same - chance) / (1 - chance))
        assert row["agreement"] == pytest.approx(same)
        assert row["low"] <= row["kappa"] <= row["high"]
        assert row["pairs"] == (1 if key[0] == key[1] else 2)
        moved = tables["class_transitions"].query("percent == 20")
        moved = moved[(moved["size_a"] == key[0]) & (moved["size_b"] == key[1]) & (moved["seeds"] == key[2])]
        assert len(moved) == 25
        for cell in moved.itertuples():
            assert cell.share == pytest.approx(cells[cell.class_a, cell.class_b] / total)
            if left_share[cell.class_a]:
                assert cell.given_a == pytest.approx(cell.share / left_share[cell.class_a])
            else:
                assert math.isnan(cell.given_a)


def test_kappa_of_known_tables() -> None:
    perfect, chance = np.diag([3.0, 4.0]), np.outer([2.0, 3.0], [1.0, 4.0])
    assert cohens_kappa(perfect) == pytest.approx(1)
    assert cohens_kappa(chance) == pytest.approx(0)
    assert cohens_kappa(np.array([[20.0, 5.0], [10.0, 15.0]])) == pytest.approx(0.4)  # a textbook's
    assert np.isnan(cohens_kappa(np.array([[7.0, 0.0], [0.0, 0.0]])))  # one class only
    assert np.isnan(cohens_kappa(np.zeros((2, 2))))
    assert cohens_kappa(np.stack([perfect, chance])).shape == (2,)


def of_perplexity(size: str, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Entropy is one function of perplexity in both sizes; the small size learns faster."""
    log = 6 - (0.9 if size == "small" else 0.6) * math.log1p(step)
    noise = np.random.default_rng([seed, 7]).normal(size=SHAPE) * 0.05  # of the text, hence the same at every step
    return log + noise, np.sin(log) + 2 + noise


def of_steps(size: str, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    surprisal, _ = of_perplexity(size, seed, step)
    return surprisal, np.full(SHAPE, math.log1p(step)) + surprisal - surprisal.mean()


def test_sizes_that_are_one_function_of_perplexity_line_up_against_it(captured: Path, tmp_path: Path) -> None:
    for outputs, name in ((of_perplexity, "perplexity"), (of_steps, "steps")):
        table = tables_of(plant(captured, tmp_path / name, outputs))["size_alignment"].set_index("measure")
        row = table.loc["entropy"]
        assert row["reason"] == ""
        assert row["perplexity_high"] == pytest.approx(math.exp(6), rel=0.05)
        assert row["perplexity_low"] == pytest.approx(math.exp(6 - 0.6 * math.log1p(128)), rel=0.05)
        assert row["ratio"] == pytest.approx(row["distance"] / row["step_distance"])
        assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        assert row["low"] <= row["distance"] <= row["high"]
        if name == "perplexity":
            assert row["ratio_high"] < 0.2
            assert row["p_value"] == pytest.approx(1 / 41)
            assert row["seed_distance"] < row["step_distance"]
        else:
            assert row["ratio_low"] > 5
            assert row["p_value"] == 1


def test_curves_against_perplexity_pass_through_what_was_measured(captured: Path, tmp_path: Path) -> None:
    folder = plant(captured, tmp_path / "run", of_perplexity, kl=True)
    table = tables_of(folder)["against_perplexity"]
    surprisal = analyse(RunReader(folder), ["surprisal"], QUICK)["surprisal"]
    for (size, seed), curve in table[table["measure"] == "entropy"].groupby(["size", "seed"]):
        known = surprisal[(surprisal["size"] == size) & (surprisal["seed"] == seed)].sort_values("surprisal")
        for column, source in (("value", "entropy"), ("low", "entropy_low"), ("high", "entropy_high")):
            wanted = np.interp(np.log(curve["perplexity"]), known["surprisal"], known[source])
            np.testing.assert_allclose(curve[column], wanted, rtol=1e-6)
        span = known["perplexity"].min(), known["perplexity"].max()
        assert curve["perplexity"].between(span[0] * (1 - 1e-9), span[1] * (1 + 1e-9)).all()
    kl = table[table["measure"] == "KL between seeds"]
    assert kl["seed"].isna().all()
    np.testing.assert_allclose(np.log1p(kl["value"]), np.log1p(kl["step"]), atol=0.35)  # planted: KL is the step
    assert set(kl["size"]) == {"tiny", "small"}
    likely = table[table["measure"] == "likely tokens"]
    assert likely["value"].between(0, 1).all()


def test_perplexities_that_do_not_overlap_are_named_not_extrapolated(captured: Path, tmp_path: Path) -> None:
    def apart(size: str, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        surprisal, entropy = of_perplexity(size, seed, step)
        return surprisal + (10 if size == "small" else 0), entropy

    tables = tables_of(plant(captured, tmp_path / "run", apart))
    row = tables["size_alignment"].set_index("measure").loc["entropy"]
    assert "do not overlap" in row["reason"]
    assert "tiny has" in row["reason"]
    assert "small has" in row["reason"]
    assert np.isnan([row["distance"], row["ratio"], row["p_value"], row["perplexity_low"]]).all()
    spans = tables["against_perplexity"].groupby("size")["perplexity"].agg(["min", "max"])
    assert spans.loc["tiny", "max"] < spans.loc["small", "min"]


@pytest.mark.parametrize("lacking", ["tiny", "small"])
def test_of_seeds_without_a_step_in_common_the_one_that_ends_last_is_followed(
    captured: Path, tmp_path: Path, lacking: str
) -> None:
    def alternating(size: str, seed: int, step: int) -> tuple[np.ndarray, np.ndarray] | None:
        return None if size == lacking and STEPS.index(step) % 2 == seed % 2 else of_perplexity(size, seed, step)

    tables = tables_of(plant(captured, tmp_path / "run", alternating))
    row = tables["size_alignment"].set_index("measure").loc["entropy"]
    assert row["reason"] == ""
    assert np.isfinite(row["distance"])


def test_where_the_classes_of_a_size_are_followed_through_all(captured: Path, tmp_path: Path) -> None:
    tables = tables_of(plant(captured, tmp_path / "run", mixed))
    curves = tables["against_perplexity"]
    first = tables["trajectories"]["size"].iloc[0]
    tokens = tables["token_classes"]
    chosen = (
        tokens[(tokens["size"] == first) & (tokens["seed"] == 1)]["after_10"].astype(object).to_numpy() == "increasing"
    )
    last = curves[(curves["measure"] == "surprisal of increasing tokens") & (curves["seed"] == 2)]
    for size, curve in last.groupby("size"):
        means = [np.nanmean(mixed(size, 2, step)[0].astype(np.float32).ravel()[chosen]) for step in STEPS]
        at = curve.sort_values("step")
        # The step of a perplexity is interpolated itself: where the curve bends, it may lie on either side.
        np.testing.assert_allclose(at["value"], np.interp(np.log1p(at["step"]), np.log1p(STEPS), means), atol=1e-3)


@pytest.mark.parametrize("steps", [(0,), (0, 1), (0, 1, 128)])
def test_few_checkpoints_give_empty_tables_or_say_why(captured: Path, tmp_path: Path, steps: tuple[int, ...]) -> None:
    tables = tables_of(plant(captured, tmp_path / "run", mixed, steps))
    if len(steps) < 3:
        assert all(table.empty for table in tables.values())
        return
    table = tables["trajectories"]
    assert table["share"].isna().all()
    assert set(table["checkpoints"]) == {1}
    assert set(table["reason"]) == {f"1 checkpoint from {p} % of training on: a trend needs 3" for p in PERCENTS}
    assert tables["class_agreement"].empty
    assert tables["token_classes"]["after_10"].isna().all()
    assert not tables["against_perplexity"].empty


def test_outputs_that_are_missing_at_some_steps_or_everywhere(captured: Path, tmp_path: Path) -> None:
    def some(size: str, seed: int, step: int) -> tuple[np.ndarray, np.ndarray] | None:
        if (size == "tiny" and step == 48) or (size == "small" and seed == 2):
            return None
        surprisal, entropy = mixed(size, seed, step)
        return (surprisal * np.nan, entropy * np.nan) if step == 64 else (surprisal, entropy)

    table = tables_of(plant(captured, tmp_path / "some", some))["trajectories"]
    assert set(zip(table["size"], table["seed"], strict=True)) == {("tiny", 1), ("tiny", 2), ("small", 1)}
    assert table["share"].notna().all()
    at_10 = table[table["percent"] == 10].groupby("size")["checkpoints"].first()
    assert at_10.to_dict() == {"tiny": 7, "small": 8}
    none = tables_of(plant(captured, tmp_path / "none", lambda *_: None))
    assert all(frame.empty for frame in none.values())


def test_trends_run_over_what_was_asked_for(captured: Path, tmp_path: Path) -> None:
    folder = plant(captured, tmp_path / "run", mixed)
    tables = {axis: tables_of(folder, Options(resamples=5, trend_over=axis)) for axis in ("log", "order", "step")}
    classes = [table["token_classes"]["after_10"].astype(str).tolist() for table in tables.values()]
    assert classes[0] != classes[1]
    with pytest.raises(ps.PhasescopeError, match="Did you mean order"):
        Options(trend_over="ordr")


def test_a_real_run_from_shards_to_tables(captured: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(captured, tmp_path / "run"))
    tables = ps.open_run(run).analyse("trajectories", options=QUICK)
    # Steps 0, 1, 4, 16: two checkpoints are left after 10 % of training.
    assert set(tables["trajectories"]["checkpoints"]) == {1, 2}
    assert tables["trajectories"]["reason"].str.contains("a trend needs 3").all()
    curve = tables["against_perplexity"].query("measure == 'KL between seeds' and size == 'tiny'")
    with h5py.File(run / "cohorts/tiny/step00000000.h5") as cohort:
        kl = cohort["kl"][...].astype(float)
    first = curve.sort_values("step").iloc[0]
    assert first["value"] == pytest.approx((kl[0, 1].mean() + kl[1, 0].mean()) / 2, abs=0.05 * kl.max())
    assert ps.open_run(run).table("size_alignment")["size_a"].nunique() == 1


def test_any_table_against_perplexity(captured: Path, tmp_path: Path) -> None:
    run = ps.open_run(Path(shutil.copytree(captured, tmp_path / "run")))
    entropy = run.against_perplexity("surprisal", "entropy", low="entropy_low", high="entropy_high")
    surprisal = run.surprisal()
    for (size, seed), curve in entropy.groupby(["size", "seed"]):
        known = surprisal[(surprisal["size"] == size) & (surprisal["seed"] == seed)]
        lowest = np.minimum.accumulate(known["surprisal"])
        known = known[np.r_[True, np.diff(lowest) < 0]].sort_values("surprisal")
        for column, source in (("value", "entropy"), ("low", "entropy_low"), ("step", "step")):
            wanted = known[source] if column != "step" else np.log1p(known[source])
            found = curve[column] if column != "step" else np.log1p(curve[column])
            np.testing.assert_allclose(found, np.interp(np.log(curve["perplexity"]), known["surprisal"], wanted))
    kl = run.against_perplexity(run.table("seeds"), "kl")
    assert kl["seed"].isna().all()
    assert kl["value"].between(run.table("seeds")["kl"].min() - 1e-9, run.table("seeds")["kl"].max() + 1e-9).all()
    layers = run.against_perplexity("convergence", "cka", by=["site", "head"])
    assert set(layers["site"]) == set(run.convergence()["site"])
    foreign = pd.DataFrame({"size": "tiny", "seed": 1, "step": [0, 16, 99], "accuracy": [0.0, 1.0, 0.5]})
    points = run.against_perplexity(foreign, "accuracy")  # a step that the run lacks is passed over
    assert points["low"].isna().all()
    assert points["value"].between(0, 1).all()
    assert run.against_perplexity(foreign.assign(size="other"), "accuracy").empty
    with pytest.raises(ps.PhasescopeError, match="Did you mean cka"):
        run.against_perplexity("convergence", "ck", by=["site", "head"])
    with pytest.raises(ps.PhasescopeError, match="Name what tells them apart"):
        run.against_perplexity("convergence", "cka")
