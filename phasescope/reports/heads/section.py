"""The part of a report about what attention heads look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.reports.heads.figures import SCORES, gain_figure, head_map, strongest_figure
from phasescope.reports.heads.sentences import formed_sentence
from phasescope.reports.kit import tidy
from phasescope.reports.kit.attending import attending_of, with_marks
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.drawing import Drawing
    from phasescope.reports.kit.tables import RunLike

_TITLE, _KEY = "What heads look at", "heads"


def heads_part(run: RunLike) -> Part:
    """A map of all heads, and the strongest induction head along training; where there is nothing to show, why."""
    try:
        heads, repetition, bumps = (run.table(name) for name in ("heads", "repetition", "induction_heads"))
    except PhasescopeError as error:
        return Part(_KEY, _TITLE, "", notes=[str(error)])
    if heads.empty:
        return Part(_KEY, _TITLE, "", notes=[str(heads.attrs.get("absent") or "No heads were scored.")])
    sizes = [size for size in run.sizes if size in set(heads["size"])]
    controls = [
        Control("size", "Size", [(size, size) for size in reversed(sizes)]),
        Control("score", "Score", list(SCORES.items())),
    ]

    def draw(size: str, score: str) -> Drawing:
        return head_map(tidy.of(heads, size=size), score, tidy.of(bumps, size=size))

    first = [control.options[0][0] for control in controls]
    others = variants(controls, lambda *chosen: traces_of(draw(*chosen)))
    about = f"{tidy.over_seeds(heads)}; {counted(int(heads['sequences'].max()), 'sequence')}"
    text = f"Share of the attention of the second half, mean over its tokens; ring: where a head forms; {about}."
    panels = [Panel("Every head", text, draw(*first), ("size", "score"), others, source="heads, induction_heads")]
    attend = [attending_of(run, size) for size in sizes]
    if all(each == attend[0] for each in attend):
        # Of sizes whose layers differ in this the page's last table says it.
        panels = [with_marks(panels[0], attend[0])]
    if repetition["step"].nunique() > 1:
        panels += _curves(repetition, bumps, sizes)
    intro = (
        "Random tokens are read twice. In the second half an induction head looks at what came after the same token "
        "before; so it says what comes next. Twins, whose second half repeats nothing, show what a head does there "
        "for reasons of position."
    )
    notes = [told for size in sizes if (told := formed_sentence(size, tidy.of(bumps, size=size)))]
    return Part(_KEY, _TITLE, intro, panels, notes=notes, controls=controls)


def _curves(repetition: pd.DataFrame, bumps: pd.DataFrame, sizes: list[str]) -> list[Panel]:
    about = f"{tidy.over_seeds(repetition)}; band: {tidy.band(repetition, 'sequences')}"
    strongest = (
        "Attention by induction less that of twins to the same places, of the head that has most at each step; star: "
        f"half of its highest; {about}."
    )
    gain = f"By how much less surprising the second half is for having been read before; {about}."
    source = "repetition, induction_heads"
    return [
        Panel("The strongest induction head", strongest, strongest_figure(repetition, bumps, sizes), source=source),
        Panel("What repeating is worth", gain, gain_figure(repetition, sizes), source="repetition"),
    ]
