"""Layer × layer, live: all layers of the chosen checkpoint beside all of any other, from what shards hold."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from dash import Input, Output

from phasescope.analyses.reader import as_table
from phasescope.analyses.similarity.columns import MAPS, measures_named
from phasescope.analyses.similarity.comparing import Prepared, comparable
from phasescope.analyses.similarity.maps import ASKED, cells_of
from phasescope.explorer import figures
from phasescope.explorer.choice import among, held, step_at
from phasescope.hooks import Site
from phasescope.reports.kit.site_panel import HEIGHT
from phasescope.reports.similarity.figures import layer_map_figure
from phasescope.reports.similarity.words import MEASURES, map_title
from phasescope.store import ShardKey

if TYPE_CHECKING:
    from dash import Dash

    from phasescope.explorer.choice import Choice
    from phasescope.explorer.recorded import Recorded
    from phasescope.reports.kit.drawing import Drawing

# A slider is not waited for: of more samples these are compared, evenly spaced. And sites that stay prepared.
_SAMPLES, _PREPARED = 512, 256
SAME = "the same step"


class LayerMaps:
    """Maps of a run, with sites prepared once."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._prepared = functools.lru_cache(_PREPARED)(self._prepare)

    @property
    def others(self) -> list[str]:
        """Every training that a checkpoint can be laid beside: `1m seed 2`."""
        return [f"{size} seed {seed}" for size in self._recorded.sizes for seed in self._recorded.seeds(size)]

    @property
    def steps(self) -> list[str]:
        """At which it can be: the same step, or any that there is."""
        every = {step for size in self._recorded.sizes for step in self._recorded.steps(size)}
        return [SAME, *map(str, sorted(every))]

    def show(
        self, choice: Choice, seed: int, step: int, other: Any, other_step: Any, measure: Any
    ) -> tuple[Drawing, str]:
        """The map of the chosen component, and what is to be said of it.

        other, other_step: of `others` and `steps`; where it has no such step, the nearest. None: this training itself.
        """
        [name] = measures_named([str(measure)])
        size, _, of_seed = str(other or "").rpartition(" seed ")
        one = self._recorded.key(choice.size, seed, self._near(choice.size, seed, step))
        if other not in self.others:
            size, of_seed = choice.size, str(seed)
        wanted = int(other_step) if other_step in self.steps[1:] else step
        beside = self._recorded.key(size, int(of_seed), self._near(size, int(of_seed), wanted))
        sites = [self._sites(key.size, choice.component) for key in (one, beside)]
        if not all(sites):
            return figures.nothing(f"{choice.component} cannot be compared layer by layer with {size}."), ""
        rows = as_table(
            [
                row
                for mine in sites[0]
                for theirs in sites[1]
                for row in cells_of(ASKED, self._prepared(one, mine, name), self._prepared(beside, theirs, name))
            ],
            MAPS,
        )
        if rows["value"].isna().all():
            return figures.nothing(f"{rows['reason'].iloc[0]}."), ""
        axes = [f"{key.size}, seed {key.seed}, step {key.step}" for key in (beside, one)]
        figure = layer_map_figure(rows, (axes[0], axes[1])).and_layout(height=HEIGHT)
        return figure, f"{map_title(rows)}: {MEASURES[name]} of {choice.component}.{self._of_how_many()}"

    def _of_how_many(self) -> str:
        every = self._recorded.run.inputs.sampled
        return f" Of {every} samples {_SAMPLES} are compared." if every > _SAMPLES else ""

    def _near(self, size: str, seed: int, step: int) -> int:
        return min(self._recorded.steps(size, seed), key=lambda known: abs(known - step))

    def _sites(self, size: str, component: str) -> list[str]:
        known = comparable(site.name for site in self._recorded.sites(size))
        return [name for name in known if Site.parse(name).component == component]

    def _prepare(self, key: ShardKey, site: str, measure: str) -> Prepared:
        values = self._recorded.samples(key, Site.parse(site), None)
        if len(values) > _SAMPLES:
            values = values[np.linspace(0, len(values) - 1, _SAMPLES).round().astype(int)]
        return Prepared.of(key, site, torch.from_numpy(np.ascontiguousarray(values)), (measure,))


def register(app: Dash, recorded: Recorded, maps: LayerMaps) -> None:
    """The panel's answer."""

    @app.callback(
        Output("layers-figure", "figure"),
        Output("layers-says", "children"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("step", "value"),
        Input("layers-other", "value"),
        Input("layers-step", "value"),
        Input("layers-measure", "value"),
        prevent_initial_call=True,
    )
    def shown(place: Any, seed: Any, at: int, other: Any, other_step: Any, measure: Any) -> Any:
        choice = held(recorded, place)
        one = among("seed", seed, recorded.seeds(choice.size), f" of {choice.size}")
        return maps.show(choice, one, step_at(recorded, choice, at), other, other_step, measure)
