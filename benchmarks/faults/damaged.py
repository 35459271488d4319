"""Damaged runs: each of some thousand has one file that came to harm, and is verified and used by the command line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from benchmarks.faults import damage, sameness
from benchmarks.faults.commands import Outcome, checked, run, run_each
from benchmarks.faults.damage import Way
from benchmarks.faults.specimen import Specimen

FEW = ("--resamples", 9, "--json")
ENDS = ("harmless", "noticed", "SILENT", "traceback", "hang", "signal")
"""From the best to the worst: the same result, a sentence, another result without a word, …"""


VERIFIED_AT_ONCE = 20
"""Runs in one process."""


@dataclass(frozen=True)
class Target:
    """A kind of file.

    files: which of the run's.
    share: of all trials.
    uses: commands that read it, beside `verify`; of each trial one.
    more: ways to harm it beside those for all files.
    may_be_gone: whether a run without it is whole, and just holds less.
    """

    files: str
    share: int
    uses: tuple[tuple[object, ...], ...]
    more: dict[str, Way] = field(default_factory=dict)
    may_be_gone: bool = False


def _analyse(*names: str) -> tuple[object, ...]:
    return ("analyse", "RUN", *names, *FEW)


TARGETS = {
    "shard": Target(
        "checkpoints/*/*/*.h5", 34,
        (_analyse("surprisal"), _analyse("convergence"), _analyse("rank"), ("compare", "RUN", "--json")), damage.HDF5,
    ),
    "cohort": Target("cohorts/*/*.h5", 10, (_analyse("seeds"),), damage.HDF5, may_be_gone=True),
    "inputs": Target("inputs.h5", 11, (_analyse("surprisal"), _analyse("in_context_learning")), damage.HDF5),
    "index": Target("run.h5", 6, (("info", "RUN"),), may_be_gone=True),
    "manifest": Target(
        "run.json", 14, (_analyse("surprisal"), ("info", "RUN"), ("CAPTURE",)), damage.JSON
    ),
    "table": Target(
        "results/*.parquet", 10, (("TABLE", "RUN", "NAME"), ("report", "RUN", "--format", "md")),
        damage.TABLE, may_be_gone=True,
    ),
    "items": Target("behaviour/*/*/items.h5", 3, (_analyse("minimal_pairs"),), damage.HDF5),
    "scores": Target("behaviour/*/*/*/*/*.h5", 4, (_analyse("minimal_pairs"),), damage.HDF5, may_be_gone=True),
    "comparison": Target("comparisons/**/*.h5", 4, (_analyse("seeds"),), damage.HDF5, may_be_gone=True),
    "evaluations": Target("evaluations.parquet", 3, (_analyse("evaluations"),), damage.TABLE, may_be_gone=True),
    "cache": Target("results/digests.json", 1, (("TABLE", "RUN", "settling"),), may_be_gone=True),
}  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A trial as its number and the seed decide it."""

    number: int
    seed: int
    target: str
    file: str
    group: str
    way: str
    use: tuple[object, ...]

    @property
    def dice(self) -> Random:
        return Random(f"{self.seed}/{self.number}/harm")

    @property
    def alone(self) -> bool:
        """Whether `verify` has to look at this damage alone: other files are held against it."""
        return self.group == "place" or self.target in ("inputs", "manifest", "items")


@dataclass(frozen=True)
class End:
    """How one command ended."""

    end: str
    command: str
    said: str


@dataclass(frozen=True)
class Trial:
    """One damaged run and what came of it: `end` is the worst that `verify` and the use of it came to."""

    planned: Planned
    told: str
    end: str
    command: str
    said: str

    def __str__(self) -> str:
        planned = self.planned
        return f"--only {planned.number}: {planned.file}: {planned.way} ({self.told}): {self.command}: {self.said}"


