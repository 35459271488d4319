"""The table of gradients against float64 autograd of the saved models, and what a capture of gradients promises."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM

import phasescope as ps
from phasescope.analyses import Options, RunReader, analyse
from phasescope.store import Entry, RunFolder, ShardKey, open_container, verify, write_container
from phasescope.suites.batches import training_batches
from phasescope.texts import Inputs
from tests.suites.nursery_samples import train_sample

ASKED = {"sequences": 12, "context": 32, "output_sequences": 4, "sizes": ["small"], "steps": [0, 4, 16]}
GRADIENTS = {"gradients": "inputs", "gradient_sequences": 9, "gradient_batches": 3}


@pytest.fixture(scope="module")
def run_path(suite_folder: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gradients of one size, two seeds and three steps, on three batches of the inputs. Read only."""
    out = tmp_path_factory.mktemp("gradients") / "run"
    ps.capture(suite_folder, texts_file, out, **ASKED, **GRADIENTS)
    return out


@pytest.fixture(scope="module")
def table(run_path: Path) -> pd.DataFrame:
    return analyse(RunReader(RunFolder(run_path)), ["gradients"], Options(resamples=200))["gradients"]


def gradients_of(folder: Path, tokens: np.ndarray | torch.Tensor) -> dict[str, np.ndarray]:
    """By parameter, in float64."""
    model = AutoModelForCausalLM.from_pretrained(folder).double().eval()
    ids = torch.as_tensor(tokens).long()
    functional.cross_entropy(model(ids[:, :-1]).logits.flatten(0, 1), ids[:, 1:].flatten()).backward()
    return {name: parameter.grad.numpy() for name, parameter in model.named_parameters()}


def cosine(x: np.ndarray, y: np.ndarray) -> float:
    return float((x * y).sum() / np.linalg.norm(x) / np.linalg.norm(y))


def test_norms_ratios_ranks_and_cosines(run_path: Path, suite_folder: Path, table: pd.DataFrame) -> None:
    tokens = Inputs.load(run_path / "inputs.h5").tokens[:9]
    folder = suite_folder / "small/seed2"
    each = [gradients_of(folder / "step4", part) for part in np.array_split(tokens, 3)]
    mean, before = (gradients_of(folder / f"step{step}", tokens) for step in (4, 0))
    weights = dict(AutoModelForCausalLM.from_pretrained(folder / "step4").named_parameters())
    here = table[(table["seed"] == 2) & (table["step"] == 4)].set_index("site")

    name = "gpt_neox.layers.1.mlp.dense_4h_to_h.weight"
    row = here.loc["blocks.1.mlp.W_out"]
    norms = [np.linalg.norm(gradients[name]) for gradients in each]
    size = float(weights[name].detach().norm())
    assert (row["layer"], row["component"], row["kind"], row["batches"]) == (1, "W_out", "weight", 3)
    # Float32 against float64 here and below.
    assert row["norm"] == pytest.approx(np.mean(norms), rel=1e-5)
    assert row["mean_norm"] == pytest.approx(np.linalg.norm(mean[name]), rel=1e-5)
    assert row["weight_norm"] == pytest.approx(size, rel=1e-5)
    assert row["ratio"] == pytest.approx(np.mean(norms) / size, rel=1e-5)
    assert row["low"] < row["norm"] < row["high"]
    assert (row["ratio_low"], row["ratio_high"]) == pytest.approx((row["low"] / size, row["high"] / size), rel=1e-5)
    shares = np.linalg.svd(mean[name], compute_uv=False)
    shares = shares / shares.sum()
    assert row["effective_rank"] == pytest.approx(np.exp(-(shares * np.log(shares)).sum()), rel=1e-4)
    assert row["proportional"] == pytest.approx(row["effective_rank"] / 24)
    assert row["cosine"] == pytest.approx(
        np.mean([cosine(each[1][name], each[0][name]), cosine(each[2][name], each[1][name])]), abs=1e-5
    )
    assert row["cosine_low"] <= row["cosine"] <= row["cosine_high"]
    assert row["previous_step"] == 0
    assert row["cosine_previous"] == pytest.approx(cosine(mean[name], before[name]), abs=1e-5)  # short: no sketch
    assert row["cosine_previous_error"] == 0

    whole = here.loc["model"]
    flat = [np.concatenate([values.ravel() for values in gradients.values()]) for gradients in each]
    assert whole["norm"] == pytest.approx(np.mean([np.linalg.norm(values) for values in flat]), rel=1e-5)
    assert whole["cosine"] == pytest.approx(np.mean([cosine(flat[1], flat[0]), cosine(flat[2], flat[1])]), abs=1e-5)
    size = math.sqrt(sum(float(weight.detach().double().square().sum()) for weight in weights.values()))
    assert whole["weight_norm"] == pytest.approx(size, rel=1e-5)


