"""What answers when something is chosen: the choice itself, and the panels that show what was recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Input, Output, State, ctx, no_update

from phasescope.explorer import layout
from phasescope.explorer.choice import Choice, asked_in, number, resolve
from phasescope.explorer.panels import Panels
from phasescope.reports import steps_axis

if TYPE_CHECKING:
    from dash import Dash

    from phasescope.explorer.recorded import Recorded
    from phasescope.explorer.tokens import TokenNames

Answer = Any
_PLACE = ("size", "component", "layer", "head")


def register(app: Dash, recorded: Recorded, names: TokenNames) -> None:
    """Everything that only reads the run."""
    _register_choice(app, recorded)
    _register_curves(app, Panels(recorded, names))
    _register_tokens(app, Panels(recorded, names))
    _register_names(app, names)
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("explorer", "address"),
        Output("address", "data"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("step", "value"),
        State("steps", "data"),
    )


def _register_choice(app: Dash, recorded: Recorded) -> None:
    @app.callback(
        Output("place", "data"),
        Output("notices", "children"),
        Output("size", "value"),
        *(Output(name, attribute) for name in ("component", "layer", "head") for attribute in ("options", "value")),
        Output("head", "disabled"),
        *(Output(name, attribute) for name in ("seeds", "seed") for attribute in ("options", "value")),
        Output("steps", "data"),
        *(Output("step", attribute) for attribute in ("max", "marks", "value")),
        Input("url", "search"),
        *(Input(name, "value") for name in _PLACE),
        State("seeds", "value"),
        State("seed", "value"),
        State("steps", "data"),
        State("step", "value"),
    )
    def choose(address: str | None, *values: Any) -> Answer:
        """Settle what is looked at: by the address at first, then by the controls."""
        *place, seeds, seed, steps, at = values
        from_address = ctx.triggered_id in (None, "url")
        asked = asked_in(address or "") if from_address else dict(zip(_PLACE, place, strict=True))
        choice, said = resolve(recorded, asked)
        there = recorded.run.seeds(choice.size)
        kept = [known for known in seeds or [] if known in there] or there
        one = number("seed", asked.get("seed", seed), there, said, f" of {choice.size}", there[0])
        steps_now = recorded.run.steps(choice.size)
        before = steps[at] if steps and not from_address else None
        wanted = number("step", asked.get("step"), steps_now, said, f" of {choice.size}", before)
        return (
            choice.as_record(),
            layout.notices(said),
            choice.size,
            *_options(recorded, choice),
            *([{"label": str(known), "value": known} for known in there], kept),
            *([{"label": f"seed {known}", "value": known} for known in there], one),
            steps_now,
            len(steps_now) - 1,
            layout.marks(steps_now, steps_axis.ticks(steps_now, 10), steps_axis.label),
            _place_of(wanted, steps_now),
        )

    @app.callback(Output("step-name", "children"), Input("step", "value"), Input("steps", "data"))
    def name_step(at: int, steps: list[int]) -> Answer:
        return f"{steps[min(at, len(steps) - 1)]:,}".replace(",", " ") if steps else "…"


def _options(recorded: Recorded, choice: Choice) -> tuple[Any, ...]:
    """Options and value of component, layer and head, and whether there are no heads to choose."""
    sites = recorded.sites(choice.size)
    components = sorted({site.component for site in sites})
    layers = sorted(site.layer for site in sites if site.component == choice.component)
    heads = range(recorded.heads(choice.size, choice.site))
    return (
        components,
        choice.component,
        [{"label": str(layer), "value": layer} for layer in layers],
        choice.layer,
        [{"label": "the whole", "value": "all"}, *({"label": f"head {head}", "value": head} for head in heads)],
        "all" if choice.head is None else choice.head,
        not heads,
    )


def _place_of(step: int | None, steps: list[int]) -> int:
    """Where a step is on the slider: itself, else the nearest; the middle where none is wanted."""
    if step is None:
        return len(steps) // 2
    return min(range(len(steps)), key=lambda place: abs(steps[place] - step))


def _register_curves(app: Dash, panels: Panels) -> None:
    @app.callback(
        Output("convergence-figure", "figure"),
        Output("convergence-says", "children"),
        Output("bands", "options"),
        Output("bands", "disabled"),
        Input("place", "data"),
        Input("seeds", "value"),
        Input("bands", "value"),
        Input("step", "value"),
        State("steps", "data"),
        prevent_initial_call=True,
    )
    def convergence(place: dict[str, Any], seeds: list[int], bands: str | None, at: int, steps: list[int]) -> Answer:
        choice = Choice.kept(place)
        curves = panels.phase_curves(choice.size)
        figure, says = panels.convergence(choice, seeds, bands if bands in curves else None, _step(at, steps))
        return figure, says, curves, not curves

    @app.callback(
        Output("rank-of", "options"),
        Output("rank-of", "value"),
        Output("weight", "options"),
        Output("weight", "value"),
        Input("place", "data"),
        State("rank-of", "value"),
        State("weight", "value"),
        prevent_initial_call=True,
    )
    def weights(place: dict[str, Any], rank_of: str | None, weight: str | None) -> Answer:
        choice = Choice.kept(place)
        matrices = panels.matrices(choice)
        ranked = ["activations", *matrices]
        kept = rank_of if rank_of in ranked else "activations"
        return ranked, kept, matrices, weight if weight in matrices else (matrices[-1] if matrices else None)

    @app.callback(
        Output("rank-figure", "figure"),
        Output("rank-says", "children"),
        Input("place", "data"),
        Input("seeds", "value"),
        Input("rank-of", "value"),
        Input("bands", "value"),
        Input("step", "value"),
        State("steps", "data"),
        prevent_initial_call=True,
    )
    def rank(
        place: dict[str, Any], seeds: list[int], of: str | None, bands: str | None, at: int, steps: list[int]
    ) -> Answer:
        return panels.rank(Choice.kept(place), seeds, of or "activations", bands, _step(at, steps))

    @app.callback(
        Output("spectrum-figure", "figure"),
        Output("spectrum-says", "children"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("weight", "value"),
        Input("step", "value"),
        State("steps", "data"),
        prevent_initial_call=True,
    )
    def spectrum(place: dict[str, Any], seed: int, weight: str | None, at: int, steps: list[int]) -> Answer:
        return panels.spectrum(Choice.kept(place), seed, weight, _step(at, steps))


def _register_tokens(app: Dash, panels: Panels) -> None:
    @app.callback(
        Output("sequence", "options"),
        Output("sequence", "value"),
        Input("place", "data"),
        Input("named", "data"),
        State("sequence", "value"),
        prevent_initial_call=True,
    )
    def sequences(_place: dict[str, Any], _named: bool, chosen: int | None) -> Answer:
        return panels.sequences(), chosen or 0

    @app.callback(
        Output("tokens-figure", "figure"),
        Output("text", "children"),
        Output("tokens-note", "children"),
        Output("tokens-says", "children"),
        Output("token", "options"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("sequence", "value"),
        Input("measure", "value"),
        Input("step", "value"),
        Input("named", "data"),
        State("steps", "data"),
        prevent_initial_call=True,
    )
    def tokens(
        place: dict[str, Any], seed: int, sequence: int | None, measure: str, at: int, _named: bool, steps: list[int]
    ) -> Answer:
        if sequence is None:
            return (no_update,) * 5
        return panels.tokens(Choice.kept(place), seed, sequence, measure, _step(at, steps))

    @app.callback(
        Output("token", "value"),
        Input("tokens-figure", "clickData"),
        Input("token", "options"),
        State("token", "value"),
        prevent_initial_call=True,
    )
    def token(clicked: dict[str, Any] | None, options: list[dict[str, Any]], chosen: int | None) -> Answer:
        samples = [option["value"] for option in options or []]
        if ctx.triggered_id == "tokens-figure" and clicked:
            return samples[min(int(clicked["points"][0]["x"]), len(samples) - 1)]
        return chosen if chosen in samples else next(iter(samples), None)

    @app.callback(
        Output("neighbours", "children"),
        Output("neighbours-says", "children"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("token", "value"),
        Input("step", "value"),
        State("steps", "data"),
        prevent_initial_call=True,
    )
    def neighbours(place: dict[str, Any], seed: int, sample: int | None, at: int, steps: list[int]) -> Answer:
        if sample is None:
            return no_update, no_update
        return panels.neighbours(Choice.kept(place), seed, sample, _step(at, steps))


def _register_names(app: Dash, names: TokenNames) -> None:
    @app.callback(Output("named", "data"), Output("naming", "disabled"), Input("naming", "n_intervals"))
    def named(_asked: int) -> Answer:
        """Name the tokens anew when the tokenizer is there, and ask no more."""
        return (True, True) if names.settled else (no_update, no_update)


def _step(at: int, steps: list[int]) -> int:
    """The step that the slider is at."""
    return steps[min(at, len(steps) - 1)]
