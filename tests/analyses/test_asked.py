"""Noise and multiple choice end to end: a capture that asks, and tables against plain loops over models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import phasescope as ps
from phasescope.analyses import Options
from phasescope.errors import PhasescopeError
from phasescope.texts.items.tasks import read_task
from phasescope.texts.made.noise import Vocabulary, corrupted
from tests.conftest import make_suite, make_tokenizer
from tests.texts.harness_tasks import BIG_BENCH, harness_config

SHARED: dict[str, Any] = {"sequences": 6, "context": 32, "output_sequences": 5, "sites": "mlp_out"}
NOISE = "noise=swap,replace,0.2,0.5,greedy,nucleus,sequences:4,tokens:16"


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_suite(tmp_path_factory.mktemp("asked") / "suite", seeds=(1,), steps=(0, 16))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tasks")
    bench = folder / "bench.json"
    bench.write_text(json.dumps(BIG_BENCH), encoding="utf-8")
    return harness_config(folder, "harness")[0], bench


@pytest.fixture(scope="module")
def run(
    suite: Path, texts_file: Path, tasks: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> ps.run.Run:
    harness, bench = tasks
    behaviour = [NOISE, f"multiple_choice={harness}:1", f"multiple_choice={bench}"]
    return ps.capture(suite, texts_file, tmp_path_factory.mktemp("runs") / "run", behaviour=behaviour, **SHARED)


def model_of(suite: Path, size: str, step: int) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(suite / size / "seed1" / f"step{step}")


def log_probs(model: Any, tokens: np.ndarray, vocabulary: int) -> np.ndarray:
    """ln p of each token but the first."""
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens[:-1].astype(np.int64))[None]).logits[0, :, :vocabulary].double()
    every: np.ndarray = torch.log_softmax(logits, -1).numpy()
    return every[np.arange(len(tokens) - 1), tokens[1:]]


def test_accuracy_and_option_perplexity_are_those_of_a_plain_loop(
    run: ps.run.Run, suite: Path, tasks: tuple[Path, Path]
) -> None:
    table = run.multiple_choice().set_index(["task", "size", "step"])
    tokenizer, vocabulary = make_tokenizer(), run.inputs.vocabulary
    encode = tokenizer.encode  # type: ignore[attr-defined]
    for path, name, shots in ((tasks[0], "harness-1-shots", 1), (tasks[1], "what_follows", 0)):
        task = read_task(path)
        prefixes = task.prefixes(shots)
        for size, step in (("tiny", 0), ("small", 16)):
            model = model_of(suite, size, step)
            right, normed, sums = [], [], {True: [0.0, 0], False: [0.0, 0]}
            for question, prefix in zip(task.questions, prefixes, strict=True):
                scores = []
                for number, (prompt, option) in enumerate(zip(question.prompts, question.options, strict=True)):
                    stripped = (prefix + prompt).rstrip()
                    before = encode(stripped)
                    after = encode(prefix + prompt + option)[len(before) :]
                    tokens = np.array((before + after)[-65:])  # 64 are read, and the last is predicted
                    score = log_probs(model, tokens, vocabulary)[-len(after) :].sum()
                    scores.append(score)
                    part = sums[number in question.right]
                    part[0], part[1] = part[0] - score, part[1] + len(after)
                right.append(np.argmax(scores) in question.right)
                normed.append(
                    np.argmax(np.array(scores) / [len(choice) for choice in question.choices]) in question.right
                )
            row = table.loc[(name, size, step)]
            assert row["accuracy"] == np.mean(right)
            assert row["accuracy_norm"] == np.mean(normed)
            # Scores are kept in float32.
            assert row["perplexity"] == pytest.approx(np.exp(sums[True][0] / sums[True][1]), rel=1e-5)
            assert row["perplexity_wrong"] == pytest.approx(np.exp(sums[False][0] / sums[False][1]), rel=1e-5)
            assert row["chance"] == pytest.approx(1 / 3)
            assert (row["questions"], row["shots"]) == (len(task.questions), shots)
            assert row["low"] <= row["accuracy"] <= row["high"]
            assert row["perplexity_low"] <= row["perplexity"] <= row["perplexity_high"]


def test_accuracies_are_those_of_the_harness(tmp_path: Path) -> None:
    """The very same numbers as `lm_eval.simple_evaluate`, scores included."""
    lm_eval = pytest.importorskip("lm_eval")
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from tests.suites.nursery_samples import train_sample

    train_sample(tmp_path / "suite", seeds=[1], context=64)
    manager = TaskManager(include_defaults=False)  # else each call reads the thousands that come with lm_eval
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "suite/tokenizer")
    for name, changes in {"zero": {}, "two": {"num_fewshot": 2, "fewshot_split": "test"}}.items():
        path, config = harness_config(tmp_path, name, **changes)
        run = ps.capture(
            tmp_path / "suite", out=tmp_path / name, behaviour=f"multiple_choice={path}", steps=[0, 10], **SHARED
        )
        table = run.multiple_choice().set_index("step")
        for step in (0, 10):
            # The harness counts the rows that a model has beyond the entries of its tokenizer: here there are none.
            checkpoint = AutoModelForCausalLM.from_pretrained(tmp_path / f"suite/150k/seed1/step{step}")
            checkpoint.resize_token_embeddings(run.inputs.vocabulary)
            model = HFLM(pretrained=checkpoint, tokenizer=tokenizer, device="cpu")
            found = lm_eval.simple_evaluate(
                model=model, tasks=[config], bootstrap_iters=0, log_samples=True, task_manager=manager
            )
            theirs = found["results"][name]
            assert table.loc[step, "accuracy"] == theirs["acc,none"]
            assert table.loc[step, "accuracy_norm"] == theirs["acc_norm,none"]
            sums = [response[0] for sample in found["samples"][name] for response in sample["filtered_resps"]]
            (items,) = run.reader.item_sets("multiple_choice")
            ours = next(scores for key, scores in run.reader.scores(items) if key.step == step)
            np.testing.assert_allclose(items.sums(ours.log_prob), sums, rtol=1e-4)


def test_perplexity_of_noise_is_that_of_a_plain_loop(run: ps.run.Run, suite: Path) -> None:
    table = run.noise().set_index(["size", "step", "kind", "rate"]).sort_index()
    inputs = run.inputs
    clean = inputs.tokens[:4, :16]
    vocabulary = Vocabulary(inputs.vocabulary, inputs.counts)
    for size, step in (("tiny", 0), ("small", 16)):
        model = model_of(suite, size, step)
        means = {}
        for kind, rate in (("clean", 0.0), ("swap", 0.2), ("swap", 0.5), ("replace", 0.2), ("replace", 0.5)):
            tokens = clean if kind == "clean" else corrupted(clean, kind, rate, vocabulary, inputs.seed)
            means[kind, rate] = -np.mean([log_probs(model, row, inputs.vocabulary) for row in tokens])
        for (kind, rate), mean in means.items():
            row = table.loc[(size, step, kind, rate)]
            assert row["surprisal"] == pytest.approx(mean, rel=1e-6)
            assert row["perplexity"] == pytest.approx(np.exp(mean), rel=1e-5)
            assert row["ratio"] == pytest.approx(np.exp(mean - means["clean", 0.0]), rel=1e-5)
            assert (row["sequences"], row["tokens"]) == (4, 60)
            assert row["ratio_low"] <= row["ratio"] <= row["ratio_high"]
        clean_row = table.loc[(size, step, "clean", 0.0)]
        assert (clean_row["ratio_low"], clean_row["ratio_high"]) == (1, 1)


def test_decoded_text_is_what_its_own_model_expects(run: ps.run.Run) -> None:
    """Greedily decoded from the large model alone: no other text is as likely under its last checkpoint."""
    table = run.noise()
    last = table[(table["size"] == "small") & (table["step"] == 16)]
    greedy = last[last["kind"] == "greedy"].set_index(["small_weight", "large_weight"])
    assert len(greedy) == 4
    assert greedy.loc[(0, 1), "perplexity"] == greedy["perplexity"].min() < last.iloc[0]["perplexity"]
    assert greedy.loc[(0, 1), "perplexity"] < greedy.loc[(1, -1), "perplexity"]
    nucleus = last[last["kind"] == "nucleus"].set_index(["small_weight", "large_weight"])
    assert nucleus.loc[(0, 1), "perplexity"] > greedy.loc[(0, 1), "perplexity"]
    assert (greedy["tokens"] == 4 * 12).all()  # a quarter is given
    assert last.loc[last["kind"].isin(["greedy", "nucleus"]), "rate"].isna().all()


def test_the_tables_stand_against_perplexity(run: ps.run.Run) -> None:
    swapped = run.noise().query("kind == 'swap'")
    curves = run.against_perplexity(swapped, "ratio", low="ratio_low", high="ratio_high", by=["rate"])
    assert set(curves["rate"]) == {0.2, 0.5}
    assert curves["value"].notna().all()
    accuracy = run.against_perplexity("multiple_choice", "accuracy", by=["task"])
    assert set(accuracy["task"]) == {"harness-1-shots", "what_follows"}


def test_what_was_asked_is_not_asked_again(run: ps.run.Run, suite: Path, texts_file: Path, tmp_path: Path) -> None:
    out = shutil.copytree(run.path, tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in (out / "behaviour").rglob("*.h5")}
    again = ps.capture(suite, texts_file, out, behaviour=[NOISE], **SHARED)
    assert {path: path.stat().st_mtime_ns for path in (out / "behaviour").rglob("*.h5")} == before
    again.visit("noise=shuffle,0.3,sequences:4,tokens:16", suite=str(suite))
    sets = set(again.noise()["set"])
    assert sets == {"swap+replace+greedy+nucleus-0.2+0.5-4x16", "shuffle-0.3-4x16"}
    shuffled = again.noise().query("set == 'shuffle-0.3-4x16' and kind == 'clean'")
    first = again.noise().query("set != 'shuffle-0.3-4x16' and kind == 'clean'")
    np.testing.assert_allclose(shuffled["surprisal"], first["surprisal"], rtol=1e-6)


def test_one_size_has_no_contrast_and_goes_on(
    suite: Path, texts_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ps.capture(suite, texts_file, tmp_path / "run", sizes=["tiny"], behaviour="noise", **SHARED)
    assert "No text was decoded: contrast needs two sizes, and there is one, tiny." in capsys.readouterr().err
    assert set(run.noise()["kind"]) == {"clean", "swap", "shuffle", "replace"}
    assert set(run.noise()["rate"]) == {0, 0.1, 0.2, 0.5}


def test_without_items_the_tables_are_empty_and_say_what_to_do(captured: Path, tmp_path: Path) -> None:
    run = ps.open_run(shutil.copytree(captured, tmp_path / "run"))
    for name in ("noise", "multiple_choice"):
        table = run.analyse(name, options=Options(resamples=5))[name]
        assert table.empty
        assert len(table.columns) > 15
        assert f"--behaviour {name}" in table.attrs["absent"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("noise=swop", "Did you mean swap"),
        ("noise=swap,1.5", "above 0 and up to 1: 1.5 does not"),
        ("noise=swap,sequences:two", "'sequences:two' in --behaviour noise is no number"),
        ("multiple_choice", "No file is named for multiple_choice"),
        ("multiple_choice=gone.json", "gone.json cannot be read"),
        ("multiple_choice=BENCH:9", "9 shots cannot be drawn from the 6 questions"),
    ],
)
def test_wishes_that_cannot_be_met(
    spec: str, said: str, suite: Path, texts_file: Path, tasks: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(PhasescopeError) as error:
        ps.capture(suite, texts_file, tmp_path / "run", behaviour=spec.replace("BENCH", str(tasks[1])), **SHARED)
    assert said in str(error.value)
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_intervals_hold_their_level() -> None:
    """Accuracy of questions drawn anew: the interval of each draw encloses the truth about as often as it says."""
    from phasescope.analyses.multiple_choice import _ratio

    generator = np.random.default_rng(0)
    inside = 0
    for seed in range(200):
        right = (generator.random(60) < 0.4).astype(float)
        _, low, high = _ratio(right, np.ones(60), Options(resamples=200, seed=seed))
        inside += low <= 0.4 <= high
    # Binomial with p = 0.93 to 0.95 of percentile intervals of 60: 0.95 minus four standard deviations.
    assert inside / 200 > 0.88


def test_frames_are_what_analyses_promise(run: ps.run.Run) -> None:
    from phasescope.analyses import multiple_choice, noise

    for table, columns in ((run.noise(), noise.TABLE), (run.multiple_choice(), multiple_choice.TABLE)):
        assert {name: str(dtype) for name, dtype in table.dtypes.items()} == {
            name: str(pd.Series(dtype=dtype).dtype) for name, dtype in columns.items()
        }
