"""The part of a report about what each layer would predict."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from phasescope.console import counted
from phasescope.reports.kit import tidy
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.lens.figures import (
    SCORES,
    attribution_curve,
    attribution_map,
    depth_curve,
    lens_map,
    middle_curve,
    middle_layer,
)

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.drawing import Drawing
    from phasescope.reports.kit.tables import Tables

_KEY, _TITLE = "lens", "What layers would predict"
LENSES = {"logit": "Logit lens", "tuned": "Tuned lens"}
PARTS = {"attn_out": "Attention", "mixer_out": "Mixer", "mlp_out": "MLP"}


def lens_parts(size: str, tables: Tables) -> list[Part]:
    """Maps and curves of one size; none where it was not looked at, or at one step only."""
    lens, depth, attribution = (tables[name] for name in ("lens", "lens_depth", "attribution"))
    if lens.empty or lens["step"].nunique() < 2:
        return []
    lenses = [name for name in LENSES if name in set(lens["lens"])]
    components = [name for name in PARTS if name in set(attribution["component"])]
    by_lens = Control("lens", "Lens", [(name, LENSES[name]) for name in lenses])
    by_score = Control("score", "Score", list(SCORES.items()))
    by_part = Control("component", "Part", [(name, PARTS[name]) for name in components])
    about = (
        f"{tidy.over_seeds(lens)}; {counted(int(lens['tokens'].max()), 'token')} of "
        f"{counted(int(lens['sequences'].max()), 'sequence')}"
    )
    band = f"band: {tidy.band(lens, 'sequences')}"
    panels = [
        _panel(
            "Layer by layer",
            f"Lowest: what enters the first layer, in the colours of the layers; {about}.",
            [by_lens, by_score],
            lambda one, score: lens_map(tidy.of(lens, lens=one), score),
            "lens",
        ),
        _panel(
            f"The middle layer, L{middle_layer(lens)}",
            f"Second curve: beside the prediction and the target of another token, which is chance; {about}; {band}.",
            [by_lens, by_score],
            lambda one, score: middle_curve(tidy.of(lens, lens=one), score),
            "lens",
        ),
        _panel(
            "When the prediction is fixed",
            "After so many layers the likeliest token is the model's own and stays it; second curve: the prediction of "
            f"another token, where never is one more than all layers; {about}; {band}.",
            [by_lens],
            lambda one: depth_curve(tidy.of(depth, lens=one)),
            "lens_depth",
        ),
    ]
    if components:
        panels += _attribution(attribution, by_part, about)
    intro = (
        "The residual stream of each layer is read as if the model ended there: how far its prediction is from the "
        "model's own, and how well it knows the token that comes."
    )
    controls = [by_lens, by_score, *([by_part] if components else [])]
    return [Part(_KEY, _TITLE, intro, panels, controls=controls)]


def _attribution(attribution: pd.DataFrame, by_part: Control, about: str) -> list[Panel]:
    against = "Against the mean over all entries of the vocabulary, the final norm's divisor held"
    return [
        _panel(
            "What adds to the right logit, layer by layer",
            f"{against}; {about}.",
            [by_part],
            lambda part: attribution_map(attribution, part),
            "attribution",
        ),
        _panel(
            "What adds to the right logit",
            f"{against}; layers summed up; {about}.",
            [],
            lambda: attribution_curve(attribution),
            "attribution",
        ),
    ]


def _panel(title: str, text: str, controls: list[Control], draw: Callable[..., Drawing], source: str) -> Panel:
    first = [control.options[0][0] for control in controls]

    def made(*chosen: str) -> list[dict[str, Any]]:
        return traces_of(draw(*chosen))

    names = tuple(control.name for control in controls)
    return Panel(title, text, draw(*first), names, variants(controls, made) if controls else {}, source=source)
