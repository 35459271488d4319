"""The main job on an embedded default: train a small suite, probe it, analyse it, write the report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from phasescope.console import stage
from phasescope.run import Run, capture

# Enough to leave word frequencies behind and for layers to settle, and saved often enough to tell phases apart.
CHECKPOINTS = (0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


@dataclass(frozen=True)
class Demo:
    """What the demonstration made, and in a few sentences what it found."""

    run: Run
    suite: Path
    report: Path
    findings: list[str]


def run_demo(out: Path) -> Demo:
    """Train two sizes × three seeds on `docs` beside `out`, capture them into `out`, analyse, report.

    Every part resumes: a demonstration that was stopped goes on where it was. No network is used.
    """
    from phasescope.reports import headline
    from phasescope.suites import train
    from phasescope.texts import read_documents

    folder = out.with_name(f"{out.name}-suite")
    texts = (document.text for document in read_documents("docs"))
    stage(f"1 of 4: training six small models into {folder}")
    suite = train(folder, texts, steps=CHECKPOINTS[-1], checkpoints=CHECKPOINTS)
    stage(f"2 of 4: capturing {len(suite)} checkpoints into {out}, and comparing them")
    run = capture(suite, out=out, behaviour="all", compare="steps,sizes")
    stage("3 of 4: analysing")
    run.analyse()
    stage("4 of 4: writing the report")
    return Demo(run, folder, run.report(), headline(run))
