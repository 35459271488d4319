"""The part of a report about questions with options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.reports import tidy, theme
from phasescope.reports.captions import over_seeds
from phasescope.reports.figures.asked import along_training
from phasescope.reports.panels import Control, Panel, Part, traces_of, variants

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from plotly.graph_objects import Figure

    from phasescope.reports.tables import RunLike

_TITLE, _KEY = "Questions with options", "questions"


def multiple_choice_part(run: RunLike) -> Part:
    """Accuracy and option perplexity along training, task by task; where there is nothing to show, why."""
    try:
        table = run.table("multiple_choice")
    except PhasescopeError as error:
        return Part(_KEY, _TITLE, "", notes=[str(error)])
    if table.empty:
        return Part(_KEY, _TITLE, "", notes=[str(table.attrs.get("absent") or "No questions were asked.")])
    if table["step"].nunique() < 2:
        return Part(_KEY, _TITLE, "", notes=["Only one step was visited, so there is no curve along training."])
    intro = "The option that a model finds most likely after the question is its answer."
    tasks = list(dict.fromkeys(table["task"]))
    control = Control("task", "Task", [(task, task) for task in tasks])
    looks = theme.styles(run.sizes)

    def accuracy(task: str, columns: tuple[str, str, str]) -> Figure:
        here = tidy.of(table, task=task)
        parts = {size: tidy.of(here, size=size) for size in run.sizes}
        chance = {"chance": round(float(here["chance"].iloc[0]), 4)}
        return along_training(parts, columns, "share of questions", faint=chance, looks=looks)

    def perplexity(task: str) -> Figure:
        here = tidy.of(table, task=task)
        names = [f"{size}, {which}" for size in run.sizes for which in ("right", "wrong")]
        values = {"right": "perplexity perplexity_low perplexity_high", "wrong": "perplexity_wrong wrong_low wrong_high"}
        parts = {}
        for size in run.sizes:
            for which, columns in values.items():
                renamed = dict(zip(columns.split(), ("shown", "shown_low", "shown_high"), strict=True))
                parts[f"{size}, {which}"] = tidy.of(here, size=size).rename(columns=renamed)
        pairs = theme.styles(run.sizes)
        own = {
            name: theme.Style(pairs[name.rpartition(",")[0]].colour, "circle", "dot" if name.endswith("wrong") else "solid")
            for name in names
        }
        return along_training(parts, ("shown", "shown_low", "shown_high"), "perplexity per token", log=True, looks=own)

    about = _about(table)
    panels = [
        _panel("Accuracy", f"Share of questions whose right option is the likeliest; {about}.", control,
               lambda task: accuracy(task, ("accuracy", "low", "high"))),
        _panel("Normalised accuracy", f"The same, with log-probability divided by the option's length in characters; {about}.", control,
               lambda task: accuracy(task, ("accuracy_norm", "norm_low", "norm_high"))),
        _panel("Option perplexity", f"Perplexity of the tokens of right and of wrong options after the question; {about}.", control, perplexity),
    ]  # fmt: skip
    return Part(_KEY, _TITLE, intro, panels, controls=[control] if len(tasks) > 1 else [])


def _panel(title: str, caption: str, control: Control, draw: Callable[[str], Figure]) -> Panel:
    others = variants([control], lambda task: traces_of(draw(task)))
    return Panel(title, caption, draw(control.options[0][0]), ("task",), others)


def _about(table: pd.DataFrame) -> str:
    seeds = int(table.groupby("size")["seed"].nunique().max())
    band = "range over seeds" if seeds > 1 else f"{tidy.level(table)} bootstrap interval over questions"
    questions = tidy.integers(table["questions"])
    told = str(questions[0]) if len(questions) == 1 else f"{questions[0]} to {questions[-1]}"
    return f"{over_seeds(seeds)}; {told} questions; band: {band}"
