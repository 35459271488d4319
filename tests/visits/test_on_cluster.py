"""Captures on a real Ray cluster of two nodes: what is there afterwards is what one process would have made."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.store import RunFolder
from tests.conftest import digests
from tests.suites.hub_server import HubServer, Repository, bytes_on_disk, connect, serving
from tests.visits.test_with_workers import ASKED
from tests.workers.ray_cluster import STORE, two_nodes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def hub(suite_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    repositories = {
        f"toy/tiny-seed{seed}": Repository(
            {f"step{step}": suite_folder / f"tiny/seed{seed}/step{step}" for step in (0, 1, 4)}
        )
        for seed in (1, 2)
    }
    with pytest.MonkeyPatch.context() as patch, serving(repositories, tmp_path_factory.mktemp("hub"), patch) as hub:
        yield hub


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [tmp_path_factory.mktemp("cache") for _ in range(2)]


@pytest.fixture(scope="module")
def cluster(hub: HubServer, caches: list[Path]) -> Iterator[Any]:
    """Each node has its own cache of the hub."""
    with two_nodes([{**hub.environment, "HF_HUB_CACHE": str(cache)} for cache in caches]) as cluster:
        yield cluster


@contextmanager
def once(shards: int, run: Path, what: Callable[[], object]) -> Iterator[None]:
    """Do something as soon as a run has so many shards, while the block goes on."""
    done = threading.Event()

    def watch() -> None:
        while len(list(run.glob("checkpoints/*/*/step*.h5"))) < shards and not done.wait(0.01):
            pass
        what()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def seats() -> list[psutil.Process]:
    """The processes of workers."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if process.cmdline()[0].startswith("ray::Seat"):
                found.append(process)
        except (psutil.Error, IndexError):
            pass
    return found


def kill_one() -> None:
    while not (there := [one for one in seats() if "do" in one.cmdline()[0]]):
        time.sleep(0.01)
    there[0].kill()


def test_all_that_a_run_holds_is_what_one_process_makes(
    cluster: Any, captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path, capfd: Any
) -> None:
    without = shutil.ignore_patterns("results", "behaviour", "comparisons")  # what other tests made of it
    run, one = tmp_path / "run", Path(shutil.copytree(captured, tmp_path / "one", ignore=without))
    with (
        pytest.warns(PhasescopeWarning, match=r"A worker on .* ended at (tiny|small)/.*: another one tries"),
        once(2, run, kill_one),
    ):
        several = ps.capture(suite_folder, texts_file, run, cluster=cluster.address, **ASKED)
    said = capfd.readouterr().err
    assert f"2 workers on 2 nodes: all of them see {run}." in said
    assert digests(run) == digests(captured)
    alone = ps.open_run(one)
    for which, more in ((alone, {}), (several, {"cluster": cluster.address})):
        which.visit("minimal_pairs", **more)
        which.compare(**more)
        which.analyse("rank", "surprisal", **more)
    for path in (*RunFolder(one).comparisons(), *one.glob("behaviour/**/*.h5"), *one.glob("results/**/*.parquet")):
        assert path.read_bytes() == (run / path.relative_to(one)).read_bytes(), path
    assert len(RunFolder(run).comparisons()) == 4 * 4 + 2 * 4
    assert not list(run.rglob(".*.tmp-*"))


def test_a_node_that_is_lost_in_the_middle(
    cluster: Any, captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path
) -> None:
    third = cluster.add_node(num_cpus=1, object_store_memory=STORE)
    with (
        pytest.warns(PhasescopeWarning, match=r"The node .* was lost: others do what it had\."),
        once(3, tmp_path / "run", lambda: cluster.remove_node(third)),
    ):
        ps.capture(suite_folder, texts_file, tmp_path / "run", cluster=cluster.address, **ASKED)
    assert digests(tmp_path / "run") == digests(captured)


