"""The part of a report about behaviour that was measured elsewhere: benchmarks along training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.analyses.evaluations import NONE
from phasescope.analyses.seed_ends import pooled_seeds
from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.reports.evaluations.figures import evaluations_figure
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.kit.tables import RunLike, Tables

if TYPE_CHECKING:
    import pandas as pd

# What is shown of a task that has several metrics: the plainest first.
_USUAL = ("acc", "exact_match", "f1", "pct_stereotype", "acc_norm", "ppl", "word_perplexity")
# So many tasks whose names begin alike are a family, with figures of their own.
_FAMILY = 4
ALONE = "Tasks"
"""The title of those that are of no family."""


def evaluation_parts(run: RunLike) -> list[Part]:
    """Curves of tasks along training, by family; where there are none, a sentence that says how to get them."""
    title, key = "Benchmarks", "benchmarks"
    intro = "Tasks that were run outside phasescope, or by lm-evaluation-harness from within, at the steps of this run."
    try:
        table = run.table("evaluations")
    except PhasescopeError as error:
        return [Part(key, title, "", notes=[str(error)])]
    if table.empty:
        return [Part(key, title, "", notes=[NONE])]
    if table["step"].nunique() < 2:
        return [
            Part(
                key, title, intro, notes=[f"Only {counting.at(table['step'].iloc[0])} was measured: there is no curve."]
            )
        ]
    table = labelled(table)
    names = _ordered(table["metric"])
    options = [("", "each task's usual"), *((name, name) for name in names)] if len(names) > 1 else [("", names[0])]
    control = Control("metric", "Metric", options)
    groups = families(set(table["label"]))
    # The first has the width of the page; others share it, where they are more than one.
    across = [3, *([2] * (len(groups) - 1) if len(groups) > 2 else [3])]
    panels = [_panel(*group, table, run.sizes, control, n) for group, n in zip(groups, across, strict=False)]
    return [
        Part(
            key,
            title,
            intro,
            panels[:1],
            folded=panels[1:],
            folded_title="Families of tasks",
            controls=[control] if len(names) > 1 else [],
        )
    ]


def evaluations_finding(size: str, tables: Tables, seeds: int) -> str:
    """Which task rises most from its first to its last step, of those with the metric that most tasks have."""
    table = tables["evaluations"]
    if "model" in table:  # the finding is about the run's own
        table = table[table["model"] == ""]
    table = table[table["higher_is_better"].fillna(False).astype(bool) & table["value"].notna()]
    if table["step"].nunique() < 2:
        return ""
    table = labelled(usual_metrics(table))
    metric = table.groupby("metric", sort=False)["label"].nunique().idxmax()
    mine = tidy.of(table, metric=metric)
    rows_of = {str(name): rows for name, rows in mine.groupby("label") if rows["step"].nunique() > 1}
    known = {name: tidy.across_seeds(rows, "value", "low", "high") for name, rows in rows_of.items()}
    sure = [name for name, rows in rows_of.items() if _risen(rows)]
    if not sure:
        return ""
    most = max(sure, key=lambda name: known[name]["value"].iloc[-1] - known[name]["value"].iloc[0])
    begin, end = (
        f"{tidy.interval(row['value'], row['low'], row['high'])} at {counting.at(row['step'])}"
        for row in (known[most].iloc[0], known[most].iloc[-1])
    )
    over = tidy.seeds_and_range(mine, tidy.level(mine.dropna(subset="level")))
    return (
        f"Of {len(known)} tasks that {size} was measured on by {metric}, {len(sure)} surely end{_s(len(sure))} higher "
        f"than at the beginning; {most} rises most, from {begin} to {end} ({over})."
    )


def _risen(table: pd.DataFrame) -> bool:
    """Whether the lowest end of the seeds' own intervals at the last step is above the highest at the first."""
    first = table[table["step"] == table["step"].min()]
    return tidy.outermost(table)[0] > tidy.outermost(first)[1]


def _s(number: int) -> str:
    return "s" if number == 1 else ""


