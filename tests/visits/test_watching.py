"""A run that fills while somebody watches."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.hooks import Site
from phasescope.store import RunFolder, ShardKey
from phasescope.visits.live.watching import Watch
from tests.conftest import STEPS

SITE = Site(1, "mlp_out")


@pytest.fixture
def begun(captured: Path, tmp_path: Path) -> RunFolder:
    """The captured run, as it was before its first shard."""
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    shutil.copy(captured / "run.json", folder.manifest)
    shutil.copy(captured / "inputs.h5", folder.inputs)
    return folder


def arrive(captured: Path, folder: RunFolder, key: ShardKey) -> None:
    folder.shard(key).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(RunFolder(captured).shard(key), folder.shard(key))


def arrive_as(captured: Path, folder: RunFolder, key: ShardKey, step: int) -> None:
    """What was captured at `step` comes as if it were of another one."""
    folder.shard(key).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(RunFolder(captured).shard(replace(key, step=step)), folder.shard(key))
    with h5py.File(folder.shard(key), "r+") as file:
        file.attrs.modify("step", key.step)


def test_what_is_seen_at_the_end_is_what_the_analysis_finds(captured: Path, begun: RunFolder) -> None:
    watch = Watch.begin(begun, "tiny", SITE)
    assert watch.refresh()
    assert (len(watch.planned), len(watch.seen), watch.done) == (8, 0, False)
    for step in STEPS:
        for seed in (1, 2):
            arrive(captured, begun, ShardKey("tiny", seed, step))
            assert watch.refresh()
            assert not watch.refresh()  # nothing new
    assert watch.done
    table = ps.open_run(captured).layer(1, "mlp_out", size="tiny").convergence()
    for row in table.to_dict("records"):
        seen = watch.seen[row["seed"], row["step"]]
        assert seen.against == STEPS[-1]
        # The same float32 products of the same numbers.
        assert seen.cka == pytest.approx(row["cka"], abs=1e-6)
    rank = ps.open_run(captured).layer(1, "mlp_out", size="tiny").effective_rank()
    for row in rank.to_dict("records"):
        assert watch.seen[row["seed"], row["step"]].proportional == pytest.approx(row["proportional"], rel=1e-5)


def test_not_everything_is_computed_at_every_shard(captured: Path, begun: RunFolder) -> None:
    steps = range(40)
    manifest = json.loads(begun.manifest.read_text())
    manifest["checkpoints"] = [{"size": "tiny", "seed": 1, "step": step} for step in steps]
    begun.write_manifest(manifest)
    watch = Watch.begin(begun, "tiny", SITE)
    for step in steps:
        key = ShardKey("tiny", 1, step)
        arrive_as(captured, begun, key, STEPS[step % 4])
        watch.refresh()
    assert watch.done
    assert {seen.against for seen in watch.seen.values()} == {39}
    assert len(steps) < watch.compared <= 4 * len(steps)


def test_in_between_it_is_said_what_is_compared_with(captured: Path, begun: RunFolder) -> None:
    watch = Watch.begin(begun, "tiny", SITE)
    for step in STEPS[:3]:
        arrive(captured, begun, ShardKey("tiny", 1, step))
        watch.refresh()
    assert {step: seen.against for (_, step), seen in watch.seen.items()} == {0: 1, 1: 1, 4: 1}
    assert watch.seen[1, 1].cka == pytest.approx(1)


def test_a_shard_that_is_written_anew_is_read_anew(captured: Path, begun: RunFolder) -> None:
    watch = Watch.begin(begun, "tiny", SITE)
    for step in (0, 16):
        arrive(captured, begun, ShardKey("tiny", 1, step))
        watch.refresh()
    before = watch.seen[1, 0].cka
    arrive_as(captured, begun, ShardKey("tiny", 1, 0), step=4)
    assert watch.refresh()
    assert not math.isclose(watch.seen[1, 0].cka, before, abs_tol=1e-4)


def test_a_damaged_shard_and_a_failed_checkpoint_are_said_and_passed_over(captured: Path, begun: RunFolder) -> None:
    manifest = json.loads(begun.manifest.read_text())
    manifest["failed"] = [{"size": "tiny", "seed": 2, "step": 4, "reason": "it is truncated"}]
    manifest["checkpoints"] = [c for c in manifest["checkpoints"] if c["size"] == "tiny"]
    begun.write_manifest(manifest)
    for seed in (1, 2):
        for step in STEPS:
            if (seed, step) != (2, 4):
                arrive(captured, begun, ShardKey("tiny", seed, step))
    damaged = begun.shard(ShardKey("tiny", 1, 1))
    damaged.write_bytes(damaged.read_bytes()[:1000])
    watch = Watch.begin(begun, "tiny", SITE)
    watch.refresh()
    assert watch.done
    assert watch.problems[2, 4] == "it is truncated"
    assert "step00000001.h5" in watch.problems[1, 1]
    assert len(watch.seen) == 6


def test_a_training_is_done_when_it_says_so(captured: Path, begun: RunFolder) -> None:
    manifest = json.loads(begun.manifest.read_text())
    manifest |= {"source": "training", "checkpoints": [{"size": "tiny", "seed": 1, "step": 0}]}
    begun.write_manifest(manifest)
    arrive(captured, begun, ShardKey("tiny", 1, 0))
    watch = Watch.begin(begun, "tiny", SITE)
    watch.refresh()
    assert not watch.done
    begun.write_manifest(manifest | {"trainings": [{"size": "tiny", "seed": 1}]})
    assert watch.refresh()
    assert watch.done


def test_what_no_shard_will_have_ends_it(captured: Path, begun: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="There is no run at"):
        Watch.begin(RunFolder(tmp_path / "nowhere"), None, SITE)
    with pytest.raises(PhasescopeError, match="Several sizes"):
        Watch.begin(begun, None, SITE)
    with pytest.raises(PhasescopeError, match="Did you mean tiny"):
        Watch.begin(begun, "tinny", SITE)
    arrive(captured, begun, ShardKey("tiny", 1, 0))
    with pytest.raises(PhasescopeError, match=r"does not record L1\.z"):
        Watch.begin(begun, "tiny", Site(1, "z")).refresh()
    with pytest.raises(PhasescopeError, match="has no head 3"):
        Watch.begin(begun, "tiny", SITE, head=3).refresh()
