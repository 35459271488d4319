"""What is damaged, killed and starved of disk: a small suite, runs of it, and the commands that make them."""

from __future__ import annotations

import functools
import json
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.faults import sameness
from benchmarks.faults.commands import checked
from tests.conftest import PROSE, make_suite

STEPS = (0, 16)
TASK = """
task: settles
dataset_path: json
dataset_kwargs:
  data_files:
    test: {questions}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
doc_to_target: answer
doc_to_choice: ["a", "e"]
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""


@dataclass(frozen=True)
class Job:
    """A command that makes something of what lies in the run's folder.

    words: of the command.
    before: the job whose outcome it begins with; "" for none.
    writes: whether its outcome lies on the disk; else it is what is printed.
    timed: whether times are printed, so that no two are alike.
    """

    words: tuple[object, ...]
    before: str = ""
    writes: bool = True
    timed: bool = False


class Specimen:
    """A folder with everything. The run is always at the same place, so that nothing can differ by where it lies."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run = root / "run"
        self.suite, self.texts = root / "suite", root / "prose.txt"
        make_suite(self.suite, steps=STEPS)
        self.texts.write_text("\n\n".join([PROSE] * 40), encoding="utf-8")
        (root / "other.txt").write_text("\n\n".join([PROSE[::-1]] * 60), encoding="utf-8")
        self._write_pairs()
        self._write_results()
        self._write_task()
        self.jobs = self._jobs()

    def _jobs(self) -> dict[str, Job]:
        run, pairs = self.run, f"minimal_pairs={self.root / 'pairs.jsonl'}"
        asked = ("--sequences", 12, "--context", 32, "--output-sequences", 6)
        capture = ("capture", self.suite, "--out", run, *asked)
        few = ("--resamples", 19)
        return {
            "train": Job(
                ("train", run, "--texts", self.texts, "--sizes", "150k", "--seeds", "1,2", "--steps", 4,
                 "--checkpoints", "0,3,4", "--batch", 2, "--context", 16, "--vocabulary", 290)
            ),
            "index": Job(("index", self.texts, "--out", run)),
            "capture": Job((*capture, "--texts", self.texts, "--behaviour", pairs, "--compare", "steps,sizes")),
            "bare": Job((*capture, "--texts", self.texts)),
            "other": Job(
                (*capture, "--texts", self.root / "other.txt", "--behaviour", pairs, "--compare", "steps,sizes")
            ),
            "visit": Job(("visit", run, "--behaviour", pairs, "--behaviour", "noise"), "bare"),
            "compare": Job(("compare", run), "bare"),
            "import": Job(("import", run, self.root / "results.csv"), "capture"),
            "evaluate": Job(("evaluate", run, "--tasks", "settles", "--include-path", self.root / "tasks"), "bare"),
            "analyse": Job(("analyse", run, *few), "import"),
            "report": Job(("report", run), "analyse"),
            "markdown": Job(("report", run, "--format", "md"), "analyse"),
            "verify": Job(("verify", run), "report", writes=False),
            "info": Job(("info", run), "report", writes=False),
            "layer": Job(("layer", run, 1, "mlp_out", "--size", "tiny"), "report", writes=False),
            "live": Job(
                ("layer", run, 1, "mlp_out", "--size", "tiny", "--live", "--text", PROSE[:80], "--json"),
                "report", writes=False, timed=True,
            ),
            "phases": Job(("phases", run), "report", writes=False),
            "suites": Job(("suites", self.suite), writes=False),
        }  # fmt: skip

    def outcome(self, name: str) -> Path:
        """The folder that the undisturbed job leaves; made when first asked for."""
        kept = self.root / "outcomes" / name
        if not kept.exists():
            self.begin(name)
            done = checked(*self.jobs[name].words, where=self.root)
            self.run.mkdir(exist_ok=True)
            shutil.move(self.run, kept)
            kept.with_suffix(".out").write_text(done.out)
            kept.with_suffix(".seconds").write_text(str(done.seconds))
        return kept

    def printed(self, name: str) -> str:
        """What the undisturbed job prints."""
        return self.outcome(name).with_suffix(".out").read_text()

    def seconds(self, name: str) -> float:
        """How long the undisturbed job takes."""
        return float(self.outcome(name).with_suffix(".seconds").read_text())

    @functools.cache  # noqa: B019  (there is one specimen, as long as the process)
    def contents(self, name: str) -> dict[str, Any]:
        """What the undisturbed job leaves, file by file."""
        return sameness.of_folder(self.outcome(name))

    def begin(self, name: str) -> None:
        """Make the run's folder what the job begins with."""
        before = self.jobs[name].before
        self.restore(self.outcome(before) if before else None)

    def fill(self, name: str) -> None:
        """Put what the job begins with into the run's folder, which is there."""
        if before := self.jobs[name].before:
            shutil.copytree(self.outcome(before), self.run, dirs_exist_ok=True)

    def restore(self, kept: Path | None) -> None:
        """Make the run's folder a copy of what was kept, or nothing."""
        shutil.rmtree(self.run, ignore_errors=True)
        if kept is not None:
            shutil.copytree(kept, self.run)

    def _write_pairs(self) -> None:
        words = PROSE.split()
        dice = random.Random(0)
        rows = [
            {"sentence_good": " ".join(words[n : n + 6]), "sentence_bad": " ".join(dice.sample(words, 6)), "UID": uid}
            for uid in ("order", "sense")
            for n in range(0, 24, 3)
        ]
        (self.root / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def _write_results(self) -> None:
        lines = [
            f"{size},{seed},{step},{0.5 + seed / 100 + step / 64}"
            for size in ("tiny", "small")
            for seed in (1, 2)
            for step in STEPS
        ]
        (self.root / "results.csv").write_text("size,seed,step,accuracy\n" + "\n".join(lines) + "\n")

    def _write_task(self) -> None:
        folder = self.root / "tasks"
        folder.mkdir()
        rows = [{"question": f"Layer {row} says", "answer": row * row % 2} for row in range(6)]
        (folder / "settles.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (folder / "settles.yaml").write_text(TASK.format(questions=folder / "settles.jsonl"))