def test_heads_and_their_whole(run_path: Path, suite_folder: Path, table: pd.DataFrame) -> None:
    tokens = Inputs.load(run_path / "inputs.h5").tokens[:9]
    name = "gpt_neox.layers.2.attention.dense.weight"
    each = [gradients_of(suite_folder / "small/seed1/step16", part)[name] for part in np.array_split(tokens, 3)]
    here = table[(table["seed"] == 1) & (table["step"] == 16) & (table["site"] == "blocks.2.attn.W_O")]
    assert here["head"].tolist() == [pd.NA, 0, 1, 2]
    whole, second = here.iloc[0], here.iloc[2]
    assert whole["norm"] == pytest.approx(np.mean([np.linalg.norm(values) for values in each]), rel=1e-5)
    assert whole["cosine"] == pytest.approx(np.mean([cosine(each[1], each[0]), cosine(each[2], each[1])]), abs=1e-5)
    heads = [values[:, 8:16] for values in each]
    assert second["norm"] == pytest.approx(np.mean([np.linalg.norm(values) for values in heads]), rel=1e-5)
    assert second["cosine"] == pytest.approx(
        np.mean([cosine(heads[1], heads[0]), cosine(heads[2], heads[1])]), abs=1e-5
    )
    assert math.isnan(whole["effective_rank"])
    assert 1 <= second["effective_rank"] <= 8
    assert math.isnan(second["cosine_previous"])
    circuits = table[table["kind"] == "circuit"]
    assert circuits["head"].notna().all()
    assert set(circuits["largest"]) == {16}  # twice d_head
    assert circuits["proportional"].between(0, 1).all()


def test_every_site_and_checkpoint_has_its_rows(table: pd.DataFrame) -> None:
    assert (table.groupby(["seed", "step"]).size() == 1 + 2 + 3 * (4 * 4 + 2 * 3 + 2)).all()
    assert table.groupby(["seed", "step"]).ngroups == 6
    first = table["step"] == 0
    assert table.loc[first, "cosine_previous"].isna().all()
    later = table[~first & (table["kind"] == "weight") & table["head"].isna()]
    assert later["cosine_previous"].between(-1, 1).all()
    sketched = later[later["site"] == "embed.W_E"]  # 300 × 24 entries are more than a sketch has
    np.testing.assert_allclose(sketched["cosine_previous_error"], (1 - sketched["cosine_previous"] ** 2) / 64)
    assert (table["reason"] == "").all()


