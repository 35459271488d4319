"""A capture of checkpoints on the hub: fetched ahead, kept within a limit, stopped, and faults on the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.suites import fetched
from phasescope.suites.room import Room, bytes_in
from tests.suites.hub_server import Fault, HubServer, Repository, bytes_on_disk, serving

SUITE = "toy/tiny-seed{seed}"
STEPS = (0, 1, 4, 16)


@pytest.fixture
def hub(suite_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The suite of the tests on a hub: `toy/tiny-seed1` and `toy/tiny-seed2`, four steps each."""
    repositories = {}
    for seed in (1, 2):
        folder = suite_folder / "tiny" / f"seed{seed}"
        branches = {"main": folder / "step16", **{f"step{step}": folder / f"step{step}" for step in STEPS}}
        repositories[f"toy/tiny-seed{seed}"] = Repository(branches)
    with serving(repositories, tmp_path / "cache", monkeypatch) as server:
        yield server


@pytest.fixture
def one(suite_folder: Path) -> int:
    """The bytes of one checkpoint's weights."""
    return (suite_folder / "tiny/seed1/step16/model.safetensors").stat().st_size


def capture(texts: Path, out: Path, suite: str = SUITE, **options: Any) -> ps.Run:
    return ps.capture(suite, texts, out, sequences=12, context=32, output_sequences=4, **options)


def weights_in(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("model.safetensors") if path.exists()]


