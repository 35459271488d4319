"""The part of a report about similarity: along training, beside its nulls, and layer by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, unanswered, variants
from phasescope.reports.kit.step_map import step_map
from phasescope.reports.similarity.figures import layer_map_figure
from phasescope.reports.similarity.words import MEASURES, RELATIONS, bounds, map_title

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.drawing import Drawing
    from phasescope.reports.kit.tables import Tables

_KEY, _TITLE = "similarity", "How alike layers are"
_INTRO = (
    "Each layer beside its own last step, the step before, the next layer, other seeds and the next larger size. What "
    "is high at the first step already, or where samples do not match, is no finding."
)
_NAMES = ("component", "measure", "relation")


def similarity_parts(size: str, tables: Tables) -> list[Part]:
    """A map along training, the curve of the middle layer beside its nulls, and maps of layers by layers."""
    table = tables["similarity"]
    notes = [f"{reason}." for reason in tidy.reasons(table) if reason.startswith("CCA")]
    known = table[table["value"].notna()]
    if known.empty:
        return unanswered(_KEY, _TITLE, table)
    controls = [
        _control("component", "Component", tidy.ordered_components(known["component"].unique()), {}),
        _control("measure", "Measure", known["measure"].unique(), MEASURES),
        _control("relation", "Compared", known["relation"].unique(), RELATIONS),
    ]
    panels = _along(known, controls) if known["step"].nunique() > 1 else []
    panels += _layers(tables["similarity_maps"], controls[:2])
    if any(panel.title.startswith("Layer by layer") for panel in panels):
        controls.append(_maps(tables["similarity_maps"]))
    return [Part(_KEY, _TITLE, _INTRO, panels, notes=notes, controls=controls)] if panels else []


def _control(name: str, label: str, there: Iterable[Any], titles: dict[str, str]) -> Control:
    known = list(map(str, there))
    ordered = [key for key in titles if key in known] if titles else known
    return Control(name, label, [(key, titles.get(key, key)) for key in ordered])


def _along(known: pd.DataFrame, controls: Sequence[Control]) -> list[Panel]:
    def chosen(component: str, measure: str, relation: str) -> pd.DataFrame:
        return tidy.of(known, component=component, measure=measure, relation=relation)

    def over_layers(*choice: str) -> Drawing | None:
        rows = chosen(*choice)
        return None if rows.empty else step_map(rows.assign(head=None), "value", bounds=bounds(choice[1]))[0]

    def beside(*choice: str) -> Drawing | None:
        rows = chosen(*choice)
        return None if rows.empty else _beside(rows, MEASURES[choice[1]])

    first = [control.options[0][0] for control in controls]
    maps, curves = over_layers(*first), beside(*first)
    if maps is None or curves is None:
        return []
    about = f"{tidy.over_seeds(known)}; {int(known['samples'].max())} samples"
    null = "Shuffled: the same of samples that do not match. Dashed: what it was at the first step"
    return [
        Panel("Along training", f"{about}.", maps, _NAMES, _others(controls, over_layers), source="similarity"),
        Panel(
            "The middle layer beside its nulls",
            f"{null}; {about}; band: {tidy.band(known, 'sequences')}.",
            curves,
            _NAMES,
            _others(controls, beside),
            source="similarity",
        ),
    ]


def _beside(rows: pd.DataFrame, title: str) -> Drawing:
    layers = tidy.integers(rows["layer"])
    layer = layers[len(layers) // 2]
    rows = tidy.of(rows, layer=layer)
    parts = {f"L{layer}": rows}
    if rows["shuffled"].notna().any():
        parts["shuffled"] = rows.assign(**dict.fromkeys(("value", "low", "high"), rows["shuffled"]))
    first = float(rows["first"].median())
    steps = tidy.integers(rows["step"])
    return along_training(parts, ("value", "low", "high"), title, faint={f"at step {steps[0]}": first})


def _layers(maps: pd.DataFrame, controls: Sequence[Control]) -> list[Panel]:
    """One panel of layers by layers, with a choice of which checkpoints."""
    known = maps[maps["value"].notna()]
    if known.empty:
        return []
    which = _maps(maps)

    def draw(component: str, measure: str, name: str) -> Drawing | None:
        rows = tidy.of(known, component=component, measure=measure).copy()
        rows = rows[rows.apply(_name, axis=1) == name] if len(rows) else rows
        if rows.empty:
            return None
        row = rows.iloc[0]
        other = f"{row['other_size']}, seed {row['other_seed']}, step {row['other_step']}"
        return layer_map_figure(rows, (other, f"{row['size']}, seed {row['seed']}, step {row['step']}"))

    choices = [*controls, which]
    first = draw(*(control.options[0][0] for control in choices))
    if first is None:
        return []
    text = (
        "Every layer of one checkpoint beside every layer of another. Blocks along the diagonal are layers that do the "
        "same; look at the first step too, whose pattern comes from the architecture alone. Two others: "
        "--map A:B of phasescope analyse, or phasescope explore."
    )
    names = ("component", "measure", "map")
    return [Panel("Layer by layer", text, first, names, _others(choices, draw), source="similarity_maps")]


def _maps(maps: pd.DataFrame) -> Control:
    known = maps[maps["value"].notna()]
    found = {str(_name(rows.iloc[0])): map_title(rows) for _, rows in known.groupby(_PAIR, sort=False, observed=True)}
    return Control("map", "Checkpoints", list(found.items()))


_PAIR = ["size", "seed", "step", "other_size", "other_seed", "other_step"]


def _name(row: pd.Series[Any]) -> str:
    return " ".join(str(row[name]) for name in _PAIR)


def _others(controls: Sequence[Control], draw: Callable[..., Drawing | None]) -> dict[str, list[dict[str, Any]]]:
    def made(*chosen: str) -> list[dict[str, Any]] | None:
        figure = draw(*chosen)
        return None if figure is None else traces_of(figure)

    return variants(controls, made)
