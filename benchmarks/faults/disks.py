"""Full disks: every command that writes meets ten sizes of disk, then goes on with enough of it."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.faults.commands import Outcome, run
from benchmarks.faults.kills import same
from benchmarks.faults.specimen import Specimen

SIZES = 10
COLUMNS = ("said so", "enough", "DIFFERENT", "traceback", "hang", "signal", "no word")
BAD = COLUMNS[2:]
WORDS = ("no space left", "disk is full", "could not be written", "cannot be written", "Make room")
ON_TMPFS = ("train", "capture", "analyse")


@dataclass(frozen=True)
class Full:
    """One full disk, and what came of it."""

    job: str
    kind: str
    size: int
    end: str
    said: str = ""

    def __str__(self) -> str:
        return f"{self.job}, {self.kind} of {self.size} bytes: {self.said}"


def main(specimen: Specimen, jobs: Sequence[str], sizes: int = SIZES) -> bool:
    """Fill the disk under commands (all that write, if none is named); whether all went well."""
    done: list[Full] = []
    told = 0
    shown = time.monotonic()
    writing = [job for job, about in specimen.jobs.items() if about.writes and job not in ("bare", "other")]
    for job in jobs or writing:
        largest = max(path.stat().st_size for path in specimen.outcome(job).rglob("*") if path.is_file())
        done += [_limited(specimen, job, int(size)) for size in np.geomspace(64, largest, sizes)]
        if job in ON_TMPFS:
            done += _on_small_disks(specimen, job, sizes)
        for one in done[told:]:
            if one.end in BAD:
                print(f"  {one.end}: {one}", flush=True)
        told = len(done)
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(f"  … {len(done)} full disks, now {job}", flush=True)
    return tell(done)


def _limited(specimen: Specimen, job: str, size: int) -> Full:
    """A limit to the size of a file stands in for the full disk: the same is said by other numbers."""
    words = specimen.jobs[job].words
    specimen.begin(job)
    first = run(*words, where=specimen.root, largest_file=size, finalised=True)
    return _judged(specimen, job, "largest file", size, first)


def _on_small_disks(specimen: Specimen, job: str, sizes: int) -> list[Full]:
    """Real ones, where this process may make them: in memory, each with room for a part of what is to be written."""
    first = specimen.jobs[job].before
    before, after = _bytes(specimen.outcome(first)) if first else 0, _bytes(specimen.outcome(job))
    done = []
    for part in np.linspace(0.05, 0.95, sizes):
        size = int(before + part * (after - before)) // 4096 * 4096 + 4096
        specimen.restore(None)
        specimen.run.mkdir()
        if not _mounted("-t", "tmpfs", "-o", f"size={size}", "tmpfs", specimen.run):
            print("  (no disks of a given size: they need the right to mount)")
            return []
        try:
            specimen.fill(job)
            first = run(*specimen.jobs[job].words, where=specimen.root, finalised=True)
            _mounted("-o", "remount,size=1G", specimen.run)
            done.append(_judged(specimen, job, "disk", size, first))
        finally:
            subprocess.run(["umount", "-l", str(specimen.run)], check=True)
    return done


def _mounted(*arguments: object) -> bool:
    try:
        return not subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode
    except OSError:
        return False


def _bytes(folder: Path) -> int:
    """What files take on a disk in pages."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


def _judged(specimen: Specimen, job: str, kind: str, size: int, first: Outcome) -> Full:
    def full(end: str, said: str) -> Full:
        return Full(job, kind, size, end, said)

    if first.fault:
        return full(first.fault, first.said)
    if first.status and not any(word in first.err for word in WORDS):
        return full("no word", first.said)
    again = run(*specimen.jobs[job].words, where=specimen.root) if first.status else first
    if again.fault or again.status:
        return full(again.fault or "DIFFERENT", f"again: {again.said}")
    if not same(specimen, job, again):
        return full("DIFFERENT", "with enough room it does not end with what it ends with undisturbed")
    return full("said so" if first.status else "enough", first.said)


def tell(done: Sequence[Full]) -> bool:
    """Print a line for each command and kind of disk; whether nothing went badly."""
    print(f"  {len(done)} full disks")
    print(f"  {'command':>12}{'by':>14}" + "".join(f"{column:>12}" for column in COLUMNS))
    for job, kind in dict.fromkeys((full.job, full.kind) for full in done):
        ends = Counter(full.end for full in done if (full.job, full.kind) == (job, kind))
        print(f"  {job:>12}{kind:>14}" + "".join(f"{ends[column]:>12}" for column in COLUMNS))
    return not any(full.end in BAD for full in done)
