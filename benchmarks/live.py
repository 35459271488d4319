"""A live probe: from the text to the first numbers, and from one checkpoint to the next.

Five checkpoints of the 14M shape (random weights, 50 304 rows), a text of 79 tokens (bytes), layer 3's `mlp_out`.
Warm: in a process that has probed another text before. Cold: a new process, its imports included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.suites import SHAPES, make

STEPS = (0, 1, 8, 64, 512)
TEXT = "When the ship had sailed, the captain said that the ship would not come back."
_COLD = (
    "import sys; from phasescope.suites import open_suite; from phasescope.visits.live import LiveProbe; "
    f"print(next(LiveProbe.prepare(open_suite(sys.argv[1]), {TEXT!r}, 'L3.mlp_out').readings()).cka)"
)


def probe(suite: Path, text: str) -> list[float]:
    """Seconds after the beginning at which each reading came."""
    from phasescope.suites import open_suite
    from phasescope.visits.live import LiveProbe

    begun = time.perf_counter()
    readings = LiveProbe.prepare(open_suite(suite), text, "L3.mlp_out").readings()
    return [time.perf_counter() - begun for _ in readings]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        suite = make(Path(folder) / "suite", {"14m": SHAPES["14m"]}, (1,), STEPS)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", _COLD, str(suite)], check=True, capture_output=True)
        cold = time.perf_counter() - begun
        probe(suite, "Another text.")
        came = probe(suite, TEXT)
    each = (came[-1] - came[0]) / (len(came) - 1)
    print(f"  first reading: warm {came[0]:.2f} s (< 2), cold {cold:.1f} s; each further one {each:.2f} s")


if __name__ == "__main__":
    main()
