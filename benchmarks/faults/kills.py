"""Kills: every command is ended at random moments, then run again, and compared with an undisturbed one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.faults import sameness
from benchmarks.faults.commands import Outcome, is_ready, run
from benchmarks.faults.specimen import Specimen

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
DELETED = "deleted"
LONG = ("capture", "visit", "evaluate", "analyse", "report", "markdown")
"""What is killed half as often."""
STOPPED = "Stopped"
COLUMNS = ("killed", "too late", "resumed", "DIFFERENT", "traceback", "hang", "signal", "no word")


@dataclass(frozen=True)
class Kill:
    """One kill, when it came, what the command did, and what was wrong ("" if nothing)."""

    job: str
    by: str
    at: float
    ended: str
    wrong: str = ""
    said: str = ""

    def __str__(self) -> str:
        return f"{self.job}, {self.by} after {self.at:.3f} s: {self.wrong}: {self.said}"


def main(specimen: Specimen, jobs: Sequence[str], each: int, seed: int) -> bool:
    """Kill commands (all, if none is named) so many times by every signal; whether all went well."""
    done: list[Kill] = []
    shown = time.monotonic()
    for job in jobs or [job for job in specimen.jobs if job not in ("bare", "other")]:
        length = 0.8 * specimen.seconds(job)  # of which beginning was some
        for by in (*(signal.Signals(number).name for number in SIGNALS), DELETED):
            if by == DELETED and not specimen.jobs[job].writes:
                continue
            dice = Random(f"{seed}/{job}/{by}")
            times = max(each // 2, 1) if job in LONG else each
            for _ in range(3 * times):  # Some come too late.
                done.append(kill(specimen, job, by, dice, length))
                if done[-1].ended == "too late":  # so it takes less, as it begins with what others have warmed
                    length = min(length, done[-1].at)
                if done[-1].wrong:
                    print(f"  {done[-1].wrong}: {done[-1]}", flush=True)
                if sum(one.ended == "killed" for one in done if (one.job, one.by) == (job, by)) == times:
                    break
            if time.monotonic() - shown > 60:
                shown = time.monotonic()
                print(f"  … {len(done)} kills, now {job}", flush=True)
    return tell(done)


def kill(specimen: Specimen, job: str, by: str, dice: Random, length: float) -> Kill:
    """End a command that way at a random moment of its length, and see that all is whole and that it can go on."""
    words = specimen.jobs[job].words
    specimen.begin(job)
    at = dice.random() * length

    def disturb(child: int) -> None:
        is_ready(child)
        time.sleep(at)
        if by == DELETED:
            _delete(specimen.run, child)
        else:
            os.kill(child, signal.Signals[by])

    first = run(*words, where=specimen.root, disturbed=disturb)
    ended, wrong = _how_it_ended(first, by)
    if not wrong and by != DELETED:
        wrong = _left_well(specimen, job, first, by)
    if wrong:
        return Kill(job, by, at, ended, wrong, first.said)
    if by == DELETED:
        if specimen.run.exists() and (ghost := _unlike(specimen, job)):
            return Kill(job, by, at, ended, "DIFFERENT", f"a folder was made anew, that lacks or has {ghost}")
        specimen.begin(job)
    # What was done already need not be possible again: an index is never replaced.
    again = run(*words, where=specimen.root) if ended == "killed" or by == DELETED else first
    if again.fault or again.status:
        return Kill(job, by, at, ended, again.fault or "DIFFERENT", f"again: {again.said}")
    return Kill(
        job, by, at, ended, wrong or ("" if same(specimen, job, again) else "DIFFERENT"), _unlike(specimen, job)
    )


def same(specimen: Specimen, job: str, done: Outcome) -> bool:
    """Whether a command left, or printed, what the undisturbed one did."""
    if not specimen.jobs[job].writes:
        return (done.out == specimen.printed(job) or specimen.jobs[job].timed) and not _unlike(specimen, job)
    return not _unlike(specimen, job)


def _unlike(specimen: Specimen, job: str) -> str:
    return ", ".join(sameness.differences(specimen.run, specimen.contents(job))[:5])


def _delete(folder: Path, child: int) -> None:
    """Delete the folder under the command, as `rm -r` again and again until it is gone."""
    until = time.monotonic() + 10
    while folder.exists() and time.monotonic() < until:
        shutil.rmtree(folder, ignore_errors=True)


def _how_it_ended(done: Outcome, by: str) -> tuple[str, str]:
    if by == "SIGKILL" and done.status == -signal.SIGKILL:
        return "killed", ""
    if done.fault:
        return "killed", done.fault
    if done.status == 0:
        return "too late", ""
    if by == DELETED:
        return "killed", "" if done.err.strip() else "no word"
    return "killed", "" if STOPPED in done.err else "no word"


def _left_well(specimen: Specimen, job: str, done: Outcome, by: str) -> str:
    """What a command that was ended may leave: whole files, and of a capture that could tidy up its index and time."""
    run_folder = specimen.run
    manifest = run_folder / "run.json"
    if not manifest.exists():
        return ""
    verified = run("verify", run_folder, "--json", where=specimen.root)
    if verified.fault:
        return verified.fault
    problems = json.loads(verified.out)["problems"] if verified.out else [{"problem": verified.err}]
    # What was not reached is no fault; and what was never told of may be missing in an index.
    states = ["asked for and is not there", *(["run.h5"] if by == "SIGKILL" else [])]
    problems = [found for found in problems if not any(state in found["problem"] for state in states)]
    if problems:
        return "DIFFERENT"
    if by != "SIGKILL" and job == "capture" and done.status:
        begun = any(run_folder.glob("checkpoints/*/*/step*.h5"))
        if begun and not (run_folder / "run.h5").exists():
            return "DIFFERENT"
    return ""


def tell(done: Sequence[Kill]) -> bool:
    """Print a line for each command; whether nothing was wrong."""
    print(f"  {len(done)} kills ({', '.join(signal.Signals(n).name for n in SIGNALS)}, the folder deleted)")
    print(f"  {'command':>12}" + "".join(f"{column:>12}" for column in COLUMNS))
    counts: Callable[[Sequence[Kill]], Counter[str]] = lambda kills: Counter(  # noqa: E731
        [kill.ended for kill in kills] + [kill.wrong or "resumed" for kill in kills]
    )
    for job in [*dict.fromkeys(kill.job for kill in done), "all"]:
        ends = counts([kill for kill in done if job in (kill.job, "all")])
        print(f"  {job:>12}" + "".join(f"{ends[column]:>12}" for column in COLUMNS))
    return not any(kill.wrong for kill in done)
