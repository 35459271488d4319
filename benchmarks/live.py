"""A live probe: from the text to the first numbers, and from one checkpoint to the next.

Five checkpoints of the 14M shape (random weights, 50 304 rows), a text of 79 tokens (bytes), layer 3's `mlp_out`.
Warm: in a process that has probed another text before. Cold: a new process, its imports included. Command: the first
line that `phasescope layer --live` prints; beside it what a Python takes to import torch and transformers alone,
without which no model is loaded. Of new processes the median of three.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.suites import SHAPES, make

STEPS = (0, 1, 8, 64, 512)
TEXT = "When the ship had sailed, the captain said that the ship would not come back."
_COLD = (
    "import sys; from phasescope.suites import open_suite; from phasescope.visits.live.probe import LiveProbe; "
    f"print(next(LiveProbe.prepare(open_suite(sys.argv[1]), {TEXT!r}, 'L3.mlp_out').readings()).cka)"
)
_IMPORTS = "import torch, transformers.modeling_utils, transformers.models.gpt_neox.modeling_gpt_neox"


def probe(suite: Path, text: str) -> list[float]:
    """Seconds after the beginning at which each reading came."""
    from phasescope.suites import open_suite
    from phasescope.visits.live.probe import LiveProbe

    begun = time.perf_counter()
    readings = LiveProbe.prepare(open_suite(suite), text, "L3.mlp_out").readings()
    return [time.perf_counter() - begun for _ in readings]


def until_first_line(arguments: list[str]) -> float:
    """Seconds until a new Python has printed a line, or has ended."""
    begun = time.perf_counter()
    command = [sys.executable, "-u", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        took = time.perf_counter() - begun
        process.terminate()
    return took


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        suite = make(Path(folder) / "suite", {"14m": SHAPES["14m"]}, (1,), STEPS)
        layer = ["-m", "phasescope.cli", "layer", str(suite), "3", "mlp_out", "--live", "--text", TEXT]
        new = (["-c", _COLD, str(suite)], layer, ["-c", _IMPORTS])
        cold, command, imports = (statistics.median(until_first_line(one) for _ in range(3)) for one in new)
        probe(suite, "Another text.")
        came = probe(suite, TEXT)
    each = (came[-1] - came[0]) / (len(came) - 1)
    print(f"  first reading: warm {came[0]:.2f} s (< 2), cold {cold:.1f} s; each further one {each:.2f} s")
    print(f"  command: first line after {command:.1f} s; imports of torch and transformers alone: {imports:.1f} s")


if __name__ == "__main__":
    main()
