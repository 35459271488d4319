"""The part of a report about nearest neighbours, and the sentence about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, unanswered, variants
from phasescope.reports.kit.step_map import step_map

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.drawing import Drawing
    from phasescope.reports.kit.tables import Tables

AGAINST = {"last": "the last step", "previous": "the step before", "seeds": "other seeds"}
_KEY, _TITLE = "neighbours", "Nearest neighbours"


def neighbours_parts(size: str, tables: Tables) -> list[Part]:
    """A map of layers by step for every component and comparison, and the curves of the middle layer beside chance."""
    every = tables["neighbours"]
    table = every[every["overlap"].notna()]
    if table.empty:
        return unanswered(_KEY, _TITLE, every)
    layered = table[table["layer"].notna()]
    if layered.empty or layered["step"].nunique() < 2:
        return []
    by_component = Control(
        "component", "Component", [(name, name) for name in tidy.ordered_components(layered["component"].unique())]
    )
    there = [name for name in AGAINST if name in set(layered["against"])]
    by_against = Control("against", "Shared with", [(name, AGAINST[name]) for name in there])
    controls = [by_component, by_against]

    def draw(component: str, against: str) -> Drawing:
        rows = tidy.of(layered, component=component, against=against).assign(head=0)
        return step_map(rows, "overlap", bounds=(0, 1))[0]

    def made(component: str, against: str) -> list[dict[str, Any]] | None:
        return traces_of(draw(component, against)) if _any(layered, component, against) else None

    first = (by_component.options[0][0], there[0])
    about = f"{tidy.over_seeds(table)}; {int(layered['samples'].max())} samples, {int(table['k'].max())} neighbours"
    panels = [
        Panel(
            "Layer by layer",
            f"Share of nearest neighbours in common; {about}.",
            draw(*first),
            ("component", "against"),
            variants(controls, made),
            source="neighbours",
        ),
        Panel(
            "The middle layer beside chance",
            f"Chance: neighbours of shuffled samples; {about}; band: {tidy.band(table, 'sequences')}.",
            _curves(layered, first[0]),
            ("component",),
            variants([by_component], lambda component: traces_of(_curves(layered, component))),
            source="neighbours",
        ),
    ]
    intro = "Whether a sampled token has the same nearest neighbours among the others as elsewhere in training."
    return [Part(_KEY, _TITLE, intro, panels, controls=controls)]


def _any(table: pd.DataFrame, component: str, against: str) -> bool:
    return not tidy.of(table, component=component, against=against).empty


def _curves(table: pd.DataFrame, component: str) -> Drawing:
    rows = tidy.of(table, component=component)
    layers = tidy.integers(rows["layer"])
    rows = tidy.of(rows, layer=layers[(len(layers) - 1) // 2])
    parts = {AGAINST[name]: tidy.of(rows, against=name) for name in AGAINST if name in set(rows["against"])}
    chance = float(rows["shuffled"].mean())
    return along_training(parts, ("overlap", "low", "high"), "share of neighbours", faint={"chance": chance})


def neighbours_finding(size: str, tables: Tables, seeds: int) -> str:
    """How many neighbours of the deepest layer are those of the last step, at the first and the last but one."""
    table = tidy.of(tables["neighbours"], against="last")
    table = pooled(table[table["overlap"].notna() & table["layer"].notna()])
    if table.empty or table["step"].nunique() < 2:
        return ""
    component = tidy.ordered_components(table["component"].unique())[-1]
    mine = tidy.of(table, component=component)
    mine = tidy.of(mine, layer=max(tidy.integers(mine["layer"])))
    ends = []
    for step in (int(mine["step"].min()), int(mine["step"].max())):
        rows = tidy.of(mine, step=step)
        ends.append(f"{tidy.interval(rows['overlap'].median(), *tidy.outermost(rows))} at step {step}")
    return (
        f"Of the {int(mine['k'].max())} nearest neighbours in the deepest {component} of {size} the share that are "
        f"those of the last step is {ends[0]} and {ends[1]} ({tidy.over_seeds(mine)}, outermost ends of intervals; by "
        f"chance {mine['shuffled'].mean():.2f})."
    )
