"""The part of a report about the shape of activations, and the sentence about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, unanswered, variants
from phasescope.reports.kit.step_map import step_map

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.drawing import Drawing
    from phasescope.reports.kit.tables import Tables

MEASURES = {
    "participation_ratio": "Participation ratio",
    "intrinsic_dimension": "Intrinsic dimension (TwoNN)",
    "anisotropy": "Anisotropy (mean cosine)",
    "gini": "Gini",
    "hoyer": "Hoyer",
    "norm": "Norm",
    "active_share": "Active neurons",
    "dead_share": "Dead neurons",
}
_KEY, _TITLE = "geometry", "The shape of activations"


def geometry_parts(size: str, tables: Tables) -> list[Part]:
    """A map for every component and measure, and the curve of the middle layer beside shuffled features."""
    every = tables["geometry"]
    table = every[every["value"].notna()]
    if table.empty:
        return unanswered(_KEY, _TITLE, every)
    if table["step"].nunique() < 2:
        return []
    components = tidy.ordered_components(table["component"].unique())
    there = [name for name in MEASURES if name in set(table["measure"])]
    controls = [
        Control("component", "Component", [(name, name) for name in components]),
        Control("measure", "Measure", [(name, MEASURES[name]) for name in there]),
    ]

    def chosen(component: str, measure: str) -> pd.DataFrame:
        return tidy.of(table, component=component, measure=measure)

    def draw(component: str, measure: str) -> Drawing | None:
        rows = chosen(component, measure)
        return None if rows.empty else step_map(rows, "value")[0]

    def beside(component: str, measure: str) -> Drawing | None:
        rows = chosen(component, measure)
        if rows.empty:
            return None
        layers = tidy.integers(rows["layer"])
        rows = tidy.of(rows, layer=layers[len(layers) // 2])
        parts = {f"L{layers[len(layers) // 2]}": rows}
        if rows["shuffled"].notna().any():
            shown = dict.fromkeys(("value", "low", "high"), rows["shuffled"])
            parts["features shuffled"] = rows.assign(**shown)
        return along_training(parts, ("value", "low", "high"), MEASURES[measure].lower())

    first = [control.options[0][0] for control in controls]
    maps, curves = draw(*first), beside(*first)
    if maps is None or curves is None:
        return []
    about = f"{tidy.over_seeds(table)}; {int(table['samples'].max())} samples"
    names = ("component", "measure")
    panels = [
        Panel("Layer by layer", f"{about}.", maps, names, _others(controls, draw), source="geometry"),
        Panel(
            "The middle layer beside shuffled features",
            f"Shuffled: every feature from samples of its own, what is left without structure between them; {about}; "
            f"band: {tidy.band(table, 'sequences')}.",
            curves,
            names,
            _others(controls, beside),
            source="geometry",
        ),
    ]
    intro = "How many dimensions activations have, whether they point one way, and how few neurons say most."
    return [Part(_KEY, _TITLE, intro, panels, controls=controls)]


def _others(controls: list[Control], draw: Callable[[str, str], Drawing | None]) -> dict[str, list[dict[str, Any]]]:
    def made(*chosen: str) -> list[dict[str, Any]] | None:
        figure = draw(chosen[0], chosen[1])
        return None if figure is None else traces_of(figure)

    return variants(controls, made)


def geometry_finding(size: str, tables: Tables, seeds: int) -> str:
    """In which layer the participation ratio changes most, of the component that comes last in a layer."""
    table = tidy.of(tables["geometry"], measure="participation_ratio")
    table = pooled(table[table["value"].notna()])
    if table.empty or table["step"].nunique() < 2:
        return ""
    component = tidy.ordered_components(table["component"].unique())[-1]
    mine = tidy.of(table, component=component)
    middle = mine.groupby(["layer", "step"])["value"].median().unstack("step").dropna(axis=1)
    if middle.shape[1] < 2:
        return ""
    change = (middle.iloc[:, -1] - middle.iloc[:, 0]).abs().to_numpy()
    layer = tidy.integers(mine["layer"])[int(change.argmax())]
    ends = []
    for step in (middle.columns[0], middle.columns[-1]):
        rows = tidy.of(mine, layer=layer, step=int(step))
        low, high = tidy.outermost(rows)
        ends.append(f"{tidy.interval(rows['value'].median(), low, high, digits=1)} at {counting.at(step)}")
    return (
        f"The participation ratio of {size} changes most in L{layer}.{component}: from {ends[0]} to {ends[1]} "
        f"({tidy.over_seeds(mine)}, outermost ends of intervals)."
    )