class Watch:
    """The most that the cache ever held."""

    def __init__(self, cache: Path) -> None:
        self.cache, self.peak, self._stop = cache, 0, threading.Event()
        self._thread = threading.Thread(target=self._look)

    def _look(self) -> None:
        while not self._stop.is_set():
            self.peak = max(self.peak, bytes_on_disk(self.cache))
            time.sleep(0.001)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def test_what_comes_from_the_hub_is_what_comes_from_disk(
    hub: HubServer, suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    remote = capture(texts_file, tmp_path / "remote")
    local = capture(texts_file, tmp_path / "local", str(suite_folder), sizes=["tiny"])
    assert remote.manifest["failed"] == []
    commits = set()
    for key in remote.reader.keys:
        with remote.folder.open_shard(key) as shard:
            commits.add(shard.attrs["commit"])
    assert commits == {
        hub.repositories[f"toy/tiny-seed{seed}"].commits[f"step{step}"] for seed in (1, 2) for step in STEPS
    }
    columns = ["seed", "step", "surprisal"]
    assert remote.surprisal()[columns].equals(local.surprisal()[columns])
    kl = [run.seed_divergence()["kl"].tolist() for run in (remote, local)]
    assert kl[0] == pytest.approx(kl[1])


def test_the_next_checkpoint_is_fetched_while_one_is_probed_and_no_more(
    hub: HubServer, texts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from phasescope.visits import work

    asked: list[int] = []
    visit = work.visit

    def slowly(*arguments: Any, **more: Any) -> Any:
        deadline = time.monotonic() + 5
        while len(hub.blobs) < min(len(asked) + 2, 4) and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.05)  # Time for one too many.
        asked.append(len(hub.blobs))
        return visit(*arguments, **more)

    monkeypatch.setattr(work, "visit", slowly)
    capture(texts_file, tmp_path / "run", "toy/tiny-seed1")
    assert asked == [2, 3, 4, 4]


@pytest.mark.parametrize("comparing", [True, False])
def test_visited_checkpoints_make_room(
    hub: HubServer, one: int, texts_file: Path, tmp_path: Path, comparing: bool
) -> None:
    limit = int((3.5 if comparing else 2.5) * one)
    with Watch(tmp_path / "cache") as watch:
        run = capture(texts_file, tmp_path / "run", cache_limit=limit, compare_seeds=comparing)
    assert run.manifest["failed"] == []
    assert len(run.reader.keys) == 8
    assert (one < watch.peak <= limit) if not comparing else (2 * one <= watch.peak <= limit)
    assert len(weights_in(tmp_path / "cache")) < 4
    # What is left is whole: no link leads to nothing.
    assert all(path.exists() for path in (tmp_path / "cache").glob("models--*/snapshots/*/*"))
    if comparing:
        assert len(run.seed_divergence()) == 4


def test_files_that_the_user_had_are_never_removed(
    hub: HubServer, one: int, texts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import snapshot_download

    cache = tmp_path / "cache"
    snapshot_download("toy/tiny-seed1", revision="step0")
    snapshot_download("toy/tiny-seed2", revision="step4", allow_patterns=["config.json"])
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file() and ".locks" not in path.parts}
    fetched.fetched.clear()
    run = capture(texts_file, tmp_path / "run", cache_limit=int(2.2 * one))
    assert len(run.reader.keys) == 8
    assert all(path.read_bytes() == content for path, content in before.items())


def test_weights_that_several_revisions_share_are_fetched_and_kept_once(
    hub: HubServer, suite_folder: Path, one: int, texts_file: Path, tmp_path: Path
) -> None:
    folder = suite_folder / "tiny/seed1/step16"
    hub.repositories["toy/same"] = Repository({f"step{step}": folder for step in range(4)})
    run = capture(texts_file, tmp_path / "run", "toy/same", cache_limit=int(1.4 * one))
    assert len(run.reader.shards) == 4
    (digest,) = hub.blobs
    assert sum(digest in line for line in hub.requests) == 1
    assert len(weights_in(tmp_path / "cache")) == 1


@pytest.mark.parametrize(
    ("factor", "comparing", "message"),
    [
        (0.5, False, "one checkpoint of tiny-seed1 needs"),
        (1.5, True, r"comparing 2 seeds of tiny needs .* at once. Give a higher --cache-limit, choose fewer --seeds"),
    ],
)
def test_a_limit_that_cannot_do_is_told_before_anything_is_downloaded(
    hub: HubServer, one: int, texts_file: Path, tmp_path: Path, factor: float, comparing: bool, message: str
) -> None:
    suite = "toy/{size}-seed{seed}" if comparing else "toy/tiny-seed1"
    with pytest.raises(PhasescopeError, match=rf"The cache limit of .* is too small: {message}"):
        capture(texts_file, tmp_path / "run", suite, cache_limit=int(factor * one), compare_seeds=comparing)
    assert hub.blobs == {}
    assert not (tmp_path / "run").exists()


def test_seeds_that_come_later_are_compared_within_the_limit(
    hub: HubServer, one: int, texts_file: Path, tmp_path: Path
) -> None:
    limit = int(3.2 * one)
    capture(texts_file, tmp_path / "run", seeds=[1], cache_limit=limit)
    fetched.fetched.clear()
    for path in weights_in(tmp_path / "cache"):
        path.resolve().unlink()
        path.unlink()
    with Watch(tmp_path / "cache") as watch:
        run = capture(texts_file, tmp_path / "run", cache_limit=limit)
    assert len(run.seed_divergence()) == 4
    assert watch.peak <= limit


def test_a_revision_that_vanished_is_recorded_and_passed_over(hub: HubServer, texts_file: Path, tmp_path: Path) -> None:
    suite = ps.open_suite(SUITE)
    repository = hub.repositories["toy/tiny-seed2"]
    repository.branches = {name: folder for name, folder in repository.branches.items() if name != "step4"}
    run = ps.capture(suite, texts_file, tmp_path / "run", sequences=12, context=32, output_sequences=4)
    (failed,) = run.manifest["failed"]
    assert (failed["seed"], failed["step"]) == (2, 4)
    assert "toy/tiny-seed2 has no such revision: toy/tiny-seed2@step4" in failed["reason"]
    assert len(run.reader.keys) == 7


def test_a_hub_that_goes_away_stops_the_capture_and_nothing_is_lost(
    hub: HubServer, texts_file: Path, tmp_path: Path
) -> None:
    suite = ps.open_suite("toy/tiny-seed1")
    options: dict[str, Any] = {"sequences": 12, "context": 32, "output_sequences": 4}
    hub.faults.append(Fault("/revision/step4", 500))
    with pytest.raises(PhasescopeError, match="The hub answered 500 for toy/tiny-seed1@step4: try again later"):
        ps.capture(suite, texts_file, tmp_path / "run", **options)
    assert ps.open_run(tmp_path / "run").steps() == [0, 1]
    hub.faults.clear()
    run = ps.capture(suite, texts_file, tmp_path / "run", **options)
    assert run.steps() == list(STEPS)
    assert run.manifest["failed"] == []


def test_offline_a_capture_reads_what_is_cached(
    hub: HubServer, texts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    online = capture(texts_file, tmp_path / "online", steps=[0, 16])
    hub.stop()
    fetched.fetched.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    offline = capture(texts_file, tmp_path / "offline")
    assert offline.steps() == [0, 16]
    assert offline.seeds() == [1, 2]
    assert offline.surprisal().equals(online.surprisal())
    with pytest.raises(PhasescopeError, match=r"toy/tiny-seed1@step1, and it is not in the cache: .* HF_HUB_OFFLINE"):
        ps.capture(
            ps.Suite("toy", "toy", (ps.Checkpoint("toy", "tiny", 1, 1, "toy/tiny-seed1", "step1"),)),
            texts_file, tmp_path / "other",
        )  # fmt: skip


def test_a_full_disk_stops_the_capture_and_nothing_is_lost(
    hub: HubServer, one: int, texts_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from types import SimpleNamespace

    suite = ps.open_suite("toy/tiny-seed1")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0 if len(hub.blobs) > 1 else 10**9))
    with pytest.raises(PhasescopeError, match=r"The disk is full: toy/tiny-seed1@step\d+: model.safetensors needs"):
        ps.capture(suite, texts_file, tmp_path / "run", sequences=12, context=32, output_sequences=4)
    assert len(ps.open_run(tmp_path / "run").steps()) >= 1


def command(hub: HubServer, cache: Path, *arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, **hub.environment, "HF_HUB_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "phasescope.cli", *map(str, arguments)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_the_command_stops_promptly_and_goes_on(hub: HubServer, texts_file: Path, tmp_path: Path) -> None:
    cache, run = tmp_path / "cache", tmp_path / "run"
    arguments = [
        "capture", "toy/tiny-seed1", "--texts", texts_file, "--out", run, "--sequences", 12, "--context", 32,
        "--output-sequences", 4, "--cache-limit", "1MB",
    ]  # fmt: skip
    hub.rate = 5_000.0  # A checkpoint takes several seconds.
    process = command(hub, cache, *arguments)
    while not list(cache.rglob("*.incomplete")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    while process.poll() is None:  # Python itself drops one that comes while it tidies up.
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
    assert process.returncode == 1
    assert "Stopped. Nothing captured is lost: run the same command again to go on." in process.communicate()[1]
    assert len(hub.blobs) <= 2  # The downloads of the others would have taken long.
    hub.rate = None
    assert capture(texts_file, run, "toy/tiny-seed1").steps() == list(STEPS)


def test_trusting_code_is_asked_for_and_kept(hub: HubServer, texts_file: Path, tmp_path: Path) -> None:
    run = capture(texts_file, tmp_path / "run", "toy/tiny-seed1", steps=[0], trust_remote_code=True)
    assert run.manifest["asked"]["trust_remote_code"] is True
    with pytest.raises(PhasescopeError, match=r"asked for something else .trust_remote_code: True there, False now"):
        capture(texts_file, tmp_path / "run", "toy/tiny-seed1", steps=[0])


def test_a_limit_that_is_no_size() -> None:
    assert [bytes_in(text) for text in ("50GB", "1.5GiB", "500 mb", "7k", 12)] == [
        50 * 10**9, 3 * 2**29, 500 * 10**6, 7000, 12
    ]  # fmt: skip
    for text in ("", "GB", "0", "-1GB", "5XB", "1e9"):
        with pytest.raises(PhasescopeError, match=r"is no size: write 50GB, 1\.5GiB or 500MB"):
            bytes_in(text)


def test_a_room_in_which_nothing_is_given_back_says_so(tmp_path: Path) -> None:
    room = Room(10)
    room.take(("a/b", "main"), tmp_path / "x", None, {"f": (tmp_path / "f", 8)})
    with pytest.raises(PhasescopeError, match=r"too small: a/b@step1 needs 8 bytes beside 8 bytes that are still"):
        room.take(("a/b", "step1"), tmp_path / "y", None, {"g": (tmp_path / "g", 8)})
    room.visited()
    room.take(("a/b", "step1"), tmp_path / "y", None, {"g": (tmp_path / "g", 8)})
    assert room.used == 8


def test_a_visit_fetches_only_what_lacks_scores_and_within_the_limit(
    hub: HubServer, one: int, texts_file: Path, tmp_path: Path
) -> None:
    run = capture(texts_file, tmp_path / "run", "toy/tiny-seed1", compare_seeds=False, cache_limit=2 * one)
    hub.requests.clear()
    with pytest.raises(PhasescopeError, match=r"--suite toy/tiny-seed1 .*nothing is fetched because a run says so"):
        run.visit("minimal_pairs", cache_limit=2 * one)
    assert not hub.requests
    run.visit("minimal_pairs", suite="toy/tiny-seed1", cache_limit=2 * one)
    items = run.reader.item_sets("minimal_pairs")
    lost = run.reader.keys[2]
    run.folder.scores(items[0].kind, items[0].name, lost).unlink()
    for folder in (tmp_path / "cache").glob("models--*"):
        shutil.rmtree(folder)
    run.visit("minimal_pairs", suite="toy/tiny-seed1", cache_limit=2 * one)
    assert len(weights_in(tmp_path / "cache")) == 1
    assert len(run.reader.scored(items[0])) == 4
