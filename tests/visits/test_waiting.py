"""Shards that wait for the other seeds of their cohort: what their models say is computed with the KL, and not lost."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.probes import Probes
from phasescope.store import Entry, RunFolder, ShardKey, completed_container, open_container, waiting_container
from phasescope.suites import open_suite
from phasescope.texts import Inputs
from phasescope.visits import Request, capture_into, visit, visit_cohort
from tests.conftest import digests, make_suite

ASKED = {"sequences": 12, "context": 32, "output_sequences": 4}
KEYS = [ShardKey("tiny", seed, 4) for seed in (1, 2)]


@pytest.fixture
def begun(captured: Path, suite_folder: Path, tmp_path: Path) -> RunFolder:
    """A run of which one cohort is gone, and one of its seeds waits: as a kill leaves it between two visits."""
    run = RunFolder(Path(shutil.copytree(captured, tmp_path / "run")))
    run.cohort("tiny", 4).unlink()
    for key in KEYS:
        run.shard(key).unlink()
    checkpoint = open_suite(suite_folder).checkpoint("tiny", 1, 4)
    summary = visit(checkpoint, Inputs.load(run.inputs), Probes(), run, waits=True)
    assert not summary.reason
    assert run.waiting(KEYS[0]).is_file()
    assert not run.shard(KEYS[0]).is_file()
    return run


def test_what_waits_is_completed_when_its_cohort_is_there(
    begun: RunFolder, captured: Path, suite_folder: Path, texts_file: Path
) -> None:
    with open_container(begun.waiting(KEYS[0]), "shard") as shard:
        assert shard.names("outputs") == ["outputs/final_hidden"]
        assert shard.digest == ""
    done = capture_into(open_suite(suite_folder), begun, Request(str(texts_file), 12, 32, 4))
    assert [(one.key, one.tokens > 0) for one in done.visits] == [(KEYS[0], False), (KEYS[1], True)]
    assert [(one.size, one.step, one.seeds) for one in done.cohorts] == [("tiny", 4, (1, 2))]
    assert digests(begun.path) == digests(captured)
    assert not (begun.path / "waiting").exists()


def test_without_its_cohort_it_is_completed_alone(begun: RunFolder, captured: Path, suite_folder: Path) -> None:
    """As where the other seeds are bad."""
    checkpoint = open_suite(suite_folder).checkpoint("tiny", 1, 4)
    assert visit_cohort([checkpoint], Inputs.load(begun.inputs), Probes(), begun) is None
    with begun.open_shard(KEYS[0]) as found, RunFolder(captured).open_shard(KEYS[0]) as expected:
        assert found.recompute_digest() == found.digest == expected.digest
    assert not begun.cohort("tiny", 4).exists()


def test_a_bad_seed_does_not_hold_the_others(texts_file: Path, tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite", sizes=("tiny",), seeds=(1, 2), steps=(0, 4))
    bad = tmp_path / "suite/tiny/seed2/step4/model.safetensors"
    from safetensors.torch import load_file, save_file

    weights = load_file(bad)
    weights["embed_out.weight"][3, 2] = torch.nan  # Only what is said is not finite, no activation.
    save_file(weights, bad, metadata={"format": "pt"})
    run = ps.capture(suite, texts_file, tmp_path / "run", **ASKED)
    assert [one.label for one in run.folder.shards()] == [
        "tiny/seed1/step0",
        "tiny/seed1/step4",
        "tiny/seed2/step0",
    ]
    assert run.folder.cohorts() == [("tiny", 0)]
    (failed,) = run.folder.read_manifest()["failed"]
    assert "has NaN or infinity in lm_head.weight" in failed["reason"]


def test_what_could_not_be_added_to_waits_on(
    begun: RunFolder, captured: Path, suite_folder: Path, texts_file: Path
) -> None:
    with (
        pytest.raises(PhasescopeError, match="no longer"),
        completed_container(begun.waiting(KEYS[0]), begun.shard(KEYS[0])) as writer,
    ):
        writer.append("outputs/surprisal", torch.zeros(2, 31).numpy(), 0, 4, {})
        raise PhasescopeError("no longer")
    assert begun.waits(KEYS[0])
    assert not list(begun.path.rglob(".*.tmp-*"))
    capture_into(open_suite(suite_folder), begun, Request(str(texts_file), 12, 32, 4))
    assert digests(begun.path) == digests(captured)


def test_beside_the_whole_shard_it_counts_for_nothing(
    begun: RunFolder, captured: Path, suite_folder: Path, texts_file: Path
) -> None:
    """As a kill leaves it between the two."""
    kept = begun.path / "kept.h5"
    shutil.copy(begun.waiting(KEYS[0]), kept)
    inputs = Inputs.load(begun.inputs)
    visit_cohort([open_suite(suite_folder).checkpoint("tiny", 1, 4)], inputs, Probes(), begun)
    begun.waiting(KEYS[0]).parent.mkdir(parents=True, exist_ok=True)
    kept.rename(begun.waiting(KEYS[0]))
    assert not begun.waits(KEYS[0])
    capture_into(open_suite(suite_folder), begun, Request(str(texts_file), 12, 32, 4))
    assert digests(begun.path) == digests(captured)
    assert not (begun.path / "waiting").exists()


def test_in_two_goes_it_is_the_same_file(tmp_path: Path) -> None:
    import numpy as np

    from phasescope.store import new_container

    rows = np.arange(12.0).reshape(6, 2)
    attrs = {"size": "a", "step": 3, "share": 0.5, "is": True}
    with new_container(tmp_path / "once.h5", "shard", attrs) as writer:
        writer.put("outputs/a", Entry(rows, {"units": "nats"}))
        writer.append("outputs/b", rows, 0, 6, {"units": "nats"})
        writer.put("names", Entry(np.array(["é", "b"])))
        once = writer
    with waiting_container(tmp_path / "waiting.h5", "shard", attrs) as writer:
        writer.put("outputs/a", Entry(rows, {"units": "nats"}))
        writer.put("names", Entry(np.array(["é", "b"])))
    with completed_container(tmp_path / "waiting.h5", tmp_path / "twice.h5") as writer:
        writer.append("outputs/b", rows[:4], 0, 6, {"units": "nats"})
        writer.append("outputs/b", rows[4:], 4, 6, {"units": "nats"})
    assert writer.digest == once.digest
    with open_container(tmp_path / "twice.h5", "shard") as found:
        assert found.recompute_digest() == once.digest
