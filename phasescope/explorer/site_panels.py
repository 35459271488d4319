"""The panels that questions bring: one site along training, drawn from result tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.explorer import figures
from phasescope.reports.answers import answers
from phasescope.reports.kit.attending import ATTENTION, attending_of, attending_sentence
from phasescope.reports.kit.bands import phase_bands
from phasescope.reports.kit.gaps import gaps
from phasescope.reports.kit.site_panel import Looked, Shown, SitePanel
from phasescope.reports.kit.stages import staged

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from phasescope.explorer.choice import Choice
    from phasescope.explorer.recorded import Recorded
    from phasescope.reports.kit.drawing import Drawing

_NO_SEED = "No seed is chosen: tick one above."
_STALE = "The table was made of other checkpoints than are there now: phasescope analyse makes it anew."


def offered(recorded: Recorded) -> dict[str, SitePanel]:
    """The panels of all questions by the question's name: those that are always there, and those with a table."""
    panels = {name: answer.panel for name, answer in answers().items() if answer.panel is not None}
    return {name: panel for name, panel in panels.items() if panel.always or recorded.has(panel.table)}


class _NotMadeError(Exception):
    """A table is asked for that there is not."""


class SitePanels:
    """Answers what each of these panels shows of a choice."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self.offered = offered(recorded)

    def choices(self, name: str, choice: Choice) -> list[str]:
        """What the panel lets choose of a place; empty where there is nothing to choose."""
        panel = self.offered[name]
        return list(panel.choices(self._looked(choice, (), "", _no_rows))) if panel.choices else []

    def show(
        self, name: str, choice: Choice, seeds: Sequence[int], chosen: str | None, bands: str | None, step: int
    ) -> tuple[Drawing, str]:
        """The figure with phases behind it and the step of the slider, and what is said below."""
        stale: list[bool] = []

        def rows(table: str, by: Sequence[str], *values: str | int) -> pd.DataFrame:
            cut = self._recorded.table(table, *by)
            if cut is None:
                raise _NotMadeError
            stale.append(cut.stale)
            return cut.of(*values)

        panel, there = self.offered[name], self.choices(name, choice)
        wanted = chosen if chosen in there else next(iter(there), "")
        try:
            shown = Shown(_NO_SEED) if not seeds else panel.show(self._looked(choice, seeds, wanted, rows))
        except _NotMadeError:
            return figures.nothing(f"Nothing to show yet. This makes it: {self._command(name)}"), ""
        says = [*shown.says, *([_STALE] if any(stale) else [])]
        if isinstance(shown.figure, str):
            return figures.nothing(shown.figure), " ".join(says)
        return self._with_bands(shown.figure, choice.size, bands, step), " ".join(says)

    def beside(self, choice: Choice) -> str:
        """How far the layer attends, where attention is looked at; how phases of a size are found, where none were."""
        said = []
        if choice.component in ATTENTION:
            attends = attending_of(self._recorded.run, choice.size).get(choice.layer)
            said.append(attending_sentence(choice.layer, attends))
        if not self._recorded.phase_curves(choice.size):
            said.append(f"Bands of phases appear here after: {self._command('phases')}")
        return " ".join(filter(None, said))

    def matrices(self, choice: Choice) -> list[str]:
        """Weights and circuits of the layer that have spectra: `W_O`, `OV`, `experts.W_in`."""
        return sorted(self._recorded.weights(choice.size, choice.layer))

    def _looked(self, choice: Choice, seeds: Sequence[int], chosen: str, rows: Any) -> Looked:
        return Looked(
            choice.size,
            choice.component,
            choice.layer,
            choice.head,
            choice.site.name,
            choice.label,
            seeds,
            chosen,
            self.matrices(choice),
            rows,
        )

    def _with_bands(self, figure: Drawing, size: str, bands: str | None, step: int) -> Drawing:
        behind: dict[str, list[dict[str, Any]]] = {"shapes": [], "annotations": []}
        table = self._recorded.table("phases", "size")
        if bands is not None and table is not None:
            rows = table.of(size)
            rows = rows[rows["curve"] == bands]
            consensus = rows[rows["seed"].isna()]
            behind = phase_bands(rows if consensus.empty else consensus)
        run = self._recorded.run
        figure = staged(figure, run.manifest, size, gaps(run.reader, size))
        line = figures.step_line(counting.current().of(size, step))
        return figure.and_shapes(*behind["shapes"], line, annotations=tuple(behind["annotations"]))

    def _command(self, analysis: str) -> str:
        folder = self._recorded.run.folder
        out = f" --out {folder.out}" if folder.out else ""
        return f"phasescope analyse {folder.path} {analysis}{out}"


def _no_rows(table: str, by: Sequence[str], *values: str | int) -> pd.DataFrame:
    raise AssertionError("a panel's choices are made without rows")