def test_a_checkpoint_between_two_others_is_read_with_its_neighbours_alone(
    run_path: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(shutil.copytree(run_path, tmp_path / "run", ignore=shutil.ignore_patterns("results")))
    options, steps = Options(resamples=200), sorted({key.step for key in folder.shards()})
    middle = ShardKey("small", 1, steps[1])
    folder.shard(middle).rename(tmp_path / "aside")
    folder.index.unlink()  # which knows of it
    without = analyse(RunReader(folder), ["gradients"], options)["gradients"]
    (tmp_path / "aside").rename(folder.shard(middle))
    opened: list[ShardKey] = []
    known = RunFolder.open_shard
    reader = RunReader(folder)
    assert reader.keys
    monkeypatch.setattr(RunFolder, "open_shard", lambda self, key: opened.append(key) or known(self, key))
    pd.testing.assert_frame_equal(analyse(reader, ["gradients"], options)["gradients"], table, check_exact=True)
    assert set(opened) == {ShardKey("small", 1, step) for step in steps[:3]}
    last = [frame.query(f"size == 'small' and seed == 1 and step == {steps[2]}") for frame in (without, table)]
    assert [set(rows["previous_step"].dropna()) for rows in last] == [{steps[0]}, {steps[1]}]


def test_kept_matrices_make_cosines_exact(
    suite_folder: Path, texts_file: Path, tmp_path: Path, table: pd.DataFrame
) -> None:
    run = ps.capture(suite_folder, texts_file, tmp_path / "run", **ASKED, **GRADIENTS, keep_gradients=True)
    exact = run.gradients()
    pd.testing.assert_frame_equal(
        exact.drop(columns=["cosine_previous", "cosine_previous_error"]).filter(regex="norm|rank|cosine$|size|step"),
        table.drop(columns=["cosine_previous", "cosine_previous_error"]).filter(regex="norm|rank|cosine$|size|step"),
        rtol=1e-6,
    )
    known = exact["cosine_previous"].notna()
    assert (exact.loc[known, "cosine_previous_error"] == 0).all()
    with h5py.File(run.path / "run.h5") as index:
        one, other = (
            index[f"checkpoints/small/seed1/step{step:08d}/gradients/matrices/embed.W_E"][...] for step in (0, 4)
        )
    assert one.shape == (300, 24)
    row = exact[(exact["seed"] == 1) & (exact["step"] == 4) & (exact["site"] == "embed.W_E")].iloc[0]
    assert row["cosine_previous"] == pytest.approx(cosine(one.astype(float), other.astype(float)), abs=1e-12)
    error = (table["cosine_previous"] - exact["cosine_previous"]).abs()[known]
    assert (error <= 4 * table.loc[known, "cosine_previous_error"] + 1e-6).all()


def test_a_shard_is_what_the_format_says(run_path: Path) -> None:
    with open_container(run_path / "checkpoints/small/seed1/step00000004.h5", "shard") as shard:
        names = shard.names("gradients")
        assert shard.attrs_of("gradients/loss")["loss"] == "next-token cross-entropy, mean over tokens"
        assert shard.attrs_of("gradients/loss")["tokens"] == 9 * 31
        assert shard.shape("gradients/norms/blocks.0.attn.W_Q") == (3, 3)
        assert shard.shape("gradients/products/blocks.0.mlp.W_in") == (2,)
        assert shard.shape("gradients/spectra/blocks.0.attn.OV") == (3, 16)
        assert shard.shape("gradients/sketches/embed.W_E") == (4096,)
        assert not any(name.startswith("gradients/matrices") for name in names)
        # What an older phasescope would take for weights holds nothing but weights.
        assert not any("gradient" in name for name in shard.names("spectra"))
    assert [finding.problem for finding in verify(RunFolder(run_path)) if finding.problem] == []


def test_a_second_capture_must_ask_for_the_same_gradients(
    run_path: Path, suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(run_path, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.rglob("*.h5") if "checkpoints" in path.parts}
    (run / "checkpoints/small/seed1/step00000004.h5").unlink()
    for other in ({}, {**GRADIENTS, "gradient_batches": 2}, {**GRADIENTS, "keep_gradients": True}):
        with pytest.raises(ps.PhasescopeError, match=r"gradients: 'on 9 sequences of the inputs in 3 batches' there"):
            ps.capture(suite_folder, texts_file, run, **ASKED, **other)
    ps.capture(suite_folder, texts_file, run, **ASKED, **GRADIENTS)
    assert {path: path.read_bytes() for path in before} == before


def test_a_run_from_before_there_were_gradients_goes_on(
    captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(captured, tmp_path / "run"))
    manifest = json.loads((run / "run.json").read_text())
    del manifest["asked"]["gradients"]
    RunFolder(run).write_manifest(manifest)
    (run / "checkpoints/tiny/seed1/step00000004.h5").unlink()
    again = ps.capture(suite_folder, texts_file, run, sequences=12, context=32, output_sequences=4)
    assert len(again.reader.keys) == 16
    assert again.gradients().empty


@pytest.mark.slow
def test_training_batches_of_the_nursery(tmp_path: Path) -> None:
    suite = train_sample(tmp_path / "suite", seeds=[1])
    run = ps.capture(suite, "docs", tmp_path / "run", sequences=4, output_sequences=2, gradients="training")
    table = run.gradients().set_index(["site", "step"])
    assert table.loc["model"]["batches"].to_dict() == {0: 6, 1: 7, 2: 8, 4: 10, 8: 7, 10: 5}
    checkpoint = suite.checkpoint("150k", 1, 4)
    batches = training_batches(checkpoint, 5)
    assert list(batches) == list(range(10))
    flat = [
        np.concatenate([values.ravel() for values in gradients_of(Path(checkpoint.location), windows).values()])
        for windows in batches.values()
    ]
    assert table.loc["model", 4]["norm"] == pytest.approx(np.mean([np.linalg.norm(g) for g in flat]), rel=1e-5)
    assert table.loc["model", 4]["mean_norm"] == pytest.approx(np.linalg.norm(np.mean(flat, 0)), rel=1e-5)
    with h5py.File(run.path / "run.h5") as index:
        assert index["checkpoints/150k/seed1/step00000004/gradients/steps"][...].tolist() == list(range(10))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"gradients": "training"}, "only suites of phasescope train"),
        ({"gradients": "inputs", "gradient_sequences": 13}, "--gradient-sequences from 1 to 12"),
    ],
)
def test_gradients_that_cannot_be_had(
    suite_folder: Path, texts_file: Path, tmp_path: Path, asked: dict[str, object], said: str
) -> None:
    with pytest.raises(ps.PhasescopeError, match=said):
        ps.capture(suite_folder, texts_file, tmp_path / "run", **ASKED, **asked)
    assert not (tmp_path / "run").exists()


