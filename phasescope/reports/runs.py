"""Runs: what a capture made, and what a run holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phasescope.console import counted, duration
from phasescope.reports.kit import cells
from phasescope.reports.kit.tables import RunLike
from phasescope.reports.page import methods
from phasescope.store import RunFolder

if TYPE_CHECKING:
    from rich.console import RenderableType

# More failures than this are a list for a file, not for a screen.
_MOST_FAILURES = 20


def capture_summary(run: RunLike) -> RenderableType:
    """How many checkpoints of each size were asked for, captured and could not be read; then each failure."""
    from rich.console import Group

    manifest = run.manifest
    failed, planned = manifest.get("failed", []), manifest.get("checkpoints", [])
    spent = f"{duration(float(manifest.get('seconds') or 0.0))} spent capturing into {run.path}."
    if begin := manifest.get("inputs", {}).get("begins_with"):
        spent += f" Every window begins with {cells.plain(begin)}."
    table = cells.table("Captured", "size", "seeds", "steps", ">asked for", ">captured", ">failed", caption=spent)
    there = RunFolder(run.path).shards()
    for size in dict.fromkeys([*run.sizes, *(entry["size"] for entry in planned)]):
        present = size in run.sizes
        seeds, steps = (run.seeds(size), run.steps(size)) if present else ([], [])
        asked = sum(entry["size"] == size for entry in planned)
        captured = sum(key.size == size for key in there)
        bad = sum(entry["size"] == size for entry in failed)
        span = f"{len(steps)}: {steps[0]} … {steps[-1]}" if steps else "none"
        shown = f"[red]{bad}[/]" if bad else "0"
        table.add_row(cells.plain(size), methods.numbers(seeds), span, str(asked), str(captured), shown)
    parts: list[RenderableType] = [table]
    if failed:
        parts += ["", _failures(failed)]
    suspect, sound = methods.audit_sentences(run)
    if suspect:
        parts += ["", "[bold yellow]Not all checkpoints are what their names say:[/]", *map(cells.plain, suspect)]
    if sound:
        parts += ["", *map(cells.plain, sound)]
    return Group(*parts)


def visit_summary(run: RunLike, done: dict[str, Any]) -> RenderableType:
    """How many checkpoints were asked for behaviour now and had been before; then each that could not be asked."""
    from rich.console import Group

    failed = done["failed"]
    parts: list[RenderableType] = [
        cells.plain(
            f"Asked {counted(done['visited'], 'checkpoint')} of {run.path} in {duration(done['seconds'])}; "
            f"{done['already']} had been asked before."
        )
    ]
    if failed:
        table = cells.table("Could not be asked", "checkpoint", "reason")
        for entry in failed[:_MOST_FAILURES]:
            table.add_row(cells.plain(entry["checkpoint"]), cells.plain(entry["reason"]))
        if len(failed) > _MOST_FAILURES:
            table.add_row("…", f"and {len(failed) - _MOST_FAILURES} more, all in run.json")
        parts += ["", table]
    return Group(*parts)


def run_info(run: RunLike) -> RenderableType:
    """What a run holds: the suite, the inputs, the checkpoints, what is missing and why."""
    from rich.console import Group

    parts: list[RenderableType] = []
    for facts in methods.method_tables(run):
        table = cells.table(facts.title, *(facts.header or ("", "")), header=bool(facts.header))
        for row in facts.rows:
            table.add_row(*map(cells.plain, row))
        parts += [table, ""]
    return Group(*parts[:-1])


def _failures(failed: Sequence[dict[str, Any]]) -> RenderableType:
    table = cells.table("Could not be read", "checkpoint", "reason")
    for entry in failed[:_MOST_FAILURES]:
        label = f"{entry['size']}/seed{entry['seed']}/step{entry['step']}"
        table.add_row(cells.plain(label), cells.plain(entry["reason"]))
    if len(failed) > _MOST_FAILURES:
        table.add_row("…", f"and {len(failed) - _MOST_FAILURES} more, all in run.json")
    return table