class Damaged:
    """Runs the trials, in one place."""

    def __init__(self, specimen: Specimen, seed: int) -> None:
        self.at, self.seed = specimen, seed
        self.whole, self.other = specimen.root / "whole", specimen.root / "outcomes" / "other"
        specimen.outcome("other")
        self._make()
        self._undisturbed: dict[tuple[object, ...], Outcome] = {}

    def _make(self) -> None:
        """A run with every kind of file and few of each: all of it is read again and again."""
        at = self.at
        asked = at.jobs["capture"].words
        at.restore(None)
        for chosen in (("--sizes", "tiny", "--steps", "0,16"), ("--sizes", "small", "--seeds", "1", "--steps", "16")):
            checked(*asked, *chosen, where=at.root)
        checked(*at.jobs["import"].words, where=at.root)
        checked("analyse", at.run, "convergence", "surprisal", "rank", "phases", *FEW, where=at.root)
        checked("layer", at.run, 1, "mlp_out", "--size", "tiny", where=at.root)
        shutil.copytree(at.run, self.whole)

    def plan(self, number: int) -> Planned:
        dice = Random(f"{self.seed}/{number}")
        name = dice.choices(list(TARGETS), [target.share for target in TARGETS.values()])[0]
        target = TARGETS[name]
        file = dice.choice(self._files(name))
        groups = {group: ways for group, ways in self._ways(name, file, self.whole).items() if ways}
        group = dice.choices(list(groups), [{"bytes": 6}.get(group, 2) for group in groups])[0]
        uses = dice.choices(target.uses, [1 / (1 + 9 * (use[0] in ("CAPTURE", "report"))) for use in target.uses])
        use = tuple(Path(file).stem if word == "NAME" else word for word in uses[0])
        return Planned(number, self.seed, name, file, group, dice.choice(list(groups[group])), use)

    def _files(self, target: str) -> list[str]:
        return sorted(path.relative_to(self.whole).as_posix() for path in self.whole.glob(TARGETS[target].files))

    def _ways(self, name: str, file: str, run_folder: Path) -> dict[str, dict[str, Way]]:
        siblings = [run_folder / other for other in self._files(name) if other != file]
        place = damage.misplaced(siblings, self.other / file) | (damage.GONE if not TARGETS[name].may_be_gone else {})
        return {"bytes": damage.BYTES, "structure": TARGETS[name].more, "place": place}

    def _harm(self, planned: Planned, run_folder: Path) -> str:
        """Do it to a copy of the run; what was done."""
        way = self._ways(planned.target, planned.file, run_folder)[planned.group][planned.way]
        return way(run_folder / planned.file, planned.dice).replace(f"{run_folder}/", "")

    def trials(self, batches: Sequence[Sequence[Planned]]) -> Iterator[Trial]:
        """Trials; those of one batch are verified in one run."""
        verified = self._verified(batches)
        for one in (one for batch in batches for one in batch):
            self.at.restore(self.whole)
            told = self._harm(one, self.at.run)
            ends = [*verified[one], self._used(one)]
            worst = max(ends, key=lambda end: ENDS.index(end.end))
            yield Trial(one, told, worst.end, worst.command, worst.said)

    def _verified(self, batches: Sequence[Sequence[Planned]]) -> dict[Planned, list[End]]:
        """What `verify` says of each file, those of a batch harmed together."""
        runs = [self.at.root / f"harmed{number}" for number in range(len(batches))]
        for run_folder, batch in zip(runs, batches, strict=True):
            shutil.copytree(self.whole, run_folder)
            for one in batch:
                self._harm(one, run_folder)
        ends: dict[Planned, list[End]] = {}
        outcomes = run_each([("verify", run_folder, "--json") for run_folder in runs], self.at.root)
        for run_folder, batch, done in zip(runs, batches, outcomes, strict=True):
            if len(batch) > 1 and (done.fault or not done.out):
                for one in batch:
                    ends |= self._verified([[one]])
            else:
                ends |= {one: self._end_of_verify(one, batch, run_folder, done) for one in batch}
            shutil.rmtree(run_folder)
        return ends

    def _end_of_verify(self, one: Planned, batch: Sequence[Planned], run_folder: Path, done: Outcome) -> list[End]:
        if one.target == "cache":  # which is no part of a run, and nobody's loss
            return []
        if done.fault or not done.out:
            return [End(done.fault or ("noticed" if done.status == 1 else "SILENT"), "verify", done.said)]
        problems = {found["path"]: found["problem"] for found in json.loads(done.out)["problems"]}
        problem = problems.get(str(run_folder / one.file), "")
        if len(batch) == 1:
            problem = problem or "; ".join(problems.values())
        if problem:
            return [End("noticed", "verify", problem)]
        same = _same(run_folder / one.file, self.whole / one.file)
        return [End("harmless" if same else "SILENT", "verify", "nothing was noticed")]

    def _used(self, planned: Planned) -> End:
        use, command = planned.use, " ".join(map(str, planned.use))
        if use not in self._undisturbed:
            harmed = self.at.run.rename(self.at.root / "harmed")
            self.at.restore(self.whole)
            self._undisturbed[use] = self._run(use)
            shutil.rmtree(self.at.run)
            harmed.rename(self.at.run)
        done, expected = self._run(use), self._undisturbed[use]
        if done.fault:
            return End(done.fault, command, done.said)
        # A report says in the place of a figure why there is none.
        told = any(done.out.count(word) > expected.out.count(word) for word in ("is damaged", "holds another table"))
        if done.status or done.err != expected.err or told:
            return End("noticed", command, done.said)
        if done.out == expected.out:
            return End("harmless", command, done.said)
        # Only `verify` can tell what was changed with all checksums made to fit.
        return End("noticed" if planned.group == "structure" else "SILENT", command, "other results, and no word")

    def _run(self, use: Sequence[object]) -> Outcome:
        at = self.at
        words = [*at.jobs["capture"].words, "--sizes", "tiny", "--steps", 0] if use[0] == "CAPTURE" else use
        done = run(*(at.run if word == "RUN" else word for word in words), where=at.root)
        if use[0] == "report" and not done.status:
            return replace(done, out=(at.run / "report" / "report.md").read_text())
        return done


