"""Two workers against one process: the capture of small models, and the analyses that read its shards.

Each in a process of its own, in which one thread computes. Clocks mean little on a machine that others use, so there is
a ratio of processor time too: what one process takes, against what the one that gives the work takes and half of what
its two workers do: how long it lasts where two cores are free. The beginning of workers (imports) is part of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.suites import make

SIZES = {"14m": (128, 6, 4)}
SEEDS, STEPS = (1, 2), tuple(range(32))
DO = """
import json, resource, sys, time
import phasescope as ps
from phasescope.analyses import Options
suite, out, workers, what = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
begun = time.perf_counter()
if what == "capture":
    ps.capture(suite, "docs", out, sequences=128, context=256, output_sequences=18, workers=workers)
else:
    ps.open_run(out).analyse("convergence", "rank", "surprisal", workers=workers)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps([time.perf_counter() - begun, *(one.ru_utime + one.ru_stime for one in used)]))
"""


def seconds(suite: Path, out: Path, workers: int, what: str) -> list[float]:
    """By the clock; of the processor, by the process and by its workers."""
    done = subprocess.run(
        [sys.executable, "-c", DO, str(suite), str(out), str(workers), what],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found: list[float] = json.loads(done.stdout)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        suite = make(Path(folder) / "suite", SIZES, SEEDS, STEPS)
        print(f"  {len(SEEDS) * len(STEPS)} checkpoints of the 14m shape")
        for what in ("capture", "analyse"):
            alone, of_one, _ = seconds(suite, Path(folder) / "run-1", 1, what)
            together, giving, working = seconds(suite, Path(folder) / "run-2", 2, what)
            ratio = of_one / (giving + working / 2)
            print(f"  {what}: {ratio:.2f} × by processor time, {alone / together:.2f} × by the clock (goal 1.8)")
            print(f"    one process {of_one:.1f} s; giving {giving:.1f} s, two workers {working:.1f} s together")


if __name__ == "__main__":
    main()
