"""The lens along training: maps of layers by step, and curves beside what another token would show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from phasescope.reports.kit import tidy
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.step_map import step_map

if TYPE_CHECKING:
    from phasescope.reports.kit.drawing import Drawing

SCORES = {
    "kl": "KL of the model's output from the lens (nats)",
    "agreement": "Share of tokens whose likeliest is the model's own",
    "probability": "Probability of the right token",
    "rank": "Rank of the right token (geometric mean)",
    "surprisal": "Surprisal of the right token (nats)",
    "entropy": "Entropy of the lens (nats)",
}
ANOTHER = "beside another token"
_SHARES = ("agreement", "probability")
# What is less than this of all tokens' logits is what rounding leaves.
_NOTHING = 1e-3
_SUMS = {"attn_out": "attention, all layers", "mixer_out": "mixers, all layers", "mlp_out": "MLP, all layers"}


def lens_map(lens: pd.DataFrame, score: str) -> Drawing:
    """One score by layer (up: deeper, lowest the embedding) and step, median over seeds; of one size and lens.

    Colours are those of the layers: the embedding, which is far from all of them, would leave them one colour.
    Raises ValueError where there is no number.
    """
    rows = tidy.of(lens, score=score).assign(head=0)
    highest = float(rows.loc[rows["layer"] >= 0, "value"].max())
    return step_map(rows, "value", bounds=(0, 1 if score in _SHARES else highest))[0]


def middle_curve(lens: pd.DataFrame, score: str) -> Drawing:
    """One score of the middle layer along training, beside the same of another token.

    Raises ValueError where there is no number.
    """
    rows = tidy.of(lens, score=score)
    layer = middle_layer(rows)
    rows = tidy.of(rows, layer=layer)
    return _beside(rows, ("value", "low", "high"), f"L{layer}", "score")


def middle_layer(rows: pd.DataFrame) -> int:
    layers = [layer for layer in tidy.integers(rows["layer"]) if layer >= 0]
    return layers[(len(layers) - 1) // 2]


def depth_curve(depth: pd.DataFrame) -> Drawing:
    """After how many layers predictions are fixed, of one size and lens. Raises ValueError where there is no number."""
    return _beside(depth, ("depth", "low", "high"), "the model's own prediction", "layers read")


def _beside(rows: pd.DataFrame, columns: tuple[str, str, str], name: str, title: str) -> Drawing:
    parts = {name: rows}
    if rows["shuffled"].notna().any():
        parts[ANOTHER] = rows.assign(**dict.fromkeys(columns, rows["shuffled"]))
    return along_training(parts, columns, title)


def attribution_map(attribution: pd.DataFrame, component: str) -> Drawing:
    """What one component of each layer adds to the right logit, by step. Raises ValueError where there is no number."""
    rows = tidy.of(attribution, component=component).assign(head=0)
    return step_map(rows, "value", unit=" logits")[0]


def attribution_curve(attribution: pd.DataFrame) -> Drawing:
    """What the parts of the residual stream add to the right logit, layers summed up, median over seeds."""
    parts = {}
    for component in dict.fromkeys(attribution["component"]):
        rows = tidy.of(attribution, component=component)
        if rows["value"].abs().max() > _NOTHING:
            summed = rows.groupby(["seed", "step"], as_index=False)["value"].sum()
            parts[_SUMS.get(component, component)] = summed.assign(low=float("nan"), high=float("nan"))
    return along_training(parts, ("value", "low", "high"), "logits")
