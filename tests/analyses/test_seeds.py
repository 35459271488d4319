"""Study B's tables against the same numbers made of whole logits, in float64, and by brute force."""

from __future__ import annotations

import gc
import shutil
import weakref
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

import phasescope as ps
from phasescope.analyses import Options
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.store import Entry, RunFolder, ShardKey, open_container, verify, write_container
from phasescope.texts import Inputs, tags_read, word_class, words_read
from phasescope.visits.comparing import State, plan
from tests.conftest import PROSE, STEPS, make_suite, make_tokenizer

# float32 products of width 24, summed over 300 entries.
FLOAT32 = 2e-5


def log_probs(suite: Path, size: str, seed: int, step: int, run: Path) -> torch.Tensor:
    inputs = Inputs.load(run / "inputs.h5")
    model = AutoModelForCausalLM.from_pretrained(suite / f"{size}/seed{seed}/step{step}").eval()
    with torch.no_grad():
        logits = model(torch.from_numpy(inputs.tokens[: inputs.output_sequences]).long()).logits
    return logits[:, :-1, : inputs.vocabulary].double().log_softmax(-1)


def kl(p: torch.Tensor, q: torch.Tensor) -> float:
    return float((p.exp() * (p - q)).sum(-1).mean())


@pytest.fixture(scope="module")
def compared(captured: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, compared across steps and sizes. Read only."""
    run = Path(shutil.copytree(captured, tmp_path_factory.mktemp("compared") / "run"))
    ps.open_run(run).compare()
    return run


@pytest.fixture(scope="module")
def tables(compared: Path) -> dict[str, pd.DataFrame]:
    options = Options(resamples=100, by=("frequency", "pos", "previous_pos", "final_surprisal", "position"))
    return ps.open_run(compared).analyse("seeds", options=options)


def apart(run: Path, size: str, step: int) -> np.ndarray:
    with h5py.File(run / f"cohorts/{size}/step{step:08d}.h5") as cohort:
        found = cohort["kl"][...].astype(np.float64)
    return (found[0, 1] + found[1, 0]) / 2


def test_groups_are_means_over_their_tokens(compared: Path, tables: dict[str, pd.DataFrame]) -> None:
    inputs = Inputs.load(compared / "inputs.h5")
    targets = inputs.tokens[:4, 1:]
    share = inputs.counts[targets] * (1e6 / inputs.counts.sum())
    read = words_read(inputs)
    kinds = np.array([*map(word_class, tags_read(inputs, read)), ""])[read.word_of_token].reshape(targets.shape)
    members = {
        ("frequency", "1000 to 10000 per million"): (share >= 1e3) & (share < 1e4),
        ("frequency", "frequent"): inputs.counts[targets] >= np.median(inputs.counts[targets]),
        ("pos", "function"): kinds == "function",
        ("pos", "content"): kinds == "content",
        ("position", "8 to 15"): np.broadcast_to((np.arange(31) >= 7) & (np.arange(31) < 15), targets.shape),
    }
    table = tables["seeds_by"].set_index(["size", "step", "by", "group"])
    for (by, group), chosen in members.items():
        for size, step in (("tiny", 0), ("small", 16)):
            row = table.loc[(size, step, by, group)]
            assert row["kl"] == pytest.approx(apart(compared, size, step)[chosen].mean(), rel=1e-6)
            assert row["tokens"] == chosen.sum()
            assert row["low"] <= row["kl"] <= row["high"]
    assert set(tables["seeds_by"]["by"]) == {"frequency", "pos", "previous_pos", "final_surprisal", "position"}
    bins = tables["seeds_by"]
    bins = bins[bins["by"].isin(["final_surprisal"]) & bins["group"].str.contains("nats")]
    assert (bins.groupby(["size", "step"])["tokens"].sum() == targets.size).all()  # every token in one bin


def test_contrasts_are_paired_differences(tables: dict[str, pd.DataFrame]) -> None:
    by_group = tables["seeds_by"].set_index(["size", "step", "by", "group"])["kl"]
    rows = tables["seeds_by_contrasts"]
    assert set(rows["measure"]) == {"last_kl", "share", "peak_doublings"}
    for row in rows[rows["measure"] == "last_kl"].itertuples():
        assert row.value == by_group[(row.size, 16, row.by, row.group)]
        assert row.difference == pytest.approx(row.value - row.than_value)
        assert row.low <= row.difference <= row.high
    for row in tables["seeds_by_peaks"].itertuples():
        curve = by_group.loc[row.size].xs((row.by, row.group), level=("by", "group"))
        curve = curve[curve.index >= row.since]
        assert row.peak_step == curve.idxmax()
        assert row.share == pytest.approx(curve.iloc[-1] / curve.max())
        assert row.low <= row.peak_step <= row.high
        assert row.at_end == (curve.idxmax() == 16)


def test_a_planted_difference_between_groups_is_found(captured: Path, tmp_path: Path) -> None:
    """Frequent tokens twice as near as rare ones, at every step."""
    run = Path(shutil.copytree(captured, tmp_path / "run"))
    inputs = Inputs.load(run / "inputs.h5")
    counts = inputs.counts[inputs.tokens[:4, 1:]]
    frequent = counts >= np.median(counts)
    for path in run.glob("cohorts/tiny/*.h5"):
        with open_container(path, "cohort") as cohort:
            attrs = {key: value for key, value in cohort.attrs.items() if key != "digest"}
            seeds, step = Entry(cohort.read("seeds")), int(cohort.attrs["step"])
        value = np.where(frequent, 0.1, 0.2) * (1 + (step == 4))
        value = np.stack([[0 * value, value], [value, 0 * value]]).astype(np.float32)
        write_container(path, "cohort", {"kl": Entry(value), "seeds": seeds}, attrs)
    found = ps.open_run(run).analyse("seeds", options=Options(by=("frequency",), resamples=50))
    contrast = found["seeds_by_contrasts"]
    row = contrast[(contrast["size"] == "tiny") & (contrast["measure"] == "last_kl")].iloc[0]
    assert row[["value", "than_value", "difference"]].tolist() == pytest.approx([0.1, 0.2, -0.1])
    peaks = found["seeds_by_peaks"]
    assert (peaks[peaks["size"] == "tiny"]["peak_step"] == 4).all()
    np.testing.assert_allclose(peaks[peaks["size"] == "tiny"]["share"], 0.5)


def test_references_are_those_of_the_logits(
    compared: Path, suite_folder: Path, tables: dict[str, pd.DataFrame]
) -> None:
    counts = torch.from_numpy(Inputs.load(compared / "inputs.h5").counts).double() + 1
    table = tables["references"].set_index(["size", "seed", "step"])
    assert len(table) == 16
    for size, seed, step in (("tiny", 1, 0), ("small", 2, 16)):
        p = log_probs(suite_folder, size, seed, step, compared)
        row = table.loc[(size, seed, step)]
        assert row["kl_uniform"] == pytest.approx(kl(p, torch.full_like(p, -np.log(p.shape[-1]))), abs=FLOAT32)
        assert row["kl_unigram"] == pytest.approx(kl(p, (counts / counts.sum()).log().expand_as(p)), abs=FLOAT32)
        assert row["unigram_low"] <= row["kl_unigram"] <= row["unigram_high"]
    turns = tables["reference_turns"].set_index("size")
    for size in ("tiny", "small"):
        mean = tables["references"].query("size == @size").groupby("step")["kl_unigram"].mean()
        assert turns.loc[size, "turn_step"] == mean.idxmin()
        assert turns.loc[size, "fall"] == pytest.approx(mean.iloc[0] - mean.min(), abs=1e-9)


def test_across_steps_and_sizes_is_that_of_the_logits(
    compared: Path, suite_folder: Path, tables: dict[str, pd.DataFrame]
) -> None:
    table = tables["kl_across"].set_index(["relation", "size", "seed", "step"])
    assert table.loc["last"].groupby(["size", "seed"]).size().tolist() == [3] * 4
    assert table.loc["previous"].groupby(["size", "seed"]).size().tolist() == [3] * 4
    p, last, before = (log_probs(suite_folder, "small", 2, step, compared) for step in (4, 16, 1))
    for relation, other, step in (("last", last, 16), ("previous", before, 1)):
        row = table.loc[(relation, "small", 2, 4)]
        assert row["other_step"] == step
        assert row["kl"] == pytest.approx(kl(p, other), abs=FLOAT32)
        assert row["kl_back"] == pytest.approx(kl(other, p), abs=FLOAT32)
    row = table.loc[("size", "tiny", 1, 16)]
    tiny, small = (log_probs(suite_folder, size, 1, 16, compared) for size in ("tiny", "small"))
    assert row["other_size"] == "small"
    assert row["kl"] == pytest.approx(kl(tiny, small), abs=FLOAT32)
    assert row["kl_back"] == pytest.approx(kl(small, tiny), abs=FLOAT32)


def test_comparing_resumes_and_is_indexed_and_verified(compared: Path, tmp_path: Path) -> None:
    from phasescope.visits import compare_run

    run = Path(shutil.copytree(compared, tmp_path / "run"))
    assert compare_run(RunFolder(run)).as_record() == {"made": 0, "already": 4 * 4 + 2 * 4, "left_out": 0}
    gone = RunFolder(run).comparisons()[0]
    gone.unlink()
    assert compare_run(RunFolder(run), ("steps",)).as_record() == {"made": 1, "already": 15, "left_out": 0}
    with h5py.File(run / "run.h5") as index:
        assert index["comparisons/steps/tiny/seed1/step00000001/kl_last"].shape == (2, 4, 31)
        assert index["comparisons/sizes/seed2/step00000004/kl"].shape == (2, 2, 4, 31)
    assert not [finding for finding in verify(RunFolder(run)) if finding.problem]
    with h5py.File(gone, "r+") as changed:
        changed["kl_last"][0, 0, 0] += 1
    assert any(finding.path == gone and finding.problem for finding in verify(RunFolder(run)))


def test_no_more_than_the_last_and_the_one_before_are_held(compared: Path, suite_folder: Path) -> None:
    suite = ps.open_suite(suite_folder)
    states = [State(checkpoint, RunFolder(compared), "cpu") for checkpoint in suite.select(sizes=["tiny"], seeds=[1])]
    alive: list[weakref.ref[State]] = []
    most = 0
    for planned in plan(states, ("steps",)):
        alive += [weakref.ref(state) for state in planned.states]
        gc.collect()
        most = max(most, len({id(ref()) for ref in alive if ref() is not None}))
    assert len(states) == len(STEPS)
    assert most == 3


def test_older_runs_get_their_unigram_when_steps_are_compared(compared: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(compared, tmp_path / "run"))
    shutil.rmtree(run / "comparisons")
    wanted = ps.open_run(compared).table("references").set_index(["size", "seed", "step"])["kl_unigram"]
    for path in run.glob("checkpoints/**/*.h5"):
        with open_container(path, "shard") as shard:
            names = [name for name in shard.names() if name != "outputs/kl_unigram"]
            entries = {name: Entry(shard.read(name), shard.attrs_of(name)) for name in names}
            attrs = {key: value for key, value in shard.attrs.items() if key != "digest"}
        write_container(path, "shard", entries, attrs)
    for size, step in RunFolder(run).cohorts():  # An older run's cohorts are of its own shards.
        path = RunFolder(run).cohort(size, step)
        made_of = [RunFolder(run).open_shard(ShardKey(size, seed, step)) for seed in (1, 2)]
        with made_of[0] as one, made_of[1] as two:
            shards = f"{one.digest} {two.digest}"
        with h5py.File(path, "r+") as file:
            file.attrs["shards"] = np.bytes_(shards.encode())
    opened = ps.open_run(run)
    before = opened.table("references")
    assert before["kl_unigram"].isna().all()
    assert before["kl_uniform"].notna().all()
    assert set(before["reason"]) == {"captured before the KL to the unigram was: phasescope compare"}
    opened.compare("steps")
    after = ps.open_run(run).table("references").set_index(["size", "seed", "step"])
    np.testing.assert_allclose(after["kl_unigram"], wanted, atol=1e-6)


def test_one_seed_has_references_and_steps_but_no_groups(suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    run = ps.capture(suite_folder, texts_file, tmp_path / "run", sizes=["tiny"], seeds=[1], sequences=6, context=32,
                     output_sequences=3, compare="steps")  # fmt: skip
    tables = run.analyse("seeds", options=Options(resamples=20))
    assert [len(tables[name]) for name in ("seeds", "seeds_by", "references", "kl_across")] == [0, 0, 4, 6]
    assert tables["reference_turns"]["growth"].isna().all()


def test_what_cannot_be_compared_or_sorted_is_said(captured: Path, suite_folder: Path, tmp_path: Path) -> None:
    run = ps.open_run(Path(shutil.copytree(captured, tmp_path / "run")))
    with pytest.raises(PhasescopeError, match="Did you mean steps"):
        run.compare("step")
    with pytest.raises(PhasescopeError, match="Did you mean frequency"):
        Options(by=("frequencies",))
    with pytest.raises(PhasescopeError, match=r"There is no folder .*nowhere"):
        run.compare("steps", suite=str(tmp_path / "nowhere"))
    for path in run.path.glob("checkpoints/**/*.h5"):
        path.unlink()
    with pytest.warns(PhasescopeWarning, match="has lost"), pytest.raises(PhasescopeError, match="no final hidden"):
        run.compare("steps")
    with pytest.raises(PhasescopeError, match="leave out --no-compare-seeds"):
        ps.capture(suite_folder, "docs", tmp_path / "other", compare_seeds=False, compare="steps")


@pytest.fixture(scope="module")
def next_bytes(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs over the same text, by models whose tokenizers have 300 and 270 entries."""
    root = tmp_path_factory.mktemp("bytes")
    texts = root / "prose.txt"
    texts.write_text(PROSE * 2, encoding="utf-8")
    runs = []
    for name, vocabulary in (("many", 300), ("few", 270)):
        suite = make_suite(root / f"{name}-suite", sizes=("tiny",), seeds=(1, 2), steps=(0, 8))
        for folder in suite.glob("tiny/*/*"):
            make_tokenizer(vocabulary).save_pretrained(folder)  # type: ignore[attr-defined]
        ps.capture(suite, texts, root / name, sequences=9, context=32, output_sequences=9, next_byte=True)
        runs.append(root / name)
    return runs[0], runs[1]


def test_next_bytes_are_sums_of_next_tokens_and_tell_less(next_bytes: tuple[Path, Path]) -> None:
    run = next_bytes[0]
    inputs = Inputs.load(run / "inputs.h5")
    assert inputs.bytes is not None
    p = log_probs(run.parent / "many-suite", "tiny", 1, 8, run)
    with h5py.File(run / "checkpoints/tiny/seed1/step00000008.h5") as shard:
        found = shard["outputs/next_byte"][...]
    assert found.shape == (9, 31, 257)
    for byte in (32, 101, 256):
        chosen = torch.from_numpy(inputs.bytes.first == byte)
        np.testing.assert_allclose(found[..., byte], p[..., chosen].exp().sum(-1).log(), atol=FLOAT32)
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-5)
    tables = ps.open_run(run).analyse("seeds", options=Options(resamples=20))
    bytes_, tokens = (tables[name].set_index("step")["kl"] for name in ("next_byte", "seeds"))
    assert (bytes_ > 0).all()
    assert (bytes_ < tokens).all()
    assert tables["next_byte"]["positions"].tolist() == [9 * 31] * 2


