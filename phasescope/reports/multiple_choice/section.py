"""The part of a report about questions with options."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.reports.kit import theme, tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from phasescope.reports.kit.tables import RunLike, Tables

_TITLE, _KEY = "Questions with options", "questions"
_ACCURACY = ("accuracy", "low", "high")
_RIGHT = ("perplexity", "perplexity_low", "perplexity_high")
_WRONG = ("perplexity_wrong", "wrong_low", "wrong_high")


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
    about = _about(table)
    said = {
        "Accuracy": (f"Share of questions whose right option is the likeliest; {about}.", _ACCURACY),
        "Normalised accuracy": (
            f"The same, with log-probability divided by the option's length in characters; {about}.",
            ("accuracy_norm", "norm_low", "norm_high"),
        ),
    }
    panels = [
        _panel(title, text, control, partial(_accuracy, table, run.sizes, columns))
        for title, (text, columns) in said.items()
    ]
    text = f"Perplexity of the tokens of right and of wrong options after the question; {about}."
    panels.append(_panel("Option perplexity", text, control, partial(_perplexity, table, run.sizes)))
    return Part(_KEY, _TITLE, intro, panels, controls=[control] if len(tasks) > 1 else [])


def multiple_choice_finding(size: str, tables: Tables, seeds: int) -> str:
    """How many questions of each task the size answers right at the end, and whether that is beyond chance."""
    table = tables["multiple_choice"]
    if table["step"].nunique() < 2:
        return ""
    told = []
    for task in dict.fromkeys(table["task"]):
        mine = tidy.of(table, task=task)
        end = tidy.across_seeds(mine, "accuracy", "low", "high").iloc[-1]
        chance = float(mine["chance"].iloc[0])
        lowest, highest = tidy.outermost(mine)
        sure = "beyond" if lowest > chance else "below" if highest < chance else "not surely beyond"
        questions = counted(int(mine["questions"].max()), "question")
        told.append(
            f"{tidy.percent(end['value'], end['low'], end['high'])} of {questions} of "
            f"{task} ({sure} the {100 * chance:.0f} % of chance)"
        )
    over = tidy.seeds_and_range(table, tidy.level(table))
    return f"At {counting.at(table['step'].max())}, {size} answers right {tidy.listing(told, at_most=4)}: {over}."


def _accuracy(table: pd.DataFrame, sizes: Sequence[str], columns: tuple[str, str, str], task: str) -> Drawing:
    here = tidy.of(table, task=task)
    parts = {size: tidy.of(here, size=size) for size in sizes}
    chance = {"chance": round(float(here["chance"].iloc[0]), 4)}
    return along_training(parts, columns, "share of questions", faint=chance, looks=theme.styles(sizes))


def _perplexity(table: pd.DataFrame, sizes: Sequence[str], task: str) -> Drawing:
    """Right options as solid, wrong ones as dotted curves in the colour of their size."""
    here = tidy.of(table, task=task)
    colours = theme.styles(sizes)
    parts, looks = {}, {}
    for size in sizes:
        for which, dash, columns in (("right", "solid", _RIGHT), ("wrong", "dot", _WRONG)):
            renamed = dict(zip(columns, ("shown", "shown_low", "shown_high"), strict=True))
            parts[f"{size}, {which}"] = tidy.of(here, size=size).rename(columns=renamed)
            looks[f"{size}, {which}"] = replace(colours[size], dash=dash)
    return along_training(parts, ("shown", "shown_low", "shown_high"), "perplexity per token", log=True, looks=looks)


def _panel(title: str, caption: str, control: Control, draw: Callable[[str], Drawing]) -> Panel:
    others = variants([control], lambda task: traces_of(draw(task)))
    return Panel(title, caption, draw(control.options[0][0]), ("task",), others, source="multiple_choice")


def _about(table: pd.DataFrame) -> str:
    band = tidy.band(table, "questions")
    questions = tidy.integers(table["questions"])
    told = str(questions[0]) if len(questions) == 1 else f"{questions[0]} to {questions[-1]}"
    return f"{tidy.over_seeds(table)}; {told} questions; band: {band}"