def test_gradients_of_zero_and_single_batches_say_so(run_path: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run_path, tmp_path / "run"))
    path = run / "checkpoints/small/seed1/step00000004.h5"
    with open_container(path, "shard") as shard:
        entries = {name: Entry(shard.read(name), shard.attrs_of(name)) for name in shard.names()}
        attrs = {key: value for key, value in shard.attrs.items() if key != "digest"}
    for group in ("norms", "products", "spectra", "sketches"):
        name = f"gradients/{group}/blocks.0.mlp.W_in"
        entries[name] = Entry(np.zeros_like(entries[name].data), entries[name].attrs)
    write_container(path, "shard", entries, attrs)
    table = ps.open_run(run).gradients()
    here = table[(table["seed"] == 1) & (table["site"] == "blocks.0.mlp.W_in")].set_index("step")
    assert here.loc[4, "reason"] == "the gradient is zero"
    assert here.loc[4, "norm"] == 0
    assert here.loc[4, ["effective_rank", "proportional", "cosine", "cosine_low", "cosine_previous"]].isna().all()
    assert math.isnan(here.loc[16, "cosine_previous"])
    assert here.loc[16, "reason"] == ""
    for name, entry in entries.items():
        if name.startswith("gradients/norms") or name in ("gradients/loss", "gradients/steps"):
            entries[name] = Entry(entry.data[:1], entry.attrs)
    write_container(
        path, "shard", {name: e for name, e in entries.items() if not name.startswith("gradients/products")}, attrs
    )
    table = ps.open_run(run).gradients()
    here = table[(table["seed"] == 1) & (table["step"] == 4)].set_index("site")
    assert here.loc["model", "reason"] == "one batch alone"
    assert here.loc["model", "norm"] > 0
    assert here.loc["model", ["low", "high", "cosine"]].isna().all()