def _same(damaged: Path, whole: Path) -> bool:
    """Whether a file that counts as whole holds what it held. In a process of its own: reading it may never end."""
    child = os.fork()
    if not child:
        signal.alarm(20)
        try:
            os._exit(0 if sameness.contents(damaged) == sameness.contents(whole) else 1)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def main(specimen: Specimen, numbers: Iterable[int], seed: int) -> bool:
    """Run the trials, print what went badly at once, and what came of all; whether all went well."""
    damaged = Damaged(specimen, seed)
    planned = [damaged.plan(number) for number in numbers]
    done: list[Trial] = []
    shown = time.monotonic()
    together = list(batches(planned))
    for first in range(0, len(together), VERIFIED_AT_ONCE):
        for trial in damaged.trials(together[first : first + VERIFIED_AT_ONCE]):
            done.append(trial)
            if _is_bad(trial):
                print(f"  {trial.end}: {trial}", flush=True)
        if time.monotonic() - shown > 60:
            shown = time.monotonic()
            print(f"  … {len(done)} of {len(planned)} damaged runs", flush=True)
    return tell(done)


def batches(planned: Sequence[Planned]) -> Iterator[list[Planned]]:
    """Trials that `verify` can judge in one go: of one target, each with a file of its own."""
    waiting: dict[str, list[Planned]] = {}
    for one in planned:
        batch = waiting.setdefault(one.target, [])
        if one.alone:
            yield [one]
        elif any(one.file == other.file for other in batch):
            yield batch
            waiting[one.target] = [one]
        else:
            batch.append(one)
    yield from filter(None, waiting.values())


def tell(done: Sequence[Trial]) -> bool:
    """Print a line for each target and kind of damage; whether no trial went badly."""
    print(f"  {len(done)} damaged runs")
    print("  " + "".join(f"{head:>12}" for head in ("target", "damage", *ENDS)))
    rows = sorted({(list(TARGETS).index(t.planned.target), t.planned.target, t.planned.group) for t in done})
    for _, target, kind in rows:
        ends = Counter(t.end for t in done if (t.planned.target, t.planned.group) == (target, kind))
        print("  " + "".join(f"{cell:>12}" for cell in (target, kind, *(ends[end] for end in ENDS))))
    ends = Counter(trial.end for trial in done)
    print("  " + "".join(f"{cell:>12}" for cell in ("all", "", *(ends[end] for end in ENDS))))
    return not any(map(_is_bad, done))


def _is_bad(trial: Trial) -> bool:
    return ENDS.index(trial.end) > ENDS.index("noticed")