def test_runs_of_other_tokenizers_meet_at_common_boundaries(next_bytes: tuple[Path, Path]) -> None:
    """Against a plain search for the places at which both have a token that begins at the same byte."""
    many, few = next_bytes
    table = ps.open_run(many).analyse("seeds", options=Options(resamples=20, beside=(str(few),)))["next_byte"]
    row = table[(table["relation"] == "runs") & (table["step"] == 8)].iloc[0]
    read = {}
    for run in (many, few):
        inputs = Inputs.load(run / "inputs.h5")
        assert inputs.bytes is not None
        shards = [run / f"checkpoints/tiny/seed{seed}/step00000008.h5" for seed in (1, 2)]
        said = np.stack([h5py.File(shard)["outputs/next_byte"][...] for shard in shards]).astype(np.float64)
        read[run] = {
            (int(inputs.bytes.documents[i, j + 1]), int(inputs.bytes.starts[i, j + 1])): said[:, i, j]
            for i in range(9)
            for j in range(31)
        }
    places = [place for place in read[many] if place in read[few] and place[1] > 0]
    p, q = (np.stack([read[run][place] for place in places], 1) for run in (many, few))
    pairs = [(np.exp(a) * (a - b)).sum(-1).mean() for a in p for b in q]
    back = [(np.exp(b) * (b - a)).sum(-1).mean() for a in p for b in q]
    assert row["positions"] == len(places) > 50
    assert row["kl"] == pytest.approx(np.mean(pairs), rel=1e-4)
    assert row["kl_back"] == pytest.approx(np.mean(back), rel=1e-4)
    assert row["pairs"] == 4
    assert row["low"] <= row["kl"] <= row["high"]
    itself = ps.open_run(many).analyse("seeds", options=Options(resamples=20, beside=(str(many),)))["next_byte"]
    same = itself[itself["relation"] == "runs"].set_index("step")["kl"]
    inside = itself[itself["relation"] == "seeds"].set_index("step")["kl"]
    assert (same < inside).all()  # half of these pairs are models with themselves


def test_runs_without_next_bytes_say_how_to_get_them(next_bytes: tuple[Path, Path], captured: Path) -> None:
    beside = Options(resamples=20, beside=(str(captured),))
    table = ps.open_run(next_bytes[0]).analyse("seeds", options=beside)["next_byte"]
    assert "holds no next bytes: capture it with --next-byte" in table.attrs["absent"]
    assert set(table["relation"]) == {"seeds"}
