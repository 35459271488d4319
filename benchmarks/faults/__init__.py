"""Damaged files, kills, full disks: nothing may be silently different, nor end in a traceback, a hang or a signal."""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path


def main() -> None:
    """`python -m benchmarks faults [--quick] [--seed N] [--parts damaged,kills,disks] [--jobs capture] [--only N]`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks faults")
    parser.add_argument("--quick", action="store_true", help="a tenth of it")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", default="damaged,kills,disks", help="some of them, joined by commas")
    parser.add_argument("--trials", type=int, help="damaged runs")
    parser.add_argument("--first", type=int, default=0, help="the first of the damaged runs")
    parser.add_argument("--jobs", default="", help="commands to kill or to starve of disk, joined by commas")
    parser.add_argument("--only", type=int, help="one damaged run, as it was reported")
    asked, _ = parser.parse_known_args()
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}

    from benchmarks.faults import damaged, disks, kills
    from benchmarks.faults.commands import preload
    from benchmarks.faults.specimen import Specimen

    preload()
    jobs = [job for job in asked.jobs.split(",") if job]
    number = asked.trials or (200 if asked.quick else 2000)
    trials = [asked.only] if asked.only is not None else range(asked.first, asked.first + number)
    folder = tempfile.mkdtemp()  # not one that removes itself: forked processes that end as such would do so
    try:
        specimen = Specimen(Path(folder).resolve())
        parts = {
            "damaged": lambda: damaged.main(specimen, trials, asked.seed),
            "kills": lambda: kills.main(specimen, jobs, 1 if asked.quick else 2, asked.seed),
            "disks": lambda: disks.main(specimen, jobs, 3 if asked.quick else disks.SIZES),
        }
        chosen = ["damaged"] if asked.only is not None else asked.parts.split(",")
        went_well = [parts[part]() for part in chosen]
    finally:
        shutil.rmtree(folder)
    raise SystemExit(0 if all(went_well) else 1)
