"""A suite trained from end to end, very small: what is on disk, and that it is trained no more than need be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from phasescope.suites.recipe import Recipe
from phasescope.suites.shapes import SHAPES
from phasescope.suites.trainee import STATE, Trainee
from phasescope.suites.training import Windows
from tests.suites.nursery_samples import DOCUMENTS, RECIPE, contents, one_thread, train_sample, weights


def test_the_suite_has_every_size_seed_and_step_and_no_leftovers(nursery: Path) -> None:
    suite = train_sample(nursery)
    assert suite.sizes == ("150k",)
    assert suite.seeds() == (1, 2)
    assert suite.steps() == (0, 1, 2, 4, 8, 10)
    assert len(suite) == 12
    assert not suite.missing()
    assert {path.name for path in nursery.iterdir()} == {
        "150k", "heldout.jsonl", "suite.json", "token_counts.npy", "tokenizer", "tokens.npy", ".lock"
    }  # fmt: skip
    assert {path.name for path in (nursery / "150k" / "seed1").iterdir()} == {f"step{n}" for n in suite.steps()}


def test_a_checkpoint_is_an_ordinary_hugging_face_folder(nursery: Path) -> None:
    folder = nursery / "150k" / "seed2" / "step8"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    assert model.config.model_type == "gpt_neox"
    assert model.dtype == torch.float32
    assert model.get_input_embeddings().weight.shape[0] == 320
    assert len(tokenizer) == 300
    assert tokenizer.eos_token == tokenizer.bos_token == tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.eos_token_id == model.config.eos_token_id == 0
    text = "Naïve “quotes”, a tab\tand 字 — all of it comes back.\n"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    logits = model(**tokenizer("The value of", return_tensors="pt")).logits
    assert logits.isfinite().all()


def test_tokens_counts_and_heldout_text_are_those_of_the_documents(nursery: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(nursery / "tokenizer")
    tokens, counts = np.load(nursery / "tokens.npy"), np.load(nursery / "token_counts.npy")
    held_out = [json.loads(line)["text"] for line in (nursery / "heldout.jsonl").read_text("utf-8").splitlines()]
    assert tokens.dtype == np.uint16
    assert counts.tolist() == np.bincount(tokens, minlength=300).tolist()
    trained = tokenizer.decode(tokens).split("<|endoftext|>")
    assert trained.pop() == ""
    assert "".join(trained) + "".join(held_out) == "".join(DOCUMENTS)
    assert 0.04 < len("".join(held_out)) / len("".join(DOCUMENTS)) < 0.06


def test_the_suite_describes_itself(nursery: Path) -> None:
    described = json.loads((nursery / "suite.json").read_text())
    assert described["schema"] == 1
    assert described["recipe"]["steps"] == 10
    assert described["shapes"]["150k"] == {"name": "150k", "d_model": 32, "layers": 2, "heads": 2}
    assert described["seeds"] == [1, 2]
    assert described["environment"]["torch"] == torch.__version__
    assert described["text"]["documents"] > 0


def test_seeds_differ_in_weights_and_the_same_seed_does_not(nursery: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)  # must not matter
    train_sample(tmp_path / "again", seeds=[1])
    assert contents(tmp_path / "again" / "150k" / "seed1") == contents(nursery / "150k" / "seed1")
    first, second = (weights(nursery, f"150k/seed{seed}/step0") for seed in (1, 2))
    assert not torch.allclose(first, second, atol=0.01)


def test_a_finished_suite_is_not_trained_again(nursery: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (nursery / "150k").rglob("*")}
    train_sample(nursery)
    assert {path: path.stat().st_mtime_ns for path in (nursery / "150k").rglob("*")} == before


def test_a_checkpoint_that_was_deleted_is_made_again(copied: Path) -> None:
    before = contents(copied)
    shutil.rmtree(copied / "150k" / "seed2" / "step4")
    (copied / "150k" / "seed2" / STATE).write_bytes(b"damaged")
    train_sample(copied)
    assert contents(copied) == before


def test_a_state_later_than_a_deleted_checkpoint_is_not_gone_on_from(copied: Path) -> None:
    before = contents(copied)
    folder = copied / "150k" / "seed1"
    shutil.rmtree(folder / "step10")
    recipe = Recipe(**RECIPE)
    windows = Windows(np.load(copied / "tokens.npy"), recipe.context, recipe.batch, seed=1)
    trainee = Trainee(folder, SHAPES["150k"], 1, recipe, windows, copied / "tokenizer", "cpu", state_seconds=0.0)
    with one_thread():
        assert 9 in (step for step, _ in trainee.run())  # reads no further
    assert trainee.first_step() == 9
    shutil.rmtree(folder / "step4")
    assert trainee.first_step() == 0
    train_sample(copied)
    assert contents(copied) == before


def test_seeds_and_sizes_can_be_added(copied: Path) -> None:
    before = contents(copied / "150k" / "seed1")
    suite = train_sample(copied, sizes=["400k"], seeds=[3])
    assert suite.sizes == ("150k", "400k")
    assert suite.seeds("400k") == (3,)
    assert contents(copied / "150k" / "seed1") == before
    described = json.loads((copied / "suite.json").read_text())
    assert (list(described["shapes"]), described["seeds"]) == (["150k", "400k"], [1, 2, 3])


def test_gpt2_trains(tmp_path: Path) -> None:
    suite = train_sample(tmp_path / "nursery", architecture="gpt2", seeds=[1], steps=2)
    model = AutoModelForCausalLM.from_pretrained(suite.checkpoint("150k", 1, 2).location)
    assert model.config.model_type == "gpt2"
    assert not torch.equal(
        weights(tmp_path / "nursery", "150k/seed1/step0"), weights(tmp_path / "nursery", "150k/seed1/step2")
    )


def test_a_folder_from_before_an_option_was_there_goes_on(copied: Path) -> None:
    path = copied / "suite.json"
    described = json.loads(path.read_text())
    del described["recipe"]["schedule"], described["recipe"]["decay"]
    path.write_text(json.dumps(described))
    assert len(train_sample(copied, seeds=[3])) == 18
