"""A capture of checkpoints on a hub: fetched while others are probed, and kept within a limit.

16 checkpoints (random weights of the 14M shape, 50 304 rows, float32: 56 MB each) on a loopback server in a process of
its own, that sends no faster than a given rate: half of, just, and twice what probing needs. Each time is that of a
whole capture, beginning with an empty cache; probing alone, with everything cached, is timed before and after each.
"""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.suites import SHAPES, make
from tests.suites.hub_server import bytes_on_disk

STEPS = tuple(range(16))
SEQUENCES, CONTEXT, OUTPUT_SEQUENCES = 32, 256, 8
NAME = "bench/neox-14m"


def serve(folder: Path, rate: float, connection: Connection) -> None:
    """A hub with the checkpoints as revisions, until something is said to it."""
    from tests.suites.hub_server import HubServer, Repository, digest_of

    branches = {path.name: path for path in folder.iterdir()}
    for path in folder.glob("*/*.safetensors"):
        digest_of(path)  # The real hub has computed them before.
    with HubServer({NAME: Repository({"main": folder / "step0", **branches})}) as hub:
        hub.rate = rate
        connection.send(hub.url)
        connection.recv()


@contextmanager
def hub(folder: Path, rate: float, cache: Path) -> Iterator[None]:
    """Lead the client of this process to a hub of that many bytes a second, with an empty cache."""
    from huggingface_hub import constants

    from phasescope.suites import fetched

    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(folder, rate, there))
    process.start()
    constants.ENDPOINT = here.recv()
    constants.HUGGINGFACE_CO_URL_TEMPLATE = constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    constants.HF_HUB_CACHE, constants.HF_HUB_DISABLE_XET, constants.HF_HUB_OFFLINE = str(cache), True, False
    fetched.fetched.clear()
    try:
        yield
    finally:
        here.send("enough")
        process.join()


@contextmanager
def watched(cache: Path) -> Iterator[list[int]]:
    """The bytes in the cache, looked at again and again."""
    sizes, done = [0], threading.Event()

    def look() -> None:
        while not done.wait(0.01):
            sizes.append(bytes_on_disk(cache))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield sizes
    finally:
        done.set()
        thread.join()


def capture(out: Path, cache_limit: int | None = None) -> float:
    """Seconds of a capture."""
    import phasescope as ps

    begun = time.perf_counter()
    ps.capture(
        NAME, "docs", out, sequences=SEQUENCES, context=CONTEXT, output_sequences=OUTPUT_SEQUENCES,
        compare_seeds=False, cache_limit=cache_limit,
    )  # fmt: skip
    return time.perf_counter() - begun


def fetch() -> float:
    """Seconds of fetching every checkpoint, and nothing else."""
    from phasescope.suites import open_suite
    from phasescope.suites.load import prepare

    begun = time.perf_counter()
    for checkpoint in open_suite(NAME):
        prepare(checkpoint)
    return time.perf_counter() - begun


def cached(folder: Path, root: Path) -> float:
    """Seconds of a capture with everything in the cache already."""
    with hub(folder, 1e12, root / "cache"):
        seconds = capture(root / "probe")
    shutil.rmtree(root / "probe")
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        folder = make(root / "suite", {"14m": SHAPES["14m"]}, (0,), STEPS) / "14m" / "seed0"
        one = (folder / "step0" / "model.safetensors").stat().st_size
        with hub(folder, 1e12, root / "cache"):
            fetch()
            capture(root / "warm")
        probes = [cached(folder, root)]
        for factor in (0.5, 1.0, 2.0):
            rate = factor * one * len(STEPS) / probes[-1]
            with hub(folder, rate, root / f"alone{factor}"):
                alone = fetch()
            with hub(folder, rate, root / f"both{factor}"):
                both = capture(root / f"run{factor}")
            probes.append(cached(folder, root))
            probe = (probes[-2] + probes[-1]) / 2
            print(
                f"  {rate / 1e6:.0f} MB/s: fetching alone {alone:.1f} s, probing alone {probe:.1f} s, overlapped "
                f"{both:.1f} s: / the longer {both / max(alone, probe):.3f} (≤ 1.15), / their sum "
                f"{both / (alone + probe):.3f}",
                flush=True,
            )
        limit = int(2.5 * one)
        with hub(folder, 1e12, root / "limited"), watched(root / "limited") as sizes:
            limited = capture(root / "limited-run", limit)
        print(
            f"  within a limit of {limit / 1e6:.0f} MB for {one * len(STEPS) / 1e6:.0f} MB: {limited:.1f} s, peak "
            f"disk / limit {max(sizes) / limit:.3f} (≤ 1)"
        )


if __name__ == "__main__":
    main()
