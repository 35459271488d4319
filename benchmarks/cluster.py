"""Two workers against one process: the capture of small models, and analyses of one study's size that read shards.

The capture is of 64 checkpoints of the 14M shape. The analyses are of 27 steps of two seeds of the 70M shape at 1 024
samples, study A's own; with `--small` of the 64 that were captured.

Each in a process of its own, in which one thread computes. Clocks mean little on a machine that others use, so there is
a ratio of processor time too: what one process takes, against what the one that gives the work takes and half of what
its two workers do: how long it lasts where two cores are free. The beginning of workers (imports) is part of it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.long_runs import PYTHIA, make_run
from benchmarks.suites import make

SIZES = {"14m": (128, 6, 4)}
SEEDS, STEPS = (1, 2), tuple(range(32))
LARGE = {"70m": (512, 6, 8)}
# Of Pythia's 154 steps the 27 that study A reads.
STUDY = (*PYTHIA[:12], *PYTHIA[13::10])
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
        root = Path(folder)
        suite = make(root / "suite", SIZES, SEEDS, STEPS)
        compare("capture", suite, root / "run-1", root / "run-2")
        if "--small" in sys.argv:
            compare("analyse", suite, root / "run-1", root / "run-2")
            return
        run = make_run(root / "large", LARGE, SEEDS, STUDY, sequences=1024, context=32).path
        compare("analyse", suite, run, Path(shutil.copytree(run, root / "copy")))


def compare(what: str, suite: Path, one: Path, other: Path) -> None:
    """The same by one process in one folder, and by two workers in another."""
    alone, of_one, _ = seconds(suite, one, 1, what)
    together, giving, working = seconds(suite, other, 2, what)
    ratio = of_one / (giving + working / 2)
    print(f"  {what}: {ratio:.2f} × by processor time, {alone / together:.2f} × by the clock (goal 1.8)")
    print(f"    one process {of_one:.1f} s; giving {giving:.1f} s, two workers {working:.1f} s together", flush=True)


if __name__ == "__main__":
    main()
