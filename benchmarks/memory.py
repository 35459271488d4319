"""Peak memory of a capture over 40 checkpoints against one over 10: it must not grow."""

from __future__ import annotations

import statistics
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


def main(repeats: int = 3) -> None:
    """Medians of a few processes each: threads and their memory arenas make single peaks differ by some per cent."""
    peaks: dict[int, list[float]] = {10: [], 40: []}
    with tempfile.TemporaryDirectory() as folder:
        suite = make(Path(folder) / "suite", {"9m": (256, 4, 4)}, (0,), tuple(range(40)), rows=8192, entries=8000)
        Path(folder, "texts.txt").write_text("Every layer has its own time to settle. " * 2000)
        for repeat in range(repeats):
            for number, found in peaks.items():
                run = Path(folder) / f"run{number}-{repeat}"
                command = [sys.executable, "-c", CAPTURE, str(suite), str(run), str(number)]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found.append(float(done.stdout.split()[-1]))
    few, many = (statistics.median(found) for found in peaks.values())
    shown = {number: [round(peak) for peak in found] for number, found in peaks.items()}
    print(f"  peak memory in MiB over 10 checkpoints {shown[10]}, over 40 {shown[40]}")
    print(f"  ratio of medians: {many / few:.3f} (≤ 1.05)")


if __name__ == "__main__":
    main()
