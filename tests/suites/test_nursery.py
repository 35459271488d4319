"""A suite trained from end to end, very small: what is on disk, and what is refused."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.suites.nursery import train
from phasescope.suites.trainee import STATE

DOCUMENTS = list(topics.values())[:12]
OPTIONS: dict[str, Any] = {
    "sizes": ["150k"],
    "seeds": [1, 2],
    "device": "cpu",
    "steps": 10,
    "batch": 4,
    "context": 16,
    "vocabulary": 300,
}


def weights(folder: Path, step: str = "150k/seed1/step10") -> torch.Tensor:
    return torch.cat([tensor.flatten() for tensor in load_file(folder / step / "model.safetensors").values()])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """For models this small a second thread only waits for the first, the longer the busier the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished suite. Not to be changed; copy it with `copied`."""
    out = tmp_path_factory.mktemp("suites") / "nursery"
    train(out, DOCUMENTS, **OPTIONS)
    return out


@pytest.fixture
def copied(nursery: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nursery, tmp_path / "nursery"))


def test_the_suite_has_every_size_seed_and_step_and_no_leftovers(nursery: Path) -> None:
    suite = train(nursery, DOCUMENTS, **OPTIONS)
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
    assert 0.015 < len("".join(held_out)) / len("".join(DOCUMENTS)) < 0.03


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
    train(tmp_path / "again", DOCUMENTS, **OPTIONS | {"seeds": [1]})
    assert contents(tmp_path / "again" / "150k" / "seed1") == contents(nursery / "150k" / "seed1")
    first, second = (weights(nursery, f"150k/seed{seed}/step0") for seed in (1, 2))
    assert not torch.allclose(first, second, atol=0.01)


def test_models_learn(tmp_path: Path) -> None:
    """After 150 updates the held-out text is told better than by how often its tokens occur."""
    out = tmp_path / "nursery"
    suite = train(out, list(topics.values()), **OPTIONS | {"seeds": [1], "steps": 150, "batch": 16, "context": 32})
    tokenizer = AutoTokenizer.from_pretrained(out / "tokenizer")
    text = json.loads((out / "heldout.jsonl").read_text("utf-8").splitlines()[-1])["text"]
    tokens = torch.tensor(tokenizer(text)["input_ids"])
    windows = tokens[: len(tokens) // 32 * 32].view(-1, 32)
    counts = torch.from_numpy(np.load(out / "token_counts.npy"))
    log_frequencies = ((counts + 1) / (counts + 1).sum()).log()
    unigram = -log_frequencies[windows[:, 1:]].mean().item()
    losses = []
    for step in (0, 150):
        model = AutoModelForCausalLM.from_pretrained(suite.checkpoint("150k", 1, step).location)
        logits = model(input_ids=windows).logits[:, :-1]
        losses.append(torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item())
    assert losses[0] > unigram
    assert losses[1] < unigram - 0.3


def test_a_finished_suite_is_not_trained_again(nursery: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (nursery / "150k").rglob("*")}
    train(nursery, DOCUMENTS, **OPTIONS)
    assert {path: path.stat().st_mtime_ns for path in (nursery / "150k").rglob("*")} == before


def test_a_checkpoint_that_was_deleted_is_made_again(copied: Path) -> None:
    before = contents(copied)
    shutil.rmtree(copied / "150k" / "seed2" / "step4")
    (copied / "150k" / "seed2" / STATE).write_bytes(b"damaged")
    train(copied, DOCUMENTS, **OPTIONS)
    assert contents(copied) == before


def test_seeds_and_sizes_can_be_added(copied: Path) -> None:
    before = contents(copied / "150k" / "seed1")
    suite = train(copied, DOCUMENTS, **OPTIONS | {"sizes": ["400k"], "seeds": [3]})
    assert suite.sizes == ("150k", "400k")
    assert suite.seeds("400k") == (3,)
    assert contents(copied / "150k" / "seed1") == before
    described = json.loads((copied / "suite.json").read_text())
    assert (list(described["shapes"]), described["seeds"]) == (["150k", "400k"], [1, 2, 3])


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_other_architectures_train(architecture: str, tmp_path: Path) -> None:
    options = OPTIONS | {"architecture": architecture, "seeds": [1], "steps": 2}
    suite = train(tmp_path / "nursery", DOCUMENTS, **options)
    model = AutoModelForCausalLM.from_pretrained(suite.checkpoint("150k", 1, 2).location)
    assert model.config.model_type == architecture
    assert not torch.equal(
        weights(tmp_path / "nursery", "150k/seed1/step0"), weights(tmp_path / "nursery", "150k/seed1/step2")
    )


def test_another_recipe_in_the_same_folder_is_refused_with_the_differences(copied: Path) -> None:
    before = contents(copied)
    with pytest.raises(PhasescopeError, match=r"batch was 4 and is now 5; learning_rate was None and is now 0\.01"):
        train(copied, DOCUMENTS, **OPTIONS | {"batch": 5, "learning_rate": 0.01})
    with pytest.raises(PhasescopeError, match=r"another recipe: the text was one of \d+ characters"):
        train(copied, [*DOCUMENTS[:-1], "Something else."], **OPTIONS)
    assert contents(copied) == before


def test_going_on_with_other_libraries_warns(copied: Path) -> None:
    path = copied / "suite.json"
    described = json.loads(path.read_text())
    described["environment"]["torch"] = "2.0.0"
    path.write_text(json.dumps(described))
    train(copied, DOCUMENTS, **OPTIONS)  # finished: nothing to warn of
    with pytest.warns(PhasescopeWarning, match=r"torch was 2\.0\.0 and is now"):
        train(copied, DOCUMENTS, **OPTIONS | {"seeds": [3]})


def test_a_suite_of_a_newer_phasescope_is_refused(copied: Path) -> None:
    (copied / "suite.json").write_text('{"schema": 99}')
    with pytest.raises(PhasescopeError, match="newer phasescope"):
        train(copied, DOCUMENTS, **OPTIONS)


@pytest.mark.parametrize("text", ["[]", '{"models": 3}', "{"])
def test_a_description_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text(text)
    with pytest.raises(PhasescopeError, match=r"suite\.json (describes no nursery|is damaged)"):
        train(tmp_path, DOCUMENTS, **OPTIONS)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(PhasescopeError, match=r"it holds thesis\.tex"):
        train(tmp_path, DOCUMENTS, **OPTIONS)
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PhasescopeError, match="cannot be written"):
        train(tmp_path / "file" / "nursery", DOCUMENTS, **OPTIONS)


def test_two_trainings_at_once_are_refused(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(PhasescopeError, match="Another training is writing"):
        train(tmp_path, DOCUMENTS, **OPTIONS)


@pytest.mark.parametrize("documents", [[], [""], [" \n", "\t"]])
def test_no_text_is_refused(documents: list[str], tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="is empty"):
        train(tmp_path, documents, **OPTIONS)


def test_text_too_short_for_the_vocabulary_is_refused_with_what_it_supports(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"a vocabulary of 2000: it supports \d+ entries"):
        train(tmp_path, ["the cat sat on the mat and the cat sat still " * 3], **OPTIONS | {"vocabulary": 2000})


def test_text_too_short_for_one_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"fill \d+ windows of 16, and one batch needs 4000"):
        train(tmp_path, DOCUMENTS, **OPTIONS | {"batch": 4000})
    # The folder can be used at once with something better.
    assert len(train(tmp_path, DOCUMENTS, **OPTIONS | {"seeds": [1], "steps": 1})) == 2


@pytest.mark.parametrize("seeds", [[-1], [1.5], [True], []])
def test_seeds_that_are_none_are_refused(seeds: list[Any], tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="seed"):
        train(tmp_path, DOCUMENTS, **OPTIONS | {"seeds": seeds})


def test_one_string_is_no_documents(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one string"):
        train(tmp_path, "not a list", **OPTIONS)


def test_an_endless_stream_is_read_only_so_far(tmp_path: Path) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield from DOCUMENTS

    train(tmp_path, endless(), **OPTIONS | {"seeds": [1], "steps": 1, "most_text": 50_000})
    described = json.loads((tmp_path / "suite.json").read_text())["text"]
    assert described["characters"] + described["held_out_characters"] == 50_000


def test_divergence_is_told_and_what_was_saved_stays(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"150k/seed1 diverged after step .* lower the learning rate"):
        train(tmp_path, DOCUMENTS, **OPTIONS | {"learning_rate": 1e30, "steps": 64, "warmup": 0.0})
    assert weights(tmp_path, "150k/seed1/step0").isfinite().all()


def test_a_full_disk_is_told_and_the_training_goes_on_later(nursery: Path, tmp_path: Path) -> None:
    # A limit on the size of files gives the same kind of error as a full disk: EFBIG for ENOSPC.
    program = (
        "import resource, sys; from pathlib import Path; from pydoc_data.topics import topics\n"
        "from phasescope.suites.nursery import train\n"
        "import torch; torch.set_num_threads(1)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, {resource.RLIM_INFINITY}))\n"
        f"train(Path(sys.argv[1]), list(topics.values())[:12], **{OPTIONS!r})"
    )
    out = tmp_path / "nursery"
    failed = subprocess.run([sys.executable, "-c", program, out], capture_output=True, text=True, check=False)
    assert "PhasescopeError: " in failed.stderr
    assert "step0 could not be written" in failed.stderr
    assert list((out / "150k" / "seed1").iterdir()) == []
    train(out, DOCUMENTS, **OPTIONS)
    assert contents(out) == contents(nursery)
