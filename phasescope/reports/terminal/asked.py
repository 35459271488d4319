"""What models were asked, in the terminal: noise, questions with options, early and late tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import pooled
from phasescope.console import counted
from phasescope.reports import cells, tidy
from phasescope.reports.noise import first_set, name_of
from phasescope.texts.noise import METHODS

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType


def noise_table(noise: pd.DataFrame) -> RenderableType:
    """Per size and way of making text: perplexity along training, and how it stands to clean text at the end."""
    if noise.empty:
        return cells.plain(str(noise.attrs.get("absent") or "There is no corrupted text in this run."))
    shown = first_set(noise)
    made = cells.table(
        "Perplexity of corrupted and made-up text",
        "size",
        "text",
        ">first",
        "along",
        ">last",
        ">times clean",
        caption=f"{counted(int(shown['sequences'].max()), 'sequence')}; {tidy.over_seeds(shown)}; "
        f"[{tidy.level(shown)} interval]. "
        "Nucleus, greedy: decoded from the last small and large model, with these weights on their probabilities.",
    )
    ways = ["kind", "rate", "small_weight", "large_weight"]
    for size in dict.fromkeys(shown["size"]):
        for _, rows in pooled(tidy.of(shown, size=size)).groupby(ways, sort=False, dropna=False):
            kind, name = str(rows["kind"].iloc[0]), _name(rows)
            curve = rows.groupby("step")["perplexity"].median()
            last = rows[rows["step"] == rows["step"].max()].groupby("step").median(numeric_only=True).iloc[-1]
            edges = f"{_short(last['ratio'])} [{_short(last['ratio_low'])}, {_short(last['ratio_high'])}]"
            ratio = cells.plain("" if kind == "clean" else edges)
            ends = (_short(curve.iloc[0]), _short(curve.iloc[-1]))
            made.add_row(
                cells.plain(size), cells.plain(name), ends[0], cells.sparkline(curve, at_most=12), ends[1], ratio
            )
        made.add_section()
    return made


def _name(rows: pd.DataFrame) -> str:
    """`swap 10 %`, `greedy, large − small`."""
    kind, rate, small, large = rows[["kind", "rate", "small_weight", "large_weight"]].iloc[0]
    if kind in METHODS:
        return f"{kind}, {name_of(small, large)}"
    return str(kind).replace("_", " ") + (f" {100 * rate:g} %" if rate else "")


def multiple_choice_table(table: pd.DataFrame) -> RenderableType:
    """Per task and size: accuracy along training, beside chance, and the perplexity of options at the end."""
    from rich.console import Group

    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "No questions were asked in this run."))
    return Group(*(part for task in dict.fromkeys(table["task"]) for part in (_task(tidy.of(table, task=task)), "")))


def _task(table: pd.DataFrame) -> RenderableType:
    first = table.iloc[0]
    made = cells.table(
        f"{first['task']}: {counted(int(first['questions']), 'question')} with options",
        "size",
        ">first",
        "along",
        ">last",
        ">per character",
        ">right",
        ">wrong",
        caption=f"Accuracy, by chance {first['chance']:.2f}; {tidy.over_seeds(table)}; [{tidy.level(table)} interval]. "
        "Right, wrong: perplexity of such options.",
    )
    for size, of_size in table.groupby("size", sort=False):
        rows = pooled(of_size)
        curve = rows.groupby("step")["accuracy"].median()
        last = rows[rows["step"] == rows["step"].max()].median(numeric_only=True)
        made.add_row(
            cells.plain(size),
            cells.number(curve.iloc[0], 2),
            cells.sparkline(curve, 0, 1, at_most=12),
            cells.with_interval(last["accuracy"], last["low"], last["high"]),
            cells.number(last["accuracy_norm"], 2),
            _short(last["perplexity"]),
            _short(last["perplexity_wrong"]),
        )
    return made


def in_context_learning_table(table: pd.DataFrame) -> RenderableType:
    """Per size and seed: the score first, along training, and last."""
    if table.empty:
        return cells.plain(str(table.attrs.get("absent") or "There is no loss in this run."))
    early, late = table[["early", "late"]].iloc[0]
    made = cells.table(
        f"Loss of tokens {late} minus that of tokens {early} (nats)",
        "size",
        ">seed",
        ">first",
        "along",
        ">last",
        ">early",
        ">late",
        caption=f"Below zero, what was read helps. {counted(int(table['sequences'].max()), 'sequence')}; "
        f"[{tidy.level(table)} interval]; early and late loss at the last step.",
    )
    for size in dict.fromkeys(table["size"]):
        for seed in tidy.integers(tidy.of(table, size=size)["seed"]):
            curve = tidy.of(table, size=size, seed=seed).sort_values("step")
            last = curve.iloc[-1]
            made.add_row(
                cells.plain(size),
                str(seed),
                cells.number(curve["score"].iloc[0], 2),
                cells.sparkline(curve["score"]),
                cells.with_interval(last["score"], last["low"], last["high"]),
                cells.number(last["early_loss"], 2),
                cells.number(last["late_loss"], 2),
            )
        made.add_section()
    return made


def _short(value: float) -> str:
    """Perplexities span many powers of ten."""
    return f"{value:.3g}" if cells.known(value) and value < 1e5 else f"{value:.1e}"
