"""How far apart models are, in pictures: by groups of tokens, from references, across steps and sizes, by next byte."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, step_curve, step_star
from phasescope.reports.kit.drawing import Drawing, Trace

if TYPE_CHECKING:
    import pandas as pd

# What is drawn of each way of sorting tokens where that is not every bin: what study B shows.
_CHOSEN = dict.fromkeys(("pos", "previous_pos"), ("function", "content", "NOUN", "VERB"))
_HALVES = {
    "frequency": ("frequent", "rare"),
    "final_surprisal": ("predictable", "surprising"),
    "position": ("early", "late"),
}
# Fewer tokens than this make a curve of noise.
FEWEST_TOKENS = 50


def drawn_groups(table: pd.DataFrame, by: str) -> list[str]:
    """The groups that are drawn of one way of sorting: bins, or chosen parts of speech."""
    known = _with_enough(table, by)
    return [name for name in _CHOSEN.get(by, known) if name in known and name not in _HALVES.get(by, ())]


def shown_groups(table: pd.DataFrame, by: str) -> list[str]:
    """The groups that stand for all where there is little room: halves, or chosen parts of speech."""
    known = _with_enough(table, by)
    return [name for name in (*_CHOSEN.get(by, ()), *_HALVES.get(by, ())) if name in known]


def _with_enough(table: pd.DataFrame, by: str) -> list[str]:
    groups = tidy.of(table, by=by).groupby("group", sort=False)
    return [str(name) for name, rows in groups if rows["tokens"].max() >= FEWEST_TOKENS]


def groups_figure(table: pd.DataFrame, by: str) -> Drawing:
    """KL between the seeds of one size along training, a curve for each group of tokens.

    Args:
        table: rows of one size; columns by, group, step, kl, low, high, tokens.

    Raises:
        ValueError: no group has enough tokens.
    """
    names = drawn_groups(table, by)
    looks = theme.styles(names)
    curves: list[Trace] = []
    for name in names:
        here = tidy.of(table, by=by, group=name).sort_values("step").rename(columns={"kl": "value"})
        curves += step_curve(here, name, looks[name])
    return _figure(curves, tidy.integers(table["step"]), "expected KL (nats per token)")


def references_figure(references: pd.DataFrame, seeds: pd.DataFrame, turns: pd.DataFrame) -> Drawing:
    """KL of one size to the uniform and the unigram distribution, and between its seeds, in one picture.

    A star marks where the KL to the unigram turns, if it does, its bar the interval.

    Args:
        references: columns seed, step, kl_uniform, uniform_low, uniform_high, kl_unigram, unigram_low, unigram_high.
        seeds: columns step, kl, low, high; may have no rows.
        turns: columns turn_step, low, high, turn_kl, turns; no more than one row.

    Raises:
        ValueError: there is nothing to draw.
    """
    looks = theme.styles(("uniform", "unigram", "seeds"))
    curves: list[Trace] = []
    for name in ("uniform", "unigram"):
        known = references[references[f"kl_{name}"].notna()]
        if len(known):
            curve = tidy.across_seeds(known, f"kl_{name}", f"{name}_low", f"{name}_high")
            curves += step_curve(curve, f"to the {name}", looks[name])
    between = seeds[seeds["kl"].notna()].sort_values("step").rename(columns={"kl": "value"})
    if len(between):
        curves += step_curve(between, "between seeds", looks["seeds"])
    marks = [_turn(row, looks["unigram"]) for row in turns.to_dict("records") if row["turns"]]
    return _figure(curves, tidy.integers(references["step"]), "KL (nats per token)", marks)


def across_figure(table: pd.DataFrame) -> Drawing:
    """KL of each step of one size to the last step and to the step before: median over seeds, band their range.

    Columns relation, seed, step, kl, low, high. Raises ValueError where there are none.
    """
    looks = theme.styles(("last", "previous"))
    curves: list[Trace] = []
    for relation, label in (("last", "to the last step"), ("previous", "to the step before")):
        here = tidy.of(table, relation=relation)
        if len(here):
            curves += step_curve(tidy.across_seeds(here, "kl", "low", "high"), label, looks[relation])
    return _figure(curves, tidy.integers(table["step"]), "KL (nats per token)")


def sizes_apart_figure(table: pd.DataFrame) -> Drawing:
    """KL between sizes at the same step, a curve for each pair: median over seeds, band their range.

    Columns size, other_size, seed, step, kl, low, high. Raises ValueError where there are none.
    """
    pairs = list(dict.fromkeys(table[["size", "other_size"]].itertuples(index=False, name=None)))
    looks = theme.styles(pairs)
    curves: list[Trace] = []
    for size, other in pairs:
        here = tidy.of(table, size=size, other_size=other)
        label = f"{theme.plain(size)} ‖ {theme.plain(other)}"
        curves += step_curve(tidy.across_seeds(here, "kl", "low", "high"), label, looks[size, other])
    return _figure(curves, tidy.integers(table["step"]), "KL (nats per token)")


def next_byte_figure(table: pd.DataFrame, sizes: Sequence[str]) -> Drawing:
    """KL of the next byte, between seeds of each size and with models of other runs.

    Columns relation, size, beside_run, beside_size, step, kl, low, high. Raises ValueError where there are none.
    """
    keys = list(dict.fromkeys(table[["relation", "size", "beside_run", "beside_size"]].itertuples(False, None)))
    own = theme.styles(sizes)
    others = theme.styles([*sizes, *(key for key in keys if key[0] != "seeds")])
    curves: list[Trace] = []
    for key in keys:
        relation, size, run, beside = key
        here = tidy.of(table, relation=relation, size=size, beside_run=run, beside_size=beside)
        label = f"seeds of {size}" if relation == "seeds" else f"{size} ‖ {run} {beside}"
        curve = here.sort_values("step").rename(columns={"kl": "value"})
        curves += step_curve(curve, theme.plain(label), own[size] if relation == "seeds" else others[key])
    return _figure(curves, tidy.integers(table["step"]), "KL of the next byte (nats)")


def _figure(curves: list[Trace], steps: list[int], title: str, marks: Sequence[Trace] = ()) -> Drawing:
    if not curves:
        raise ValueError(f"no {title} to draw")
    up = {"title": {"text": title}, "rangemode": "tozero", "nticks": 7}
    # A lone curve is named by the title of its figure.
    legend = len({curve["legendgroup"] for curve in curves}) > 1
    return theme.figure([*bands_behind(curves), *marks], 370, xaxis=steps_axis.axis(steps), yaxis=up, showlegend=legend)


def _turn(row: dict[Any, Any], look: theme.Style) -> Trace:
    return step_star(
        (int(row["turn_step"]), int(row["low"]), int(row["high"])),
        float(row["turn_kl"]),
        look,
        name="turn of the unigram",
        hovertemplate="closest at step %{customdata[0]} [%{customdata[1]}, %{customdata[2]}]<extra>the unigram</extra>",
        legendgroup="to the unigram",
    )
