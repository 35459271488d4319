"""The part of a report about phases of behaviour, and the sentence that tells them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from phasescope.analyses.named_phases import CONVERGENCE, DIVERGENCE, RECONVERGENCE, UNIFORM
from phasescope.measures.phases import FLAT, UNDETERMINED
from phasescope.reports import tidy
from phasescope.reports.absences import no_trajectory
from phasescope.reports.drawing import Drawing
from phasescope.reports.figures.bands import above, behind, strong_fill
from phasescope.reports.figures.phases import phases_figure
from phasescope.reports.link_sentences import MAIN_CURVES, curve_name
from phasescope.reports.panels import Panel, Part
from phasescope.reports.terminal.phases import step_text, summary_phases

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.tables import Tables

_AXES = {"kl": "expected KL (nats per token)", "surprisal": "surprisal (nats per token)"}
_TITLES = {"kl": "KL between seeds", "surprisal": "surprisal"}
_TABLES = {"kl": "seeds", "surprisal": "surprisal"}
_HEURISTIC = "heuristic:"
_TOLD = {
    UNIFORM: "stay close to the uniform distribution",
    CONVERGENCE: "converge sharply on the unigram distribution",
    DIVERGENCE: "diverge sharply",
    RECONVERGENCE: "come closer again",
}
_WITHOUT_NAME = {FLAT: "stay as far apart", UNDETERMINED: "show no trend that can be told"}


def phases_part(size: str, tables: Tables) -> Part:
    """Behaviour over its phases; `tables` of that size."""
    title, key = "Phases of behaviour", "phases"
    intro = "Where behaviour changes its trend: stretches of training in which a curve rises, falls or stays."
    why = tables.why_missing.get("phases", "")
    if why or tables.phases.empty:
        return Part(key, title, intro, notes=[why or f"No phases of {size} were found: nothing was captured along it."])
    phases = summary_phases(tables.phases)
    shown = [panel for name in _TITLES if (panel := _panel(name, phases, tables))]
    more = [
        panel for name in dict.fromkeys(phases["curve"]) if str(name).startswith(_HEURISTIC)
        for panel in [_panel(str(name), phases, tables)] if panel
    ]  # fmt: skip
    notes = [] if shown or more else [f"No curve of {size} has enough steps for phases."]
    return Part(key, title, intro, shown, folded=more, folded_title="Phases of the heuristics", notes=notes)


def phases_finding(size: str, tables: Tables, seeds: int) -> str:
    """The four phases of KL between seeds where they were recognised, else the phases of KL or of surprisal."""
    phases = summary_phases(tables.phases) if len(tables.phases) else tables.phases
    kl, surprisal = tidy.of(phases, curve="kl"), tidy.of(phases, curve="surprisal")
    if (kl["name"] == DIVERGENCE).any():
        return f"The seeds of {size} {_named(kl)}"
    for rows, what in ((kl, "KL between seeds"), (surprisal, "surprisal")):
        if len(rows) > 1:
            return f"The {what} of {size} goes through {len(rows)} phases: {_plain(rows)}."
    return ""


def _named(kl: pd.DataFrame) -> str:
    """`stay close to the uniform distribution until step 16 [12, 20], diverge sharply until step …`."""
    rows = kl.sort_values("phase").to_dict("records")
    told: list[str] = []
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        if following is not None and following["name"] == row["name"]:
            continue  # one phase of the study may have several slopes
        what = _TOLD.get(row["name"], _WITHOUT_NAME.get(row["label"], "go on otherwise"))
        told.append(what + (f" until step {_begins(following)}" if following is not None else ""))
    sentence = ", then ".join(told)
    last = step_text(rows[-1]["end"])
    if any(row["name"] == RECONVERGENCE for row in rows):
        return f"{sentence} (KL between them, to step {last}; {tidy.level(kl)} intervals)."
    if rows[-1]["label"] == UNDETERMINED:
        return (
            f"{sentence}, to the end, step {last}: whether they reconverge cannot be told ({tidy.level(kl)} intervals)."
        )
    return f"{sentence}, to the end, step {last}: this size never reconverges ({tidy.level(kl)} intervals)."


def _plain(rows: pd.DataFrame) -> str:
    ordered = rows.sort_values("phase").to_dict("records")
    told = [
        _said(row["label"]) + (f" until step {_begins(following)}" if following is not None else " from there on")
        for row, following in zip(ordered, [*ordered[1:], None], strict=True)
    ]
    return ", then ".join(told)


def _said(label: str) -> str:
    return "without a trend that can be told" if label == UNDETERMINED else label


def _begins(row: dict[Any, Any]) -> str:
    return f"{step_text(row['start'])} [{step_text(row['start_low'])}, {step_text(row['start_high'])}]"


def _panel(name: str, phases: pd.DataFrame, tables: Tables) -> Panel | None:
    mine = tidy.of(phases, curve=name)
    curve = _curve(name, tables)
    if mine.empty or no_trajectory(curve, "value", name):
        return None
    title = _title(name)
    figure = phases_figure(curve, mine, _AXES.get(name, "correlation (Pearson)"))
    return Panel(f"Phases of {title}", _caption(name, mine, tables), figure, source=_source(name))


def band_phases(tables: Tables) -> tuple[str, pd.DataFrame]:
    """The phases that lie behind the figures of a size, and the curve whose they are; `tables` of that size.

    Those of the first main curve that has two phases or more, of all seeds together where they were found so. Where
    there are none the name is "" and the table has no rows.
    """
    return tables.once("band phases", lambda: _band_phases(tables.phases))


def _band_phases(phases: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    shown = summary_phases(phases) if len(phases) else phases
    for curve in MAIN_CURVES:
        mine = tidy.of(shown, curve=curve)
        one = mine[mine["seed"].isna()] if mine["seed"].isna().any() else mine[mine["seed"] == mine["seed"].min()]
        if len(one) > 1:
            return curve, one
    return "", shown.iloc[:0]


@dataclass(frozen=True)
class Legend:
    """Which phases lie behind the figures of a size.

    `phases`: the colour of each (any that CSS knows; "" for none) and what it is, with its steps and their intervals.
    """

    text: str
    phases: list[tuple[str, str]]


def phase_legend(tables: Tables) -> Legend | None:
    """What the bands mean, by name; None where there are none. `tables` of one size."""
    curve, phases = band_phases(tables)
    if not curve:
        return None
    rows = phases.sort_values("start").to_dict("records")
    named = [
        (
            strong_fill(row),
            f"{row['name'] or row['label']}, {'from the first step' if number == 0 else f'from step {_begins(row)}'}",
        )
        for number, row in enumerate(rows)
    ]
    return Legend(f"Bands in the figures: phases of {curve_name(curve)} ({tidy.level(phases)} intervals)", named)


def with_bands(panel: Panel, tables: Tables, place: Callable[[Drawing, pd.DataFrame], Drawing] = behind) -> Panel:
    """The panel with the phases of its size behind the curves, and a caption that says so."""
    curve, phases = band_phases(tables)
    if not curve:
        return panel
    where = "Strip and dotted lines" if place is above else "Bands"
    caption = f"{panel.caption} {where}: phases of {curve_name(curve)} (orange rises, blue falls)."
    return replace(panel, caption=caption, figure=place(panel.figure, phases))


def _source(name: str) -> str:
    return f"phases, {_TABLES.get(name, 'heuristics')}"


def _title(name: str) -> str:
    return _TITLES.get(name, name.removeprefix(_HEURISTIC).replace(" pearson of", " of").removesuffix(" pearson"))


def _curve(name: str, tables: Tables) -> pd.DataFrame:
    """Of several seeds the mean, whose phases these are, with the range of the seeds."""
    if name == "kl":
        return tables.seeds[["step", "kl", "low", "high"]].set_axis(["step", "value", "low", "high"], axis="columns")
    table, value = tables.surprisal, "surprisal"
    if name.startswith(_HEURISTIC):
        unit = "token" if name.endswith("tokens") else "word"
        predictor = name.removeprefix(_HEURISTIC).split(" ")[0]
        table, value = tidy.of(tables.heuristics, predictor=predictor, unit=unit), "pearson"
    table = table[table[value].notna()]
    if table["seed"].nunique() < 2:
        return table[["step", value, "low", "high"]].set_axis(["step", "value", "low", "high"], axis="columns")
    curve = table.groupby("step")[value].agg(["mean", "min", "max"])
    return curve.set_axis(["value", "low", "high"], axis="columns").reset_index()


def _caption(name: str, phases: pd.DataFrame, tables: Tables) -> str:
    level = tidy.level(phases)
    seeds = 1 if name == "kl" else tables.surprisal["seed"].nunique()
    what = f"the mean of {seeds} seeds, band: their range" if seeds > 1 else f"band: {level} bootstrap interval"
    points, errors = int(phases["points"].iloc[0]), str(phases["errors"].iloc[0])
    text = (
        f"Phases of {_title(name)} ({what}): piecewise linear over log(1 + step) at {points} steps. Orange rises, "
        f"blue falls, stronger where sharp. Dotted: boundaries; bars on top: their {level} bootstrap intervals. "
        f"Errors as found: {errors or 'too few steps to tell'}."
    )
    given = dict.fromkeys(f"{row['name']}: {row['evidence']}" for row in phases.to_dict("records") if row["name"])
    return text + (f" Names by evidence: {'; '.join(given)}." if given else "")
