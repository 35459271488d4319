"""The part of a report about corrupted text, and about text that two models made up together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.reports.kit import tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.noise.figures import by_rate_figure
from phasescope.texts.made.noise import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from phasescope.reports.kit.tables import RunLike, Tables

_TITLE, _KEY = "Corrupted and made-up text", "noise"
_PERPLEXITY = ("perplexity", "perplexity_low", "perplexity_high")


def noise_part(run: RunLike) -> Part:
    """Perplexity of corrupted and decoded text along training; where there is nothing to show, why."""
    try:
        table = run.table("noise")
    except PhasescopeError as error:
        return Part(_KEY, _TITLE, "", notes=[str(error)])
    if table.empty:
        return Part(_KEY, _TITLE, "", notes=[str(table.attrs.get("absent") or "No corrupted text was read.")])
    chosen = first_set(table)
    sizes = [size for size in run.sizes if size in set(chosen["size"])]
    control = Control("size", "Size", [(size, size) for size in reversed(sizes)])
    intro = (
        "How surprising the same sequences are with some of their tokens moved or replaced, and how surprising text "
        "is that a small and a large model of the suite wrote together."
    )
    several = chosen["step"].nunique() > 1
    panels = [*_corrupted(chosen, control, several), *_decoded(chosen, control, several)]
    notes = [] if several else ["Only one step was visited, so there is no curve along training."]
    others = [name for name in dict.fromkeys(table["set"]) if name not in set(chosen["set"])]
    if others:
        notes.append(f"Not drawn, but in the table: {tidy.listing(others)}.")
    if not set(chosen["kind"]) & set(METHODS):
        notes.append("No text was decoded: that needs two sizes of models that read from left to right.")
    controls = [control] if len(sizes) > 1 else []
    return Part(_KEY, _TITLE, intro, panels, notes=notes, controls=controls)


def noise_finding(size: str, tables: Tables, seeds: int) -> str:
    """How many times more surprising corrupted text is at the end, kind by kind, at the rate that is drawn."""
    if tables["noise"]["step"].nunique() < 2:
        return ""
    table = first_set(tables["noise"])
    table = table[~table["kind"].isin(METHODS) & table["ratio"].notna()]
    if not (rate := _drawn_rate(table)):
        return ""
    shown = table[table["rate"] == rate]
    kinds = list(dict.fromkeys(shown["kind"]))
    curves = [tidy.across_seeds(tidy.of(shown, kind=kind), "ratio", "ratio_low", "ratio_high") for kind in kinds]
    ends = [curve.iloc[-1] for curve in curves]
    told = [
        f"{tidy.interval(end['value'], end['low'], end['high'], 1)} ({str(kind).replace('_', ' ')})"
        for kind, end in zip(kinds, ends, strict=True)
    ]
    began = [f"{curve['value'].iloc[0]:.1f}" for curve in curves]
    over = tidy.seeds_and_range(shown, tidy.level(shown))
    begin, end = (counting.at(edge) for edge in (shown["step"].min(), shown["step"].max()))
    return (
        f"With {100 * rate:g} % of its tokens corrupted, text has {tidy.listing(told)} times its clean perplexity to "
        f"{size} at {end} ({over}); at {begin} {tidy.listing(began)} "
        "times."
    )


def _drawn_rate(table: pd.DataFrame) -> float:
    """The middle one of the rates at which text is corrupted; 0 where none is."""
    rates = sorted(rate for rate in table["rate"].unique() if rate > 0)
    return float(rates[len(rates) // 2]) if rates else 0.0


def first_set(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the set of items that has the most ways of making sequences."""
    ways = table.groupby("set", sort=False)[["kind", "rate", "small_weight", "large_weight"]].nunique().sum(axis=1)
    return tidy.of(table, set=ways.idxmax())


def name_of(small: float, large: float) -> str:
    """`large`, `large − small`, `0.5 small + 0.5 large`: what a decoded token is likely under."""
    parts = [(large, "large"), (small, "small")]
    parts = sorted((part for part in parts if part[0]), key=lambda part: part[0] < 0)
    told = ""
    for weight, model in parts:
        sign = " − " if weight < 0 else " + "
        number = "" if abs(weight) == 1 else f"{abs(weight):g} "
        told += (sign if told else sign.strip("+ ")) + number + model
    return told or "neither"


def _corrupted(table: pd.DataFrame, control: Control, several: bool) -> list[Panel]:
    here = table[~table["kind"].isin(METHODS)]
    rate = _drawn_rate(here)
    if not rate or not several:
        return []
    shown = here[(here["rate"] == rate) | (here["kind"] == "clean")]

    def along(size: str) -> Drawing:
        mine = tidy.of(shown, size=size)
        parts = {str(kind).replace("_", " "): tidy.of(mine, kind=kind) for kind in dict.fromkeys(mine["kind"])}
        return along_training(parts, _PERPLEXITY, "perplexity", log=True)

    def by_rate(size: str) -> Drawing:
        mine = tidy.of(here, size=size)
        return by_rate_figure(mine, int(mine["step"].max()))

    corrupted = f"Perplexity of text with {100 * rate:g} % of its tokens corrupted, and of the clean text"
    times = (
        "How many times its clean perplexity corrupted text has at the last step, by the part of the tokens that is "
        f"corrupted; {_about(here)}; each sequence is compared with its own clean text."
    )
    return [
        _panel("Corrupted text", f"{corrupted}; {_about(shown)}.", along, control),
        _panel("By rate", times, by_rate, control),
    ]


def _decoded(table: pd.DataFrame, control: Control, several: bool) -> list[Panel]:
    if not several:
        return []
    panels = []
    for method in METHODS:
        mine = tidy.of(table, kind=method)
        if mine.empty:
            continue

        def draw(size: str, mine: pd.DataFrame = mine) -> Drawing:
            here = tidy.of(mine, size=size)
            ways = here[["small_weight", "large_weight"]].drop_duplicates().itertuples(index=False, name=None)
            parts = {name_of(*way): tidy.of(here, small_weight=way[0], large_weight=way[1]) for way in ways}
            return along_training(parts, _PERPLEXITY, "perplexity", log=True)

        how = "greedily" if method == "greedy" else "by nucleus sampling"
        text = (
            f"Perplexity of text decoded {how} from the last checkpoints of the smallest and the largest size, with "
            f"these weights on their probabilities; {_about(mine)}."
        )
        panels.append(_panel(f"Text decoded {how}", text, draw, control))
    return panels


def _panel(title: str, caption: str, draw: Callable[[str], Drawing], control: Control) -> Panel:
    others = variants([control], lambda size: traces_of(draw(size)))
    return Panel(title, caption, draw(control.options[0][0]), ("size",), others, source="noise")


def _about(table: pd.DataFrame) -> str:
    band = tidy.band(table, "sequences")
    return f"{tidy.over_seeds(table)}; {counted(int(table['sequences'].max()), 'sequence')}; band: {band}"