def usual_metrics(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of each task's usual metric: the first that it has of accuracy, exact match, F1, …."""
    order = {name: place for place, name in enumerate(_ordered(table["metric"]))}
    place = table["metric"].map(order).astype("float64")
    return table[place == place.groupby(table["task"]).transform("min")]


def labelled(table: pd.DataFrame) -> pd.DataFrame:
    """With a column `label`: the task, the number of examples in the prompt where a task has several, and the model.

    The model only where it is another than the run's.
    """
    import pandas as pd

    several = table.groupby("task")["shots"].transform("nunique") > 1
    task = table["task"].astype("str")
    with_shots = task + ", " + table["shots"].map(lambda n: "? shots" if pd.isna(n) else f"{n}-shot")
    label = task.where(~several, with_shots)
    if "model" in table:
        model = table["model"].astype("str")
        label = label.where(model == "", label + " (" + model + ")")
    return table.assign(label=label)


def families(tasks: Iterable[str]) -> list[tuple[str, list[str]]]:
    """Tasks by how their names begin, as (title, tasks): first those that are of no family.

    >>> families(["piqa", *(f"blimp_{i}" for i in range(4))])
    [('Tasks', ['piqa']), ('blimp', ['blimp_0', 'blimp_1', 'blimp_2', 'blimp_3'])]
    """
    groups: dict[str, list[str]] = {}
    for task in sorted(tasks, key=str.casefold):
        groups.setdefault(task.replace("-", "_").partition("_")[0], []).append(task)
    alone = [task for members in groups.values() if len(members) < _FAMILY for task in members]
    large = [members for members in groups.values() if len(members) >= _FAMILY]
    named = [(_shared(members[0], members[-1]), members) for members in large]
    return ([(ALONE, alone)] if alone else []) + named


def _shared(first: str, last: str) -> str:
    """How both begin: of a sorted list, what all have in common."""
    pairs = takewhile(lambda letters: letters[0] == letters[1], zip(first, last, strict=False))
    return "".join(letter for letter, _ in pairs).rstrip("-_, ")


def _ordered(metrics: Iterable[str]) -> list[str]:
    """The usual first, then in order of appearance."""
    there = list(dict.fromkeys(map(str, metrics)))
    return [name for name in _USUAL if name in there] + [name for name in there if name not in _USUAL]


def _panel(
    title: str, labels: list[str], table: pd.DataFrame, sizes: Sequence[str], control: Control, across: int
) -> Panel:
    tasks = {label: label.removeprefix(title).lstrip("-_ ") or label for label in labels}
    mine = table[table["label"].isin(labels)]
    usual = usual_metrics(mine)

    def patch(metric: str) -> list[dict[str, Any]] | None:
        here = tidy.of(mine, metric=metric)
        return traces_of(evaluations_figure(here, tasks, sizes, across)) if len(here) else None

    others = variants([control], patch)
    return Panel(
        title,
        _caption(mine, usual),
        evaluations_figure(usual, tasks, sizes, across),
        ("metric",),
        others,
        source="evaluations",
    )


def _caption(table: pd.DataFrame, shown: pd.DataFrame) -> str:
    what = f"First shown: {tidy.listing(_ordered(shown['metric'].unique()))}; " if table["metric"].nunique() > 1 else ""
    if not what:
        what = f"{shown['metric'].iloc[0]}; "
    known = table.dropna(subset="level")
    over = tidy.over_seeds(table)
    if pooled_seeds(table) > 1:
        band = f"{over}; band: range over seeds"
    elif len(known):
        band = f"{over}; band: {tidy.level(known)} interval from the standard error that came with the value"
    else:
        band = f"{over}; " + ("band: interval of the source" if table["low"].notna().any() else "no intervals given")
    shots = [number or "no" for number in tidy.integers(table["shots"])]
    prompt = f" With {tidy.listing(shots)} examples in the prompt." if shots else ""
    return f"{what}{band}; {counted(table['step'].nunique(), 'step')}, each task on a scale of its own.{prompt}"
