"""Peak memory of a capture over 40 checkpoints against one over 10: it must not grow."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.suites import make

CAPTURE = """
import resource, sys
import phasescope as ps
ps.capture(sys.argv[1], sys.argv[1] + "/../texts.txt", sys.argv[2], steps=list(range(int(sys.argv[3]))), sequences=32)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        suite = make(Path(folder) / "suite", {"9m": (256, 4, 4)}, (0,), tuple(range(40)), rows=8192, entries=8000)
        Path(folder, "texts.txt").write_text("Every layer has its own time to settle. " * 2000)
        peaks = {}
        for number in (10, 40):
            command = [sys.executable, "-c", CAPTURE, str(suite), str(Path(folder) / f"run{number}"), str(number)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            peaks[number] = float(done.stdout.split()[-1])
    print(f"  peak memory over 10 checkpoints {peaks[10]:.0f} MiB, over 40 {peaks[40]:.0f} MiB")
    print(f"  ratio: {peaks[40] / peaks[10]:.3f} (≤ 1.05)")


if __name__ == "__main__":
    main()
