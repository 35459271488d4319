"""Tables against independent computations from the shards, in float64 NumPy."""

import math
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch

import phasescope as ps
from phasescope.analyses import Options, RunReader, analyse, questions
from phasescope.analyses.convergence import tables as convergence
from phasescope.analyses.convergence.columns import KEYS
from phasescope.errors import BadArgumentError, PhasescopeWarning
from phasescope.measures import bootstrap_weights
from phasescope.store import RunFolder, read_table
from phasescope.texts import Inputs
from tests.conftest import STEPS

# Of what is answered without being named.
TABLES = [table.name for asked in questions().values() if not asked.by_name for table in asked.tables]


def array(run: Path, size: str, seed: int, step: int, name: str) -> np.ndarray:
    with h5py.File(run / f"checkpoints/{size}/seed{seed}/step{step:08d}.h5") as shard:
        return shard[name][...].astype(np.float64)


def cka(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(0), y - y.mean(0)
    return float(np.linalg.norm(x.T @ y) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y))


@pytest.fixture(scope="module")
def tables(captured: Path) -> dict[str, pd.DataFrame]:
    return analyse(RunReader(RunFolder(captured)), options=Options(resamples=200))


def test_convergence_is_cka_to_the_last_step(captured: Path, tables: dict[str, pd.DataFrame]) -> None:
    table = tables["convergence"]
    whole = table[table["head"].isna()]
    assert len(whole) == 2 * 4 * 3 * (2 + 3)  # seeds × steps × components × layers of both sizes
    heads = table[table["head"].notna()]
    assert len(heads) == 2 * 4 * (2 * 2 + 3 * 3)
    for row in table.itertuples():
        first, last = (array(captured, row.size, row.seed, step, f"activations/{row.site}") for step in (row.step, 16))
        if row.component == "ov_out":
            first, last = (x.sum(1) if pd.isna(row.head) else x[:, row.head] for x in (first, last))
        assert row.cka == pytest.approx(cka(first, last), abs=1e-6)  # float32 products against float64
        assert row.low <= row.cka + 1e-9
        assert row.cka <= row.high + 1e-9
        assert row.reason == ""
    at_end = table[table["step"] == 16]
    np.testing.assert_allclose(at_end[["cka", "low", "high"]], 1.0, atol=1e-6)


