"""The parts of a report about the link between layers and behaviour, and the picture that stands above all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.console import counted
from phasescope.reports.convergence.captions import UNMOVED
from phasescope.reports.convergence.taus import tau_of
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.link import figures
from phasescope.reports.link.over_phases import layers_over_phases
from phasescope.reports.link.sentences import site_sentence, sure_sites
from phasescope.reports.phases.chosen import MAIN_CURVES, band_phases, curve_name

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables

_MOST_SENTENCES = 3


def overview_part(tables: Tables, sizes: Sequence[str]) -> Part:
    """When layers settle, over the phases of behaviour: the largest size first, the others folded."""
    panels = [panel for size in reversed(sizes) if (panel := _overview_panel(size, tables.of_size(size)))]
    title, key = "Layers over behaviour", "layers"
    intro = "When each layer settles, beside what the model's behaviour is doing at that time."
    if not panels:
        return Part(key, title, intro, notes=["No layer has a CKA to its final state at two steps or more."])
    return Part(key, title, intro, panels[:1], folded=panels[1:], folded_title="The other sizes")


def link_part(size: str, tables: Tables) -> Part:
    """Where layers do their moving, whether they lead or lag, what rank explains; `tables` of that size."""
    title, key = "Layers and behaviour linked", "link"
    intro = "In which phase of behaviour each layer does its moving, and whether it moves before or after."
    failures = [why for name in ("link_shares", "link_lags") if (why := tables.why(name))]
    if tables["link_shares"].empty and tables["link_lags"].empty:
        return Part(key, title, intro, notes=failures or [f"There is nothing to link in {size}."])
    panels: list[Panel] = []
    more: list[Panel] = []
    notes = [*failures]
    intro = " ".join([intro, *islice(link_sentences(size, tables), _MOST_SENTENCES)])
    shares = tables["link_shares"][tables["link_shares"]["seed"].isna()]
    for curve in MAIN_CURVES:
        mine = tidy.of(shares, curve=curve)
        if mine["share"].notna().any() and mine["phase"].nunique() > 1:
            panels.append(
                Panel(
                    f"Moving by phase of {curve_name(curve)}",
                    _shares_caption(mine),
                    figures.shares_figure(mine),
                    source="link_shares",
                )
            )
    lags = tables["link_lags"][tables["link_lags"]["lag"].notna()]
    for curve in dict.fromkeys(lags["curve"]):
        mine = tidy.of(lags, curve=curve)
        # Of heuristics there are many; what is not sure of them stays in the table.
        if curve in MAIN_CURVES or mine["significant"].any():
            panel = Panel(
                f"Before or after {curve_name(curve)}",
                _lags_caption(mine, curve),
                figures.lags_figure(mine),
                source="link_lags",
            )
            (panels if curve in MAIN_CURVES else more).append(panel)
    if tables["first_fifth"]["share"].notna().any():
        fifth = tables["first_fifth"]
        panels.append(
            Panel("The first fifth", _fifth_caption(fifth), figures.fifth_figure(fifth), source="first_fifth")
        )
    if not panels:
        notes += _reasons(tables["link_lags"])
    return Part(key, title, intro, panels, folded=more, folded_title="Before or after other curves", notes=notes)


def link_sentences(size: str, tables: Tables) -> Iterator[str]:
    """What is sure of single layers, the most telling first."""
    return filter(None, (site_sentence(size, site, tables) for site in sure_sites(tables)))


def link_finding(size: str, tables: Tables, seeds: int) -> str:
    """The most telling sentence about a layer."""
    return next(link_sentences(size, tables), "")


def _overview_panel(size: str, tables: Tables) -> Panel | None:
    settling = tidy.whole(tidy.of(tables["settling"], tau=tau_of(tables)))
    measured = tables["convergence"][tables["convergence"]["cka"].notna()]
    if settling.empty or measured["step"].nunique() < 2:
        return None
    curve, phases = band_phases(tables)
    figure = layers_over_phases(settling, phases, tables["surprisal"], tables["seeds"], tau=tau_of(tables))
    spread = tidy.band(settling, "sequences")
    text = (
        f"Below, the step from which CKA to the final state stays at {tau_of(tables):g} or more, layer by layer "
        f"({tidy.over_seeds(settling)}; line: {spread}); triangles under “never” had not settled before the last step."
    )
    if not settling["moved"].all():
        text += f" {UNMOVED}"
    if curve:
        text += f" Bands: phases of {curve_name(curve)} (orange rises, blue falls), the bars on top their boundaries' "
        text += f"{tidy.level(phases)} intervals."
    else:
        text += " No bands: neither KL between seeds nor surprisal has two phases that its steps and errors tell apart."
    return Panel(size, text, figure, size=size, source="settling, surprisal, seeds, phases")


def _shares_caption(shares: pd.DataFrame) -> str:
    seeds = int(shares["seeds"].max())
    mean = (f"mean of {seeds} seeds" if seeds > 1 else "one seed") + _without(shares)
    text = (
        "Of the rise of CKA to the final state from the first to the last step, the part that falls into each phase, "
        f"in percent; {mean}; point at a part for its {tidy.level(shares)} interval over "
        f"{'seeds and ' if seeds > 1 else ''}sequences. A part left of zero: the layer moves away from its final state."
    )
    missing = shares[shares["share"].isna()].drop_duplicates(["layer", "component"])
    if len(missing):
        names = [f"L{row['layer']}.{row['component']}" for row in missing.to_dict("records")]
        text += f" Not shown, since CKA hardly rises or is missing: {tidy.listing(names, at_most=4)}."
    return text


def _lags_caption(lags: pd.DataFrame, curve: str) -> str:
    tested, seeds = lags["q"].notna().sum(), int(lags["seeds"].max())
    text = (
        f"At which lag a layer's speed (change of CKA to the final state per log step) is most like that of "
        f"{curve_name(curve)}; {counted(seeds, 'seed') if seeds > 1 else 'one seed'}{_without(lags)}; "
        f"{counted(int(lags['steps'].max()), 'step')}; line: {tidy.level(lags)} interval over seeds. "
    )
    if tested:
        return text + "Filled: more than chance, by exchanging seeds, corrected for all layers and curves of the run."
    why = next((str(reason) for reason in lags["reason"] if ": five or more" in reason), "too little is known")
    return f"{text}Open: nothing tells these lags from coincidence ({why})."


def _fifth_caption(fifth: pd.DataFrame) -> str:
    seeds = int(fifth["seeds"].max())
    spread = f"mean of {seeds} seeds, line: {tidy.level(fifth)} interval over seeds" if seeds > 1 else "one seed"
    spread += _without(fifth)
    sites = f"{int(fifth['layers'].max())} sites{' that moved' * bool((fifth['unmoved'] > 0).any())}"
    return (
        f"The share of {sites} whose CKA to the final state stays at τ or more from a "
        f"step within the first fifth of training on (by {counting.at(int(fifth['last_step'].max()) // 5)}); {spread}."
    )


def _without(table: pd.DataFrame) -> str:
    told = [text for text in table["left_out"].dropna().unique() if text]
    return f", {told[0]}" if told else ""


def _reasons(lags: pd.DataFrame) -> list[str]:
    """Why lags are missing or cannot be told from coincidence, each reason once, in the order of how often."""
    told = [reason for reason in lags["reason"].unique() if reason.startswith(("too few", "one seed", "no seed")) or
            ": five or more" in reason]  # fmt: skip
    return [f"Lead or lag: {reason}." for reason in told[:2]]
