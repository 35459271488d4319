"""What answers to the live panel: begin, cancel, and whatever has come since the page last asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from dash import Input, Output, State, no_update

from phasescope import counting
from phasescope.errors import PhasescopeError
from phasescope.explorer import figures, layout
from phasescope.explorer.choice import Choice, held, seeds_among
from phasescope.explorer.live_job import Asked, Job, Jobs
from phasescope.reports.kit.drawing import Drawing

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from dash import Dash

    from phasescope.explorer.recorded import Recorded

Answer = Any


def register(app: Dash, recorded: Recorded, jobs: Jobs) -> None:
    """Everything that probes checkpoints."""

    @app.callback(
        Output("live-poll", "disabled"),
        Output("live-state", "children", allow_duplicate=True),
        Output("live-shown", "data", allow_duplicate=True),
        Input("live-go", "n_clicks"),
        State("live-text", "value"),
        State("place", "data"),
        State("seeds", "value"),
        State("seed", "value"),
        State("live-steps", "value"),
        prevent_initial_call=True,
    )
    def begin(_clicks: int, text: Any, place: Any, seeds: Any, seed: Any, steps: Any) -> Answer:
        choice = held(recorded, place)
        if not isinstance(text, str | None) or not isinstance(steps, str):
            raise PhasescopeError("What is to be read, and at which steps, comes as text.")
        chosen = seeds_among(recorded, choice, seeds) or seeds_among(recorded, choice, [seed])
        jobs.start(Asked(text or "", choice.site, choice.head, choice.size, tuple(chosen), steps))
        return False, "beginning …", "nothing yet"

    @app.callback(Input("live-stop", "n_clicks"), prevent_initial_call=True)
    def cancel(_clicks: int) -> None:
        jobs.stop()

    @app.callback(
        Output("live-strip", "figure"),
        Output("live-curves", "figure"),
        Output("live-state", "children"),
        Output("live-says", "children"),
        Output("live-notes", "children"),
        Output("live-stop", "disabled"),
        Output("live-shown", "data"),
        Output("live-poll", "disabled", allow_duplicate=True),
        Output("live-figures", "hidden"),
        Input("live-poll", "n_intervals"),
        Input("live-measure", "value"),
        Input("seed", "value"),
        State("live-shown", "data"),
        prevent_initial_call=True,
    )
    def look(_asked: int, measure: str, seed: int, shown: str) -> Answer:
        """What has come; nothing is sent again that the page shows already."""
        job = jobs.latest
        # A page that has just been opened shows what is running, not what somebody asked before.
        if job is None or (not shown and not job.active):
            return (no_update,) * 9
        readings = list(job.readings)
        now = f"{job.number} {len(readings)} {job.state} {measure} {seed}"
        if now == shown:
            return (no_update,) * 9
        one = seed if seed in job.asked.seeds else job.asked.seeds[0]
        strip, curves = _strip(job, layout.measure(measure), one), _curves(job, recorded.seeds(job.asked.size))
        figures_there = bool(job.readings) or job.active
        return (
            *(strip, curves, _state(job), _says(one) if figures_there else "", _notes(job)),
            *(not job.active, now, not job.active, not figures_there),
        )


def _says(seed: int) -> str:
    return (
        f"Cells: each token of seed {seed}. Curves: all tokens together, as debiased CKA with the last step, and as "
        "effective rank over the largest that it can be."
    )


def _strip(job: Job, measure: str, chosen: int) -> Drawing:
    """The tokens of one seed."""
    found = [one for one in list(job.readings) if one.key.seed == chosen and one.cosines is not None]
    if not found:
        return figures.nothing(job.problem or ("The first checkpoint is being read …" if job.active else "No reading."))
    # Every step has its row from the beginning, so that rows fill in and none moves.
    values = np.full((len(job.steps), len(job.pieces)), np.nan)
    for reading in found:
        shown = reading.cosines if measure == "cosine" else reading.norms
        if shown is not None:
            values[job.steps.index(reading.key.step)] = shown.numpy()
    pieces = [piece.strip() or "␣" for piece in job.pieces]
    return figures.strip_figure(pieces, _counted(job, job.steps), values, measure)


def _curves(job: Job, seeds: Sequence[int]) -> Drawing:
    seen = _numbers(job)
    if seen.empty:
        return figures.nothing("Curves appear with the first checkpoint." if job.active else "No reading.")
    seen = seen.assign(step=_counted(job, seen["step"]))
    return figures.live_curves(seen, _counted(job, job.steps), seeds)


def _counted(job: Job, steps: Iterable[int]) -> list[int]:
    """Steps in what is counted on the page."""
    return [counting.current().of(job.asked.size, step) for step in steps]


def _numbers(job: Job) -> pd.DataFrame:
    import pandas as pd

    rows = [
        (
            reading.key.seed,
            reading.key.step,
            reading.cka_debiased,
            reading.effective_rank / max(reading.largest_rank, 1),
        )
        for reading in list(job.readings)
        if not reading.reason
    ]
    return pd.DataFrame(rows, columns=["seed", "step", "cka", "rank"])


def _state(job: Job) -> str:
    """Where the probe is, in words."""
    asked = job.asked
    of = Choice(asked.size, asked.site.component, asked.site.layer, asked.head).label
    read = f"{len(job.readings)} of {job.total} checkpoints of {of}"
    first = f"the first after {job.first_after:.1f} s" if job.first_after else ""
    words = {
        "waiting": "waiting for the checkpoint of the text before …",
        "preparing": "opening the suite …",
        "running": f"reading: {read}" + (f", {first}" if first else " …"),
        "done": f"done: {read}, {first}",
        "stopped": f"stopped: {read}" if job.total else "stopped",
        "failed": "This cannot be probed.",
    }
    return words[job.state]


def _notes(job: Job) -> list[Any]:
    bad = [reading.reason for reading in list(job.readings) if reading.reason]
    return layout.notices([*([job.problem] if job.problem else []), *job.notices, *bad])
