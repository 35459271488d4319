"""A run of as many shards as all of PolyPythias: opened, told of, one layer looked at, quickly verified.

Five sizes, nine seeds, 154 steps (`--part 5`: every fifth), in shards of a few small arrays: what is asked for is the
time that their number costs. Each is a process of its own, with what the end of a capture keeps of the run, whose time
is told, and that of one that adds a checkpoint; beside it a process that only imports the libraries.
"""

from __future__ import annotations

import hashlib
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.long_runs import PYTHIA
from phasescope.store import Entry, RunFolder, ShardKey, write_container, write_index

SIZES = ("14m", "31m", "70m", "160m", "410m")
SEEDS = tuple(range(1, 10))
KEEP = """from phasescope.audit import audit_run
from phasescope.store import RunFolder
audit_run(RunFolder(Path(path)), keep=True)"""
LOOKS = {
    "import": "import numpy, torch, pandas, h5py",
    "open": "run = ps.open_run(path); run.reader.keys",
    "info": "from phasescope.reports import listings, runs; listings.show(runs.run_info(ps.open_run(path)))",
    "layer": "ps.open_run(path).layer(1, 'mlp_out', size='70m').activations(seed=3, step=512)",
    "verify": "from phasescope.store import RunFolder, verify\nlist(verify(RunFolder(Path(path)), quick=True))",
}


def make(folder: Path, sizes: tuple[str, ...], seeds: tuple[int, ...], steps: tuple[int, ...]) -> RunFolder:
    """A run whose shards are as small as they can be."""
    import phasescope as ps
    from benchmarks.suites import make as make_suite

    suite = make_suite(folder / "suite", {sizes[0]: (16, 2, 2)}, seeds[:1], steps[-1:], 512, 512)
    run = ps.capture(
        suite, "docs", folder / "run", sequences=8, context=16, output_sequences=2, sites=["mlp_out"]
    ).folder
    first = ShardKey(sizes[0], seeds[0], steps[-1])
    with run.open_shard(first) as shard:
        attrs = {name: value for name, value in shard.attrs.items() if not name.startswith("encoding")}
        del attrs["digest"]
        kept = ("activations/", "fingerprints/", "outputs/surprisal", "outputs/entropy")
        entries = {name: Entry(shard.read(name), _own(shard, name)) for name in shard.names() if name.startswith(kept)}
    matrices = len(entries["fingerprints/digests"].data)
    manifest = run.read_manifest()
    manifest["sizes"], manifest["checkpoints"] = list(sizes), []
    for size in sizes:
        for seed in seeds:
            for step in steps:
                key = ShardKey(size, seed, step)
                manifest["checkpoints"].append({"size": size, "seed": seed, "step": step})
                digests = [hashlib.md5(f"{key.label}/{number}".encode()).hexdigest() for number in range(matrices)]
                own = {**entries, "fingerprints/digests": Entry(np.array(digests))}
                write_container(run.shard(key), "shard", own, {**attrs, "size": size, "seed": seed, "step": step})
    run.write_manifest(manifest)
    write_index(run)
    return run


def _own(shard: object, name: str) -> dict[str, object]:
    return {key: value for key, value in shard.attrs_of(name).items() if not key.startswith("encoding")}  # type: ignore[attr-defined]


def look(run: RunFolder, name: str) -> tuple[float, float]:
    """Seconds of processor time of a process that does this, and its largest memory in MB."""
    code = "import sys\nfrom pathlib import Path\npath = sys.argv[1]\n"
    code += "" if name == "import" else "import phasescope as ps\n"
    # Not `ru_maxrss`, which a process takes over from the one that began it.
    code += f"{LOOKS.get(name, KEEP)}\nstatus = Path('/proc/self/status').read_text()\n"
    code += "print(int(status.split('VmHWM:')[1].split()[0]) / 1e3, file=sys.stderr)"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", code, str(run.path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, float(done.stderr.splitlines()[-1])


def main() -> None:
    part = int(sys.argv[sys.argv.index("--part") + 1]) if "--part" in sys.argv else 1
    with tempfile.TemporaryDirectory() as folder:
        run = make(Path(folder), SIZES, SEEDS, PYTHIA[::part])
        keys = run.shards()
        last, aside = run.shard(keys[-1]), Path(folder) / "aside.h5"
        last.rename(aside)
        seconds, memory = look(run, "keep")
        print(f"  {len(keys)} shards, the audit at the end of the first capture: {seconds:.2f} s, {memory:.0f} MB")
        aside.rename(last)
        seconds, memory = look(run, "keep")
        print(f"  of one that adds a checkpoint: {seconds:.2f} s, {memory:.0f} MB")
        base = 0.0
        for name in LOOKS:
            seconds, memory = look(run, name)
            base = seconds if name == "import" else base
            beside = "" if name == "import" else f", {seconds - base:.2f} s beyond imports (≤ 2 s)"
            print(f"  {name}: {seconds:.2f} s{beside}, {memory:.0f} MB (≤ 500)")


if __name__ == "__main__":
    main()