def test_kept_resamples_are_one_draw_of_sequences_for_all_checkpoints_and_seeds(
    captured: Path, tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["convergence_resamples"]
    assert len(table) == tables["convergence"]["head"].isna().sum()
    assert [name for name in table if name not in KEYS] == [f"r{number}" for number in range(64)]
    inputs = Inputs.load(captured / "inputs.h5")
    counts = bootstrap_weights(inputs.sequences, 200, 0).repeat_interleave(inputs.sampled // inputs.sequences, 1)
    third, last = (np.repeat(np.arange(inputs.sampled), counts[number]) for number in (3, 63))
    for row in table[table["site"] == "blocks.1.hook_mlp_out"].itertuples():
        x, y = (array(captured, row.size, row.seed, step, f"activations/{row.site}") for step in (row.step, 16))
        # Differences of two resamples: the median of all is taken from both. Float32 against float64.
        assert row.r63 - row.r3 == pytest.approx(cka(x[last], y[last]) - cka(x[third], y[third]), abs=2e-6)
    moved = table.loc[table["step"] < 16].drop(columns=list(KEYS))
    assert (moved.std(axis=1) > 0).all()
    np.testing.assert_allclose(table.loc[table["step"] == 16].drop(columns=list(KEYS)), 0, atol=1e-6)


def test_settling_follows_from_convergence(tables: dict[str, pd.DataFrame]) -> None:
    curves = tables["convergence"].set_index(["size", "seed", "site", "head", "step"])["cka"]
    assert set(tables["settling"]["tau"]) == {0.8, 0.9, 0.95}
    seen = set()
    for row in tables["settling"].itertuples():
        values = [curves.loc[row.size, row.seed, row.site, row.head, step] for step in STEPS]
        settled = [step for i, step in enumerate(STEPS[:-1]) if min(values[i:]) >= row.tau]
        if not settled:
            assert pd.isna(row.settling_step)
            assert math.isnan(row.settling_fraction)
        else:
            assert row.settling_step == settled[0]
            assert row.settling_fraction == settled[0] / 16
            assert row.low <= row.settling_step
        seen.add(bool(settled))
    assert seen == {True, False}


def test_baselines_are_those_of_the_first_step_and_of_texts_in_any_order(
    captured: Path, tables: dict[str, pd.DataFrame]
) -> None:
    curves = tables["convergence"].set_index(["size", "seed", "site", "head", "step"])
    generator = np.random.default_rng(0)
    for row in tables["settling"][tables["settling"]["head"].isna()].itertuples():
        first = curves.loc[row.size, row.seed, row.site, row.head, 0]
        begin = (row.first_cka, row.first_low, row.first_high)
        assert (row.first_step, *begin) == (0, first["cka"], first["low"], first["high"])
        at = 16 if pd.isna(row.settling_step) else row.settling_step
        assert row.shuffled == curves.loc[row.size, row.seed, row.site, row.head, at]["shuffled"]
        settled = not pd.isna(row.settling_step)
        assert row.moved == (not settled or (row.first_high < row.tau and row.shuffled < row.tau))
        assert bool(row.reason) == (not row.moved)
    for site in ("blocks.0.hook_mlp_out", "blocks.1.hook_attn_out"):
        x, y = (array(captured, "tiny", 1, step, f"activations/{site}") for step in (1, 16))
        drawn = [cka(x, y[generator.permutation(len(y))]) for _ in range(2000)]
        # Of so many orders the mean is sure to a few standard errors.
        error = 4 * np.std(drawn) / math.sqrt(len(drawn))
        found = curves.xs(("tiny", 1, site, 1), level=["size", "seed", "site", "step"])
        assert found["shuffled"].iloc[0] == pytest.approx(np.mean(drawn), abs=error)


EARLY = "not surely below τ at the first step"


@pytest.mark.parametrize(
    ("cka", "high", "shuffled", "step", "reason"),
    [
        ([0.3, 0.5, 0.95, 1.0], 0.4, 0.1, 4, ""),
        ([0.95, 0.96, 0.97, 1.0], 0.97, 0.1, 0, f"{EARLY}: CKA 0.95 [0.93, 0.97]"),
        # Near τ, and perhaps over it; away from it and back.
        ([0.88, 0.95, 0.97, 1.0], 0.91, 0.1, 1, f"{EARLY}: CKA 0.88 [0.86, 0.91]"),
        ([0.96, 0.50, 0.97, 1.0], 0.97, 0.1, 4, f"{EARLY}: CKA 0.96 [0.94, 0.97]"),
        ([0.30, 0.50, 0.97, 1.0], 0.4, 0.92, 4, "texts that do not match reach τ too: CKA 0.92"),
        ([0.96, 0.50, 0.60, 1.0], 0.97, 0.1, None, ""),  # it moves to the last
        ([math.nan, 0.30, 0.97, 1.0], 0.4, 0.1, 4, ""),
        ([math.nan, 0.96, 0.97, 1.0], 0.97, 0.1, 1, f"{EARLY}: CKA 0.96 [0.94, 0.97]"),
        ([math.nan, math.nan, math.nan, 1.0], 0.4, 0.1, None, "no CKA before the last step"),
    ],
)  # fmt: skip
def test_what_is_high_from_the_beginning_was_not_seen_to_settle(
    cka: list[float], high: float, shuffled: float, step: int | None, reason: str
) -> None:
    curve = torch.tensor(cka, dtype=torch.float64)
    replicates = curve + torch.zeros(20, 1, dtype=torch.float64)
    first = next((value for value in cka[:-1] if not math.isnan(value)), math.nan)
    bounds = torch.full_like(curve, first - 0.02), torch.full_like(curve, high)
    chance = torch.full_like(curve, shuffled)
    level = Options().level
    made = convergence.Curve("L0.mlp_out", None, curve, curve, replicates, replicates, chance, 8, 8, [""] * 4, level)
    made.__dict__["bounds"] = bounds
    (row,) = convergence.settling_rows(made, [0, 1, 4, 16], Options(taus=(0.9,)))
    found = dict(zip(list(convergence.SETTLING)[6:], row, strict=True))
    assert (found["settling_step"], found["moved"], found["reason"]) == (step, not reason, reason)


def test_rank_is_that_of_the_matrices(captured: Path, suite_folder: Path, tables: dict[str, pd.DataFrame]) -> None:
    from transformers import AutoModelForCausalLM

    def effective_rank(matrix: np.ndarray) -> float:
        values = np.linalg.svd(matrix, compute_uv=False)
        share = values / values.sum()
        return float(np.exp(-(share * np.log(share)).sum()))

    rank = tables["rank"].set_index(["size", "seed", "step", "site", "head"]).sort_index()
    layer = AutoModelForCausalLM.from_pretrained(suite_folder / "small/seed1/step4").gpt_neox.layers[2]
    fused = layer.attention.query_key_value.weight.detach().double().numpy().reshape(3, 3, 8, 24)  # [head][q k v]
    W_O = layer.attention.dense.weight.detach().double().numpy().T.reshape(3, 8, 24)
    here = rank.loc["small", 1, 4]
    for head in range(3):
        query, key, value = fused[head]
        for site, matrix, largest in [
            ("OV", value.T @ W_O[head], 8),
            ("QK", query.T @ key, 8),
            ("W_V", value.T, 8),
        ]:
            row = here.loc[f"blocks.2.attn.{site}", head]
            # A product of rank 8 has 16 more singular values of the size of rounding: they add to the reference.
            assert row["effective_rank"] == pytest.approx(effective_rank(matrix), rel=1e-6)
            assert row["proportional"] == pytest.approx(row["effective_rank"] / largest)
    W_out = layer.mlp.dense_4h_to_h.weight.detach().double().numpy()
    row = here.loc["blocks.2.mlp.W_out"].iloc[0]
    assert row["effective_rank"] == pytest.approx(effective_rank(W_out), rel=1e-6)
    assert row["norm"] == pytest.approx(np.linalg.norm(W_out), rel=1e-6)
    activations = array(captured, "small", 1, 4, "activations/blocks.2.hook_mlp_out")
    centred = activations - activations.mean(0)
    row = here.loc["blocks.2.hook_mlp_out"].iloc[0]
    assert row["kind"] == "activation"
    assert row["effective_rank"] == pytest.approx(effective_rank(centred), rel=1e-5)
    assert row["largest"] == 11  # 12 samples, less one for the mean
    kinds = tables["rank"].groupby("kind")["component"].unique()
    assert set(kinds["weight"]) == {"W_Q", "W_K", "W_V", "W_O", "W_in", "W_out", "W_E", "W_U"}
    assert set(kinds["circuit"]) == {"OV", "QK"}


def test_surprisal_is_the_mean_over_tokens(captured: Path, tables: dict[str, pd.DataFrame]) -> None:
    inputs = Inputs.load(captured / "inputs.h5")
    smoothed = (inputs.counts + 1) / (inputs.counts + 1).sum()
    unigram = -np.log(smoothed[inputs.tokens[:4, 1:]]).mean()
    assert len(tables["surprisal"]) == 16
    for row in tables["surprisal"].itertuples():
        values = array(captured, row.size, row.seed, row.step, "outputs/surprisal")
        assert row.surprisal == pytest.approx(values.mean(), rel=1e-6)
        assert row.perplexity == pytest.approx(np.exp(values.mean()), rel=1e-5)
        assert row.low <= row.surprisal <= row.high
        assert row.unigram == pytest.approx(unigram, rel=1e-9)
        assert (row.sequences, row.tokens) == (4, 4 * 31)


def test_seeds_is_the_mean_over_ordered_pairs_and_tokens(captured: Path, tables: dict[str, pd.DataFrame]) -> None:
    assert tables["seeds"]["size"].tolist() == ["tiny"] * 4 + ["small"] * 4
    for row in tables["seeds"].itertuples():
        with h5py.File(captured / f"cohorts/{row.size}/step{row.step:08d}.h5") as cohort:
            kl = cohort["kl"][...].astype(np.float64)
        assert row.kl == pytest.approx((kl[0, 1].mean() + kl[1, 0].mean()) / 2, rel=1e-6)
        assert row.convergence == -row.kl
        assert row.low <= row.kl <= row.high
        pairs = tables["seed_pairs"]
        pair = pairs[(pairs["size"] == row.size) & (pairs["step"] == row.step)].set_index(["seed_p", "seed_q"])
        assert pair.loc[(1, 2), "kl"] == pytest.approx(kl[0, 1].mean(), rel=1e-6)
        assert len(pair) == 2


def test_tables_are_kept_and_made_anew_when_shards_change(captured: Path, tmp_path: Path) -> None:
    import shutil

    run_path = Path(shutil.copytree(captured, tmp_path / "run"))
    run = ps.open_run(run_path)
    run.analyse("surprisal", options=Options(resamples=7), csv=True)
    assert "resamples=7" in run.table("surprisal").attrs["options"]
    csv = pd.read_csv(run_path / "results/surprisal.csv")
    np.testing.assert_allclose(csv["surprisal"], run.surprisal()["surprisal"])
    (run_path / "checkpoints/tiny/seed1/step00000004.h5").unlink()
    with pytest.warns(PhasescopeWarning, match="has lost"):
        changed = ps.open_run(run_path).surprisal()
    assert len(changed) == 15
    assert len(read_table(run_path / "results/surprisal.parquet")) == 15


def test_layers_that_do_not_move_have_no_cka_and_say_why(captured: Path, tmp_path: Path) -> None:
    import shutil

    from phasescope.store import Entry, open_container, write_container

    run_path = Path(shutil.copytree(captured, tmp_path / "run"))
    path = run_path / "checkpoints/tiny/seed1/step00000001.h5"
    with open_container(path, "shard") as shard:
        entries = {name: Entry(shard.read(name), shard.attrs_of(name)) for name in shard.names()}
        attrs = {key: value for key, value in shard.attrs.items() if key != "digest"}
    flat = "activations/blocks.1.hook_mlp_out"
    entries[flat] = Entry(np.ones_like(entries[flat].data), entries[flat].attrs)
    write_container(path, "shard", entries, attrs)
    table = ps.open_run(run_path).convergence()
    there = table[(table["size"] == "tiny") & (table["seed"] == 1) & (table["site"] == "blocks.1.hook_mlp_out")]
    row = there[there["step"] == 1].iloc[0]
    assert math.isnan(row["cka"])
    assert math.isnan(row["low"])
    assert row["reason"] == "no variance at this step"
    assert there[there["step"] == 4].iloc[0]["reason"] == ""
    settling = ps.open_run(run_path).settling()
    mine = settling[
        (settling["size"] == "tiny") & (settling["seed"] == 1) & (settling["site"] == "blocks.1.hook_mlp_out")
    ]
    assert (mine["settling_step"].dropna() > 1).all()  # a gap is not τ


@pytest.mark.parametrize("tau", [0.0, 1.0, -0.5, 2.0, math.nan])
def test_tau_outside_its_range_is_refused(tau: float) -> None:
    with pytest.raises(ps.PhasescopeError, match="between 0 and 1"):
        Options(taus=(0.9, tau))


def test_a_device_that_is_not_there_is_refused_before_anything_is_read(captured: Path) -> None:
    with pytest.raises(BadArgumentError, match=r"There is no device 'cuda:99' here"):
        analyse(RunReader(RunFolder(captured)), ["convergence"], options=Options(device="cuda:99", seed=1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_convergence_on_a_gpu_is_that_of_the_cpu(captured: Path, tmp_path: Path) -> None:
    found = []
    for device in ("cpu", "cuda"):
        run = RunFolder(Path(shutil.copytree(captured, tmp_path / device)))
        shutil.rmtree(run.path / "results", ignore_errors=True)
        found.append(analyse(RunReader(run), ["convergence"], options=Options(device=device))["convergence"])
    # float64, summed in another order; what pairs of samples add to intervals is float32.
    pd.testing.assert_frame_equal(*found, atol=1e-6, rtol=0)


def test_unknown_names_offer_the_nearest(captured: Path) -> None:
    run = ps.open_run(captured)
    with pytest.raises(ps.PhasescopeError, match="Did you mean surprisal"):
        run.analyse("suprisal")
    with pytest.raises(ps.PhasescopeError, match="Did you mean settling"):
        run.table("setling")


def test_a_run_without_outputs_has_empty_tables_not_errors(
    suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    run = ps.capture(
        suite_folder, texts_file, tmp_path / "run", sizes=["tiny"], seeds=[1], sequences=6, context=32,
        output_sequences=2, outputs=False,
    )  # fmt: skip
    tables = run.analyse()
    assert tables["surprisal"].empty
    assert tables["seeds"].empty
    assert not tables["convergence"].empty
    assert list(tables) == TABLES
