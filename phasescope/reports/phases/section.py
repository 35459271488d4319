"""The part of a report about phases of behaviour, and the sentence that tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.phases.named import CONVERGENCE, DIVERGENCE, RECONVERGENCE, UNIFORM
from phasescope.measures.phases import FLAT, UNDETERMINED
from phasescope.reports.kit import tidy
from phasescope.reports.kit.absences import no_trajectory
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.phases.chosen import begins, summary_phases
from phasescope.reports.phases.figures import phases_figure

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

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
    why = tables.why("phases")
    if why or tables["phases"].empty:
        return Part(key, title, intro, notes=[why or f"No phases of {size} were found: nothing was captured along it."])
    phases = summary_phases(tables["phases"])
    shown = [panel for name in _TITLES if (panel := _panel(name, phases, tables))]
    more = [
        panel for name in dict.fromkeys(phases["curve"]) if str(name).startswith(_HEURISTIC)
        for panel in [_panel(str(name), phases, tables)] if panel
    ]  # fmt: skip
    notes = [] if shown or more else [f"No curve of {size} has enough steps for phases."]
    return Part(key, title, intro, shown, folded=more, folded_title="Phases of the heuristics", notes=notes)


def phases_finding(size: str, tables: Tables, seeds: int) -> str:
    """The four phases of KL between seeds where they were recognised, else the phases of KL or of surprisal."""
    phases = summary_phases(tables["phases"]) if len(tables["phases"]) else tables["phases"]
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
        told.append(what + (f" until {counting.noun()} {begins(following)}" if following is not None else ""))
    sentence = ", then ".join(told)
    last = counting.at(rows[-1]["end"])
    if any(row["name"] == RECONVERGENCE for row in rows):
        return f"{sentence} (KL between them, to {last}; {tidy.level(kl)} intervals)."
    if rows[-1]["label"] == UNDETERMINED:
        return f"{sentence}, to the end, {last}: whether they reconverge cannot be told ({tidy.level(kl)} intervals)."
    return f"{sentence}, to the end, {last}: this size never reconverges ({tidy.level(kl)} intervals)."


def _plain(rows: pd.DataFrame) -> str:
    ordered = rows.sort_values("phase").to_dict("records")
    told = [
        _said(row["label"])
        + (f" until {counting.noun()} {begins(following)}" if following is not None else " from there on")
        for row, following in zip(ordered, [*ordered[1:], None], strict=True)
    ]
    return ", then ".join(told)


def _said(label: str) -> str:
    return "without a trend that can be told" if label == UNDETERMINED else label


def _panel(name: str, phases: pd.DataFrame, tables: Tables) -> Panel | None:
    mine = tidy.of(phases, curve=name)
    curve = _curve(name, tables)
    if mine.empty or no_trajectory(curve, "value", name):
        return None
    title = _title(name)
    figure = phases_figure(curve, mine, _AXES.get(name, "correlation (Pearson)"))
    return Panel(f"Phases of {title}", _caption(name, mine, tables), figure, source=_source(name))


def _source(name: str) -> str:
    return f"phases, {_TABLES.get(name, 'heuristics')}"


def _title(name: str) -> str:
    return _TITLES.get(name, name.removeprefix(_HEURISTIC).replace(" pearson of", " of").removesuffix(" pearson"))


def _curve(name: str, tables: Tables) -> pd.DataFrame:
    """Of several seeds the mean, whose phases these are, with the range of the seeds."""
    if name == "kl":
        return tables["seeds"][["step", "kl", "low", "high"]].set_axis(["step", "value", "low", "high"], axis="columns")
    table, value = tables["surprisal"], "surprisal"
    if name.startswith(_HEURISTIC):
        unit = "token" if name.endswith("tokens") else "word"
        predictor = name.removeprefix(_HEURISTIC).split(" ")[0]
        table, value = tidy.of(tables["heuristics"], predictor=predictor, unit=unit), "pearson"
    table = table[table[value].notna()]
    if table["seed"].nunique() < 2:
        return table[["step", value, "low", "high"]].set_axis(["step", "value", "low", "high"], axis="columns")
    curve = table.groupby("step")[value].agg(["mean", "min", "max"])
    return curve.set_axis(["value", "low", "high"], axis="columns").reset_index()


def _caption(name: str, phases: pd.DataFrame, tables: Tables) -> str:
    level = tidy.level(phases)
    seeds = 1 if name == "kl" else tables["surprisal"]["seed"].nunique()
    what = f"the mean of {seeds} seeds, band: their range" if seeds > 1 else f"band: {level} bootstrap interval"
    points, errors = int(phases["points"].iloc[0]), str(phases["errors"].iloc[0])
    text = (
        f"Phases of {_title(name)} ({what}): piecewise linear over log(1 + step) at {points} steps. Orange rises, "
        f"blue falls, stronger where sharp. Dotted: boundaries; bars on top: their {level} bootstrap intervals. "
        f"Errors as found: {errors or 'too few steps to tell'}."
    )
    given = dict.fromkeys(f"{row['name']}: {row['evidence']}" for row in phases.to_dict("records") if row["name"])
    return text + (f" Names by evidence: {'; '.join(given)}." if given else "")
