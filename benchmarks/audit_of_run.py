"""What an audit of a run of 1 000 shards costs: processor time and peak memory of a process that does nothing else.

The shards are made up: five seeds of the 160M shape (74 matrices) at 200 steps each, weights that drift at random, and
outputs of 16 windows of 256 tokens; without a fault, and with one seed's last weights at half of its steps.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from phasescope.store import Entry, RunFolder, ShardKey, write_container

SEEDS, STEPS, LAYERS = (1, 2, 3, 4, 5), range(0, 200_000, 1000), 12
MATRICES = ("attn.W_K", "attn.W_O", "attn.W_Q", "attn.W_V", "mlp.W_in", "mlp.W_out")
AUDIT = """
import resource, sys, time
from phasescope.audit import audit_run
from phasescope.store import RunFolder
begun = time.process_time()
found = audit_run(RunFolder(__import__("pathlib").Path(sys.argv[1])), keep=True)
print(len(found), time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def make(folder: RunFolder, copied: range = range(0)) -> None:
    """copied: which of the first seed's steps, by place, hold what the last holds."""
    names = [f"blocks.{layer}.{name}" for layer in range(LAYERS) for name in MATRICES] + ["embed.W_E", "unembed.W_U"]
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        walk = np.cumsum(random.standard_normal((len(STEPS), 256 * len(names)), dtype=np.float32), axis=0)
        for place, step in enumerate(STEPS):
            of = len(STEPS) - 1 if seed == 1 and place in copied else place
            outputs = np.random.default_rng((seed, of)).standard_normal((2, 16, 255), dtype=np.float32)
            entries = {
                "fingerprints/matrices": Entry(np.array(names), encoding="strings"),
                "fingerprints/digests": Entry(
                    np.array([f"{seed:08x}{of:08x}{number:016x}" for number in range(len(names))]), encoding="strings"
                ),
                "fingerprints/counts": Entry(np.full(len(names), 256)),
                "fingerprints/entries": Entry(walk[of]),
                "outputs/surprisal": Entry(outputs[0]),
                "outputs/entropy": Entry(outputs[1]),
            }
            attrs = {"size": "160m", "seed": seed, "step": step}
            write_container(folder.shard(ShardKey("160m", seed, step)), "shard", entries, attrs)


def main() -> None:
    with tempfile.TemporaryDirectory() as root:
        for name, copied in (("sound", range(0)), ("half of a seed's steps copied", range(len(STEPS) // 2))):
            run = Path(root, name)
            make(RunFolder(run), copied)
            for time in ("first", "again"):
                done = subprocess.run(
                    [sys.executable, "-c", AUDIT, str(run)], capture_output=True, text=True, check=True
                )
                found, seconds, peak = map(float, done.stdout.split())
                print(f"  {name}, {time}: {found:.0f} findings, {seconds:.1f} s (≤ 10), {peak:.0f} MiB (≤ 500)")


if __name__ == "__main__":
    main()
