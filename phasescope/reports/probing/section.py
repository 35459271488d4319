"""The part of a report about probes: maps of layers and steps, and curves beside what fools them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phasescope.reports.kit import tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, unanswered, variants
from phasescope.reports.kit.step_map import step_map

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.drawing import Drawing
    from phasescope.reports.kit.tables import Tables

LABELS = {
    "pos": "Part of speech",
    "frequency": "Frequency of the token",
    "position": "Position in the window",
    "next_token": "Next token",
}
MEASURES = {"accuracy": "Accuracy", "selectivity": "Selectivity", "bits": "Bits per label"}
_INTRO = (
    "What a linear probe reads off activations of sequences that it has not seen, and whether that is more than it "
    "could learn by heart."
)
UNITS = {"bits": " bits"}


def probing_parts(tables: Tables) -> list[Part]:
    """A map of each label and measure, and the mean over layers beside control tasks and the most frequent class."""
    each, whole = tables["probing"], tables["probed"]
    every = each
    each = every[every["accuracy"].notna()]
    if each.empty:
        return unanswered("probing", "What can be read off activations", every)
    if each["step"].nunique() < 2:
        return []
    controls = [
        Control("component", "Component", [(name, name) for name in tidy.ordered_components(each["component"])]),
        Control("label", "Label", [(name, LABELS.get(name, name)) for name in dict.fromkeys(each["label"])]),
        Control("measure", "Measure", list(MEASURES.items())),
    ]

    def draw(component: str, label: str, measure: str) -> Drawing | None:
        rows = tidy.of(each, component=component, label=label)
        return None if rows.empty else step_map(rows, measure, unit=UNITS.get(measure, ""))[0]

    def beside(component: str, label: str, measure: str) -> Drawing | None:
        rows = tidy.of(whole, component=component, label=label)
        return None if rows.empty else _curves(rows, measure)

    first = [control.options[0][0] for control in controls]
    maps, curves = draw(*first), beside(*first)
    if maps is None or curves is None:
        return []
    names = ("component", "label", "measure")
    about = f"{tidy.over_seeds(each)}; {_samples(each)}"
    panels = [
        Panel("Layer by layer", f"{about}.", maps, names, _others(controls, draw), source="probing"),
        Panel(
            "Beside what fools a probe",
            "Mean over layers. Control: the same probe of random classes, one for each type of word; selectivity is "
            f"accuracy less that. Dashed: the most frequent class, or all classes alike. {about}; "
            f"band: {tidy.band(whole, 'held-out sequences')}.",
            curves,
            names,
            _others(controls, beside),
            source="probed",
        ),
    ]
    return [Part("probing", "What can be read off activations", _INTRO, panels, controls=controls)]


def _curves(rows: pd.DataFrame, measure: str) -> Drawing:
    """Accuracy beside its control and the majority; selectivity with 0; bits beside those of a uniform code."""
    own = {"accuracy": ("low", "high")}.get(measure, (f"{measure}_low", f"{measure}_high"))
    parts = {"probe": rows.rename(columns={measure: "v", own[0]: "l", own[1]: "h"})[["size", "seed", "step", *"vlh"]]}
    if measure == "accuracy":
        control = rows["control"]
        parts["control task"] = rows[["size", "seed", "step"]].assign(v=control, l=control, h=control)
    faint = {
        "accuracy": {"most frequent class": float(rows["majority"].iloc[0])},
        "selectivity": {"no more than by heart": 0.0},
        "bits": {"all classes alike": float(rows["uniform_bits"].iloc[0])},
    }[measure]
    return along_training(parts, ("v", "l", "h"), MEASURES[measure].lower(), unit=UNITS.get(measure, ""), faint=faint)


def _samples(table: pd.DataFrame) -> str:
    train, held = int(table["train"].max()), int(table["held_out"].max())
    return (
        f"up to {train} samples to learn from, {held} of {int(table['sequences'].max())} other sequences to be asked of"
    )


def _others(
    controls: list[Control], draw: Callable[[str, str, str], Drawing | None]
) -> dict[str, list[dict[str, Any]]]:
    def made(*chosen: str) -> list[dict[str, Any]] | None:
        figure = draw(chosen[0], chosen[1], chosen[2])
        return None if figure is None else traces_of(figure)

    return variants(controls, made)
