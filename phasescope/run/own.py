"""Measures of one's own of a run: made, kept, shown, and laid beside behaviour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.run.held import Held

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure


class Own(Held):
    """What is done with functions that users bring along."""

    def map(
        self,
        function: Callable[..., Any] | str,
        sites: str | Sequence[str] | None = None,
        steps: str | int | Sequence[int | str] = "log",
        pairs: str | None = None,
        *,
        name: str | None = None,
        resamples: int = 0,
        level: float = 0.95,
        seed: int = 0,
    ) -> DataFrame:
        """A measure of one's own at every site, checkpoint and head; kept, and made anew when what it is of changes.

        function: of a tensor `[samples, d]` float32, or of two where there are pairs; gives a number or a dict of
            numbers. Or a `ps.Measure`, or the name of one (`package:name`).
        sites: components (`"mlp_out"`) or single sites (`"L3.z"`), one or several; None: all that were recorded. Of
            components with heads each head is a row, and of `ov_out` their sum too.
        steps: as for `capture`: `"log"`, `"all"`, `"last"`, `[0, 512]`.
        pairs: what each site is compared with, as the second argument: `"final"` (the same site at the last step),
            `"previous"` (at the step before, of those chosen), `"seeds"` (every later seed), `"layers"` (every later
            layer of that component); None: nothing. Column `other` is that step, seed or layer.
        name: what the table is called; None: as the function.
        resamples, level, seed: of intervals by a bootstrap over sequences, the resamples of all our own; 0: none.

        Returns a tidy table: size, seed, step, site, layer, component, head, other, quantity (the name, or the key of
        the dict), value, low, high, level, samples, reason (why there is no value).

        Where the function raises, that value is missing with the reason. Raises `PhasescopeError` for a function that
        gives an array where a number is expected, that never gives one, or that has no name.
        """
        from phasescope.analyses.own import Asked, map_measure
        from phasescope.plugins import measure_named, measure_of

        found, package = measure_named(function) if isinstance(function, str) else (function, "")
        chosen = measure_of(found, name)
        asked = Asked(chosen.sites if sites is None else sites, steps, pairs or chosen.pairs, resamples, level, seed)
        return map_measure(self.reader, chosen, package, asked)

    @property
    def measured(self) -> list[str]:
        """The measures of one's own that the run keeps (`map`), for `table`, `show`, `phases_of` and the report."""
        from phasescope.analyses.own import measured_names

        return measured_names(self.folder)

    def show(
        self, name: str, component: str | None = None, size: str | None = None, *, axis: str | None = None
    ) -> Figure:
        """A plotly figure of a measure of one's own along training: a curve for each layer, or for each seed of one.

        component, size: which, where there are several; None: the first and the largest.
        axis: `"tokens"`: counted in tokens, as of `run.report`.

        Raises `PhasescopeError` for a measure that the run does not keep, with the nearest.
        """
        from phasescope.analyses.own import measured_table
        from phasescope.counting import showing
        from phasescope.reports.kit.gaps import gaps
        from phasescope.reports.kit.shown import as_shown
        from phasescope.reports.kit.stages import staged
        from phasescope.reports.kit.tokens_read import counting_of
        from phasescope.reports.own import own_figure

        with showing(counting_of(self.manifest, axis)):
            drawing, of = own_figure(as_shown(name, measured_table(self.reader, name)), component, size)
            return staged(drawing, self.manifest, of, gaps(self.reader, of)).plotly()

    def phases_of(self, name: str) -> DataFrame:
        """The phases of a measure of one's own, curve by curve; see `phasescope.analyses.own.own_phases`."""
        from phasescope.analyses.own import measured_table, own_phases

        return own_phases(measured_table(self.reader, name))

    def link_of(self, name: str) -> DataFrame:
        """Which share of the moving of a measure of one's own falls into each behavioural phase, as `link` has it."""
        from phasescope.analyses.own import measured_table, own_shares

        return own_shares(self.reader, measured_table(self.reader, name))

    def lags_of(self, name: str) -> DataFrame:
        """Whether a measure of one's own leads or follows each behavioural curve, as the table `link_lags` has it."""
        from phasescope.analyses.own import measured_table, own_lags

        return own_lags(self.reader, measured_table(self.reader, name))
