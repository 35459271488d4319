"""How experts are used, in pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.reports.kit import theme, tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.drawing import Drawing

if TYPE_CHECKING:
    import pandas as pd

TITLES = {
    "agreement": "share of the last step's experts",
    "entropy": "entropy of the load (nats)",
    "largest": "share of choices of the most used expert",
}


def experts_figure(experts: pd.DataFrame, measure: str) -> Drawing:
    """One measure along training, a curve for each layer, median over seeds.

    Args:
        experts: columns seed, step, layer, measure, value, low, high, chance, experts, of one size.
        measure: a key of `TITLES`.

    Raises:
        ValueError: there is nothing to draw.
    """
    known = tidy.of(experts, measure=measure)
    marks: dict[str, float] = {}
    if measure == "entropy" and len(known):
        import numpy as np

        marks = {"all alike": float(np.log(known["experts"].max()))}
    if measure == "agreement" and len(known):
        last = known[known["step"] == known["step"].max()]
        marks = {"by chance": float(last["chance"].median())}
    return _by_layer(known, TITLES[measure], marks)


def seeds_figure(seeds: pd.DataFrame) -> Drawing:
    """How far two seeds send tokens to the same experts, beyond chance, a curve for each layer, median over pairs.

    Args:
        seeds: columns step, layer, seed, value, low, high, chance, of one size.
    """
    above = seeds.assign(**{name: seeds[name] - seeds["chance"] for name in ("value", "low", "high")})
    return _by_layer(above, "share of a token's experts, above chance", {"by chance": 0.0})


def _by_layer(rows: pd.DataFrame, title: str, marks: dict[str, float]) -> Drawing:
    layers = tidy.integers(rows["layer"])
    parts = {f"L{layer}": tidy.of(rows, layer=layer) for layer in layers}
    looks = {name: theme.depth_style(number, len(layers)) for number, name in enumerate(parts)}
    return along_training(parts, ("value", "low", "high"), title, faint=marks, looks=looks)
