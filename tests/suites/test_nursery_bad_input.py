"""What the nursery cannot use is refused in one sentence, and what is there already is left as it was."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from phasescope.errors import PhasescopeError, PhasescopeWarning
from tests.suites.nursery_samples import DOCUMENTS, contents, train_sample, weights

ROOT = Path(__file__).parents[2]


def test_another_recipe_in_the_same_folder_is_refused_with_the_differences(copied: Path) -> None:
    before = contents(copied)
    with pytest.raises(PhasescopeError, match=r"batch was 4 and is now 5; learning_rate was None and is now 0\.01"):
        train_sample(copied, batch=5, learning_rate=0.01)
    with pytest.raises(PhasescopeError, match=r"another recipe: the text was one of \d+ characters"):
        train_sample(copied, [*DOCUMENTS[:-1], "Something else."])
    assert contents(copied) == before


def test_what_a_killed_beginning_left_is_not_mixed_with_another_text(nursery: Path, tmp_path: Path) -> None:
    train_sample(tmp_path / "other", [document.upper() for document in DOCUMENTS], seeds=[1], steps=1)
    begun = tmp_path / "begun"
    begun.mkdir()
    for name in ("tokenizer", "tokens.npy"):
        (tmp_path / "other" / name).rename(begun / name)
    train_sample(begun)
    assert contents(begun) == contents(nursery)


def test_going_on_with_other_libraries_warns(copied: Path) -> None:
    path = copied / "suite.json"
    described = json.loads(path.read_text())
    described["environment"]["torch"] = "2.0.0"
    path.write_text(json.dumps(described))
    train_sample(copied)  # finished: nothing to warn of
    with pytest.warns(PhasescopeWarning, match=r"torch was 2\.0\.0 and is now"):
        train_sample(copied, seeds=[3])


def test_a_suite_of_a_newer_phasescope_is_refused(copied: Path) -> None:
    (copied / "suite.json").write_text('{"schema": 99}')
    with pytest.raises(PhasescopeError, match="newer phasescope"):
        train_sample(copied)


@pytest.mark.parametrize("text", ["[]", '{"models": 3}', "{"])
def test_a_description_that_is_none_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "suite.json").write_text(text)
    with pytest.raises(PhasescopeError, match=r"suite\.json (describes no nursery|is damaged)"):
        train_sample(tmp_path)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(PhasescopeError, match=r"it holds thesis\.tex"):
        train_sample(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == ["thesis.tex"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PhasescopeError, match="cannot be written"):
        train_sample(tmp_path / "file" / "nursery")


def test_two_trainings_at_once_are_refused(tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(PhasescopeError, match="Another training is writing"):
        train_sample(tmp_path)


@pytest.mark.parametrize("documents", [[], [""], [" \n", "\t"]])
def test_no_text_is_refused(documents: list[str], tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="is empty"):
        train_sample(tmp_path, documents)


def test_text_too_short_for_the_vocabulary_is_refused_with_what_it_supports(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"a vocabulary of 2000: it supports \d+ entries"):
        train_sample(tmp_path, ["the cat sat on the mat and the cat sat still " * 3], vocabulary=2000)


def test_text_too_short_for_one_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"fill [\d,]+ windows of 16, and one batch needs 4000"):
        train_sample(tmp_path, batch=4000)
    # The folder can be used at once with something better.
    assert len(train_sample(tmp_path, seeds=[1], steps=1)) == 2


@pytest.mark.parametrize("seeds", [[-1], [1.5], [True], [2**63], []])
def test_seeds_that_are_none_are_refused(seeds: list[Any], tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="seed"):
        train_sample(tmp_path, seeds=seeds)


def test_one_string_is_no_documents(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one string"):
        train_sample(tmp_path, "not a list")


def test_text_that_is_no_valid_unicode_is_trained_on_all_the_same(tmp_path: Path) -> None:
    documents = ["half a pair: \ud800 and a zero: \x00. " * 200, *DOCUMENTS]
    assert len(train_sample(tmp_path, documents, seeds=[1], steps=1)) == 2


def test_an_endless_stream_is_read_only_so_far(tmp_path: Path) -> None:
    def endless() -> Iterator[str]:
        while True:
            yield from DOCUMENTS

    train_sample(tmp_path, endless(), seeds=[1], steps=1, most_text=50_000)
    described = json.loads((tmp_path / "suite.json").read_text())["text"]
    assert described["characters"] + described["held_out_characters"] == 50_000


def test_divergence_is_told_and_what_was_saved_stays(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"150k/seed1 diverged after step .* lower the learning rate"):
        train_sample(tmp_path, learning_rate=1e30, steps=64, warmup=0.0)
    assert weights(tmp_path, "150k/seed1/step0").isfinite().all()


def test_a_full_disk_is_told_and_the_training_goes_on_later(nursery: Path, tmp_path: Path) -> None:
    # A limit on the size of files gives the same kind of error as a full disk: EFBIG for ENOSPC.
    program = (
        "import resource, sys; from pathlib import Path; from tests.suites.nursery_samples import train_sample\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, {resource.RLIM_INFINITY}))\n"
        "train_sample(Path(sys.argv[1]))"
    )
    out = tmp_path / "nursery"
    failed = subprocess.run([sys.executable, "-c", program, out], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "PhasescopeError: " in failed.stderr
    assert "no space left to write" in failed.stderr
    assert list((out / "150k" / "seed1").iterdir()) == []
    train_sample(out)
    assert contents(out) == contents(nursery)