def test_a_node_that_does_not_see_the_run_sends_what_it_made(
    cluster: Any, captured: Path, suite_folder: Path, texts_file: Path, tmp_path: Path, capfd: Any
) -> None:
    """The second node is one in whose file system another disk lies where the run is."""
    run = tmp_path / "here" / "run"
    run.parent.mkdir()
    with node_without(run.parent, cluster) as name:
        several = ps.capture(suite_folder, texts_file, run, workers=3, cluster=cluster.address, **ASKED)
        assert f"is sent here, as {run} is not seen there" in capfd.readouterr().err
        several.compare(cluster=cluster.address)
        several.visit("minimal_pairs", cluster=cluster.address)
        with pytest.warns(PhasescopeWarning, match="is left out: it does not see"):
            several.analyse("rank", cluster=cluster.address)
    assert name
    assert digests(run) == digests(captured)
    alone = ps.open_run(shutil.copytree(captured, tmp_path / "one"))
    alone.compare()
    alone.visit("minimal_pairs")
    paths = [*alone.folder.comparisons(), *alone.folder.path.glob("behaviour/**/*.h5")]
    assert len(paths) > 4 * 4 + 2 * 4
    for path in paths:
        assert path.read_bytes() == (run / path.relative_to(alone.folder.path)).read_bytes(), path


@contextmanager
def node_without(folder: Path, cluster: Any) -> Iterator[str]:
    """One more node, of two cores, that has an empty disk of its own where a folder is."""
    start = f"-m ray.scripts.scripts start --block --address={cluster.address} --num-cpus=1"
    script = f"mount -t tmpfs none '{folder}' && exec {sys.executable} {start} --object-store-memory={STORE}"
    inside = ["unshare", "--mount", "--map-root-user"] if os.getuid() else ["unshare", "--mount"]
    if shutil.which("unshare") is None or subprocess.run([*inside, "true"], check=False).returncode:
        pytest.skip("needs a mount namespace of its own")
    before = {node["NodeID"] for node in nodes_of(cluster)}
    process = subprocess.Popen([*inside, "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 200
        while not (new := [n for n in nodes_of(cluster) if n["Alive"] and n["NodeID"] not in before]):
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.5)
        yield new[0]["NodeID"]
    finally:
        process.terminate()
        process.wait()


def nodes_of(cluster: Any) -> list[dict[str, Any]]:
    from ray._private.state import GlobalState
    from ray._raylet import GcsClientOptions

    state = GlobalState()
    state._initialize_global_state(GcsClientOptions.create(cluster.address, None, True, False))
    try:
        return list(state.node_table())
    finally:
        state.disconnect()


def test_each_node_fetches_into_its_own_cache_within_the_limit(
    cluster: Any, hub: HubServer, caches: list[Path], captured: Path, suite_folder: Path, texts_file: Path,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    one = (suite_folder / "tiny/seed1/step0/model.safetensors").stat().st_size
    connect(hub, tmp_path / "driver", monkeypatch)
    ps.capture(
        "toy/tiny-seed{seed}", texts_file, tmp_path / "run", cluster=cluster.address, cache_limit=3 * one, **ASKED
    )
    assert len(RunFolder(tmp_path / "run").shards()) == 6
    ours = digests(tmp_path / "run")
    ps.capture("toy/tiny-seed{seed}", texts_file, tmp_path / "alone", **ASKED)
    assert ours == digests(tmp_path / "alone")
    for cache in caches:
        assert 0 < bytes_on_disk(cache) <= 3 * one + 100_000
        assert not list(cache.glob(".phasescope-node-*"))


def test_nodes_with_one_cache_and_a_limit(hub: HubServer, texts_file: Path, tmp_path: Path, monkeypatch: Any) -> None:
    connect(hub, tmp_path / "driver", monkeypatch)
    environment = {**hub.environment, "HF_HUB_CACHE": str(tmp_path / "cache")}
    with (
        two_nodes([environment, environment]) as both,
        pytest.raises(PhasescopeError, match=r"have one cache of the hub together.*set HF_HUB_CACHE"),
    ):
        ps.capture(
            "toy/tiny-seed{seed}", texts_file, tmp_path / "run", cluster=both.address, cache_limit="1GB", **ASKED
        )
