"""Short lists in the terminal: suites, what verify found, what the demonstration found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.reports.cells import plain, table
from phasescope.reports.methods import numbers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from phasescope.store import Finding
    from phasescope.suites import Suite
    from phasescope.suites.presets import Preset
    from phasescope.texts.ngram_index import Description


def show(view: RenderableType) -> None:
    """Print on stdout what people look at."""
    from rich.console import Console

    Console(highlight=False).print(view)


def presets_view(presets: Iterable[Preset]) -> RenderableType:
    """The suites that are known by name."""
    made = table("Suites", "name", "what", "sizes", "seeds", "steps", caption="More of one: phasescope suites NAME")
    for preset in presets:
        steps = f"{len(preset.steps)}, 0 to {preset.steps[-1]}"
        made.add_row(preset.name, preset.about, " ".join(preset.sizes), numbers(preset.seeds), steps)
    return made


def suite_view(suite: Suite) -> RenderableType:
    """The sizes, seeds and steps of a suite."""
    absent = suite.missing()
    made = table(repr(suite), "size", "seeds", "checkpoints", "steps")
    for size in suite.sizes:
        count = sum(1 for checkpoint in suite if checkpoint.size == size)
        lacking = [f"seed {seed} lacks {numbers(steps)}" for (of, seed), steps in absent.items() if of == size]
        steps = "; ".join([numbers(suite.steps(size)), *lacking])
        made.add_row(plain(size), numbers(suite.seeds(size)), str(count), steps)
    return made


def index_view(about: Description, out: Path) -> RenderableType:
    """What an n-gram index holds, and how to use it."""
    from rich.console import Group

    held = f"{about.total:,} {about.unit}s ({about.vocabulary:,} different) of {about.documents:,} documents"
    return Group(
        plain(f"{out}: {held}, from {about.source}."), plain(f"phasescope analyse RUN heuristics --reference {out}")
    )


def verify_view(findings: Sequence[Finding]) -> RenderableType:
    """What verify found: each problem, or that there is none."""
    from rich.console import Group

    problems = [finding for finding in findings if finding.problem]
    if not problems:
        return plain(f"All {len(findings)} files are whole: every checksum and digest fits.")
    said = [plain(f"✗ {finding.problem}") for finding in problems]
    return Group(*said, plain(f"{len(problems)} of {len(findings)} files are not as they were written."))


def findings_view(sentences: Sequence[str], run: Path, size: str, report: Path) -> RenderableType:
    """What was found, and where to look."""
    from rich.console import Group
    from rich.padding import Padding

    found = [Padding(plain(f"• {sentence}"), (0, 0, 0, 2)) for sentence in sentences]
    commands = [f"phasescope info {run}", f"phasescope layer {run} 1 mlp_out --size {size}"]
    look = [Padding(plain(command), (0, 0, 0, 2)) for command in commands]
    return Group("", *found, "", plain(f"Report: {report}"), "Look on:", *look)
