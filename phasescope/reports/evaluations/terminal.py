"""What was measured elsewhere, in the terminal: its curves, and what became of an import or an evaluation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.analyses.evaluations import NONE
from phasescope.analyses.seed_ends import pooled, pooled_seeds
from phasescope.console import counted
from phasescope.reports.evaluations.section import ALONE, families, labelled, usual_metrics
from phasescope.reports.kit import cells, tidy
from phasescope.reports.listings import spans

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from phasescope.visits.importing.evaluating import Evaluated
    from phasescope.visits.importing.importing import Imported

# More curves than this are a table for a file, not for a screen.
_MOST = 40


def evaluations_table(table: pd.DataFrame) -> RenderableType:
    """Per size and metric: the curve of each task along training in its usual metric; of a family of tasks the mean."""
    from rich.console import Group

    if table.empty:
        return cells.plain(NONE)
    shown = usual_metrics(labelled(table))
    parts: list[RenderableType] = []
    for (size, metric), rows in shown.groupby(["size", "metric"], sort=False):
        parts += [_of_metric(f"{size}: {metric}", rows), ""]
    return Group(*parts[:-1])


def _of_metric(title: str, table: pd.DataFrame) -> RenderableType:
    steps, several = tidy.integers(table["step"]), pooled_seeds(table) > 1
    groups = families(set(table["label"]))
    alone = next((tasks for name, tasks in groups if name == ALONE), [])
    more = f" {len(alone) - _MOST} more tasks are in the table." if len(alone) > _MOST else ""
    over = f"{len(steps)} steps from {counting.bare(steps[0])} to {counting.label(steps[-1])}"
    over = over if len(steps) > 1 else f"Only {counting.at(steps[0])}"
    made = cells.table(
        title,
        "task",
        "along",
        ">first",
        f">last [{tidy.level(table.dropna(subset='level'))}]",
        ">best at",
        caption=f"{over}; {tidy.over_seeds(table)}, {'[range]' if several else '[interval]'}.{more}",
    )
    for task in alone[:_MOST]:
        mine = tidy.of(table, label=task)
        curve = tidy.across_seeds(mine, "value", "low", "high").sort_values("step")
        made.add_row(cells.plain(task), *_numbers(curve, mine["higher_is_better"].iloc[0]))
    for name, tasks in groups:
        if name != ALONE:
            mine = pooled(table[table["label"].isin(tasks)])
            curve = mine.groupby("step")["value"].mean().reset_index().assign(low=None)
            label = cells.plain(f"mean of {len(tasks)} {name}")
            made.add_row(label, *_numbers(curve, mine["higher_is_better"].iloc[0]))
    return made


def _numbers(curve: pd.DataFrame, higher_is_better: Any) -> tuple[RenderableType, ...]:
    last = curve.iloc[-1]
    end = cells.number(last["value"])
    return (
        cells.sparkline(curve["value"], at_most=8),
        cells.number(curve["value"].iloc[0]),
        cells.with_interval(last["value"], last["low"], last["high"], 3) if cells.known(last["low"]) else end,
        _best(curve, higher_is_better),
    )


def _best(curve: pd.DataFrame, higher_is_better: Any) -> str:
    """The step of the best value; empty where nobody says what is better."""
    import pandas as pd

    if pd.isna(higher_is_better):
        return ""
    values = curve["value"].to_numpy()
    return counting.label(curve["step"].iloc[int(values.argmax() if higher_is_better else values.argmin())])


def import_view(done: Imported, run: Path) -> RenderableType:
    """How much was kept, what was skipped and why, and what a user should look at."""
    from rich.console import Group

    before = f", {done.replaced:,} of them in the place of numbers from before" if done.replaced else ""
    lines = [
        f"{counted(done.numbers, 'number')} of {counted(done.checkpoints, 'checkpoint')} from "
        f"{counted(len(done.files), 'file')}{before}."
    ]
    if done.models:
        lines.append(f"Kept apart from the run's own, by the name of their model: {', '.join(done.models)}.")
    lines += [f"✗ {reason}" for _, reason in done.unread]
    lines += [f"Skipped: {line}" for line in _skipped(done)]
    lines += done.notes
    lines.append(f"Look on: phasescope analyse {run} evaluations")
    return Group(*map(cells.plain, lines))


def _skipped(done: Imported) -> Iterable[str]:
    """One line per model and reason, with the steps."""
    from phasescope.visits.importing.checkpoint_names import Told

    groups: dict[tuple[str, str], list[int]] = {}
    for one in done.skipped:
        steps = groups.setdefault((str(Told(one.told.size, one.told.seed, None, one.told.model)), one.reason), [])
        steps += [] if one.told.step is None else [one.told.step]
    for (model, reason), steps in groups.items():
        at = f" at step{'s' if len(set(steps)) > 1 else ''} {spans(set(steps))}" if steps else ""
        yield f"{model}{at}: {reason}."


def evaluate_view(done: Evaluated, run: Path) -> RenderableType:
    """How many checkpoints were evaluated, which could not be, and where to look."""
    from rich.console import Group

    lines = [f"{counted(len(done.evaluated), 'checkpoint')} evaluated, {counted(done.numbers, 'number')} kept."]
    if done.already:
        lines.append(f"{counted(done.already, 'checkpoint')} had them already.")
    lines += [f"✗ {reason}" for _, reason in done.failed]
    lines.append(f"Look on: phasescope analyse {run} evaluations")
    return Group(*map(cells.plain, lines))
