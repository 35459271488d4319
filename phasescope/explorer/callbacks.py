"""What answers when something is chosen: the choice itself, and the panels that show what was recorded.

A choice goes to the server once, and comes back as a place with everything that can be chosen there; then all panels
ask at the same time. So nothing here waits for more than one answer before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Input, Output, State, ctx, no_update

from phasescope import counting
from phasescope.explorer import layout
from phasescope.explorer.choice import Choice, among, asked_in, held, number, resolve, seeds_among, step_at
from phasescope.explorer.panels import Panels
from phasescope.reports.kit import steps_axis, tidy

if TYPE_CHECKING:
    from dash import Dash

    from phasescope.explorer.recorded import Recorded
    from phasescope.explorer.site_panels import SitePanels
    from phasescope.explorer.tokens import TokenNames

Answer = Any
Settled = dict[tuple[str, str], Any]
_PLACE = ("size", "component", "layer", "head")
# What one choice decides: the place, everything that can be chosen there, and what is chosen of it.
_SETTLED = (
    ("place", "data"),
    ("notices", "children"),
    ("size", "value"),
    *((name, attribute) for name in ("component", "layer", "head") for attribute in ("options", "value")),
    ("head", "disabled"),
    *((name, attribute) for name in ("seeds", "seed", "weight") for attribute in ("options", "value")),
    ("steps", "data"),
    ("step-names", "data"),
    *(("step", attribute) for attribute in ("max", "marks", "value")),
)


def register(app: Dash, recorded: Recorded, of_site: SitePanels, names: TokenNames) -> None:
    """Everything that only reads the run."""
    panels = Panels(recorded, names)
    _register_choice(app, recorded, of_site)
    for name in of_site.offered:
        _register_of_site(app, recorded, of_site, name)
    _register_bands(app, recorded)
    _register_spectrum(app, recorded, panels)
    _register_tokens(app, recorded, panels)
    _register_names(app, names)
    _register_page(app)


def _register_choice(app: Dash, recorded: Recorded, of_site: SitePanels) -> None:
    own = [f"{name}-of" for name, panel in of_site.offered.items() if panel.choices is not None]
    all_settled = (*_SETTLED, *((name, attribute) for name in own for attribute in ("options", "value")))

    @app.callback(
        *(Output(*name) for name in all_settled),
        Input("url", "search"),
        Input("went", "data"),
        *(Input(name, "value") for name in _PLACE),
        *(State(*name) for name in all_settled),
    )
    def choose(address: str | None, went: Any, size: Any, component: Any, layer: Any, head: Any, *shown: Any) -> Answer:
        """Settle what is looked at: by the address at first and when the browser goes back, else by the controls."""
        before = dict(zip(all_settled, shown, strict=True))
        if ctx.triggered_id == "went" and isinstance(went, dict):
            address = str(went.get("to"))
        from_address = ctx.triggered_id in (None, "url", "went")
        place = zip(_PLACE, (size, component, layer, head), strict=True)
        asked = asked_in(address or "") if from_address else dict(place)
        choice, said = resolve(recorded, asked)
        settled = {
            ("place", "data"): choice.as_record(),
            ("size", "value"): choice.size,
            **_options(recorded, choice),
            **_seeds(recorded, choice, asked, before, said),
            **_weight(of_site, choice, before),
            **_chosen(of_site, choice, before),
            **_steps(recorded, choice, asked, {} if from_address else before, said),
        }
        settled["notices", "children"] = layout.notices(said)
        # What the page shows already is not sent again: it would ask all that depends on it to draw itself anew.
        return [settled[name] if _plain(settled[name]) != before[name] else no_update for name in all_settled]


def _options(recorded: Recorded, choice: Choice) -> Settled:
    """Options and value of component, layer and head, and whether there are no heads to choose."""
    sites = recorded.sites(choice.size)
    layers = sorted(site.layer for site in sites if site.component == choice.component)
    heads = range(recorded.heads(choice.size, choice.site))
    return {
        ("component", "options"): tidy.ordered_components(site.component for site in sites),
        ("component", "value"): choice.component,
        ("layer", "options"): [{"label": str(layer), "value": layer} for layer in layers],
        ("layer", "value"): choice.layer,
        ("head", "options"): [
            {"label": "the whole", "value": "all"},
            *({"label": f"head {head}", "value": head} for head in heads),
        ],
        ("head", "value"): "all" if choice.head is None else choice.head,
        ("head", "disabled"): not heads,
    }


def _seeds(recorded: Recorded, choice: Choice, asked: dict[str, Any], before: Settled, said: list[str]) -> Settled:
    """The seeds of which curves are drawn, and the one of single checkpoints."""
    there = recorded.seeds(choice.size)
    ticked = before["seeds", "value"]
    kept = [known for known in ticked if known in there] if isinstance(ticked, list) else []
    wanted = asked.get("seed", before["seed", "value"])
    return {
        ("seeds", "options"): [{"label": str(known), "value": known} for known in there],
        ("seeds", "value"): kept or there,
        ("seed", "options"): [{"label": f"seed {known}", "value": known} for known in there],
        ("seed", "value"): number("seed", wanted, there, said, f" of {choice.size}", there[0]),
    }


def _weight(of_site: SitePanels, choice: Choice, before: Settled) -> Settled:
    """The matrix of which spectra are shown: the one before, where this layer has it."""
    matrices, weight = of_site.matrices(choice), before["weight", "value"]
    return {
        ("weight", "options"): matrices,
        ("weight", "value"): weight if weight in matrices else (matrices[-1] if matrices else None),
    }


def _chosen(of_site: SitePanels, choice: Choice, before: Settled) -> Settled:
    """What is chosen within panels that questions bring: what was before, where there is that here."""
    settled: Settled = {}
    for name, panel in of_site.offered.items():
        if panel.choices is not None:
            there, chosen = of_site.choices(name, choice), before[f"{name}-of", "value"]
            settled[f"{name}-of", "options"] = there
            settled[f"{name}-of", "value"] = chosen if chosen in there else next(iter(there), None)
    return settled


def _steps(recorded: Recorded, choice: Choice, asked: dict[str, Any], before: Settled, said: list[str]) -> Settled:
    """The slider: a place for each step of the size, at the step asked for, else at the one before."""
    steps, shown = recorded.steps(choice.size), counting.current()
    known = before.get(("steps", "data"))
    at = known[min(before["step", "value"], len(known) - 1)] if known else None
    wanted = number("step", asked.get("step"), steps, said, f" of {choice.size}", at)
    return {
        ("steps", "data"): steps,
        ("step", "max"): len(steps) - 1,
        ("step-names", "data"): [_named(shown.of(choice.size, step)) for step in steps],
        ("step", "marks"): layout.marks(
            steps, steps_axis.ticks(steps, 10), lambda step: steps_axis.label(shown.of(choice.size, step))
        ),
        ("step", "value"): _place_of(wanted, steps),
    }


def _named(number: int) -> str:
    """What the slider is at: a step in groups of three digits; of tokens and words in short."""
    told = counting.label(number)
    return f"{number:,}".replace(",", "\u202f") if told.isdecimal() else told


def _plain(value: Any) -> Any:
    """As it comes back from the page: keys of dictionaries are text there."""
    return {str(key): entry for key, entry in value.items()} if isinstance(value, dict) else value


def _place_of(step: int | None, steps: list[int]) -> int:
    """Where a step is on the slider: itself, else the nearest; the middle where none is wanted."""
    if step is None:
        return len(steps) // 2
    return min(range(len(steps)), key=lambda place: abs(steps[place] - step))


def _register_of_site(app: Dash, recorded: Recorded, of_site: SitePanels, name: str) -> None:
    """A panel that a question brings."""
    first = name == next(iter(of_site.offered))
    own = [Input(f"{name}-of", "value")] if of_site.offered[name].choices is not None else []

    @app.callback(
        Output(f"{name}-figure", "figure"),
        Output(f"{name}-says", "children"),
        Input("place", "data"),
        Input("seeds", "value"),
        *own,
        Input("bands", "value"),
        Input("step", "value"),
        prevent_initial_call=True,
    )
    def shown(place: Any, seeds: Any, *rest: Any) -> Answer:
        choice, (*of, bands, at) = held(recorded, place), rest
        chosen, step = seeds_among(recorded, choice, seeds), step_at(recorded, choice, at)
        band = bands if bands in recorded.phase_curves(choice.size) else None
        figure, says = of_site.show(name, choice, chosen, of[0] if of else None, band, step)
        return figure, " ".join(filter(None, (says, of_site.beside(choice) if first and chosen else "")))


def _register_bands(app: Dash, recorded: Recorded) -> None:
    @app.callback(
        Output("bands", "options"), Output("bands", "disabled"), Input("place", "data"), prevent_initial_call=True
    )
    def bands(place: Any) -> Answer:
        """The curves of which there are phases."""
        curves = recorded.phase_curves(held(recorded, place).size)
        return curves, not curves


def _register_spectrum(app: Dash, recorded: Recorded, panels: Panels) -> None:
    @app.callback(
        Output("spectrum-figure", "figure"),
        Output("spectrum-says", "children"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("weight", "value"),
        Input("step", "value"),
        prevent_initial_call=True,
    )
    def spectrum(place: Any, seed: int, weight: str | None, at: int) -> Answer:
        choice = held(recorded, place)
        return panels.spectrum(choice, _seed(recorded, choice, seed), weight, step_at(recorded, choice, at))


def _register_tokens(app: Dash, recorded: Recorded, panels: Panels) -> None:
    inputs = recorded.run.inputs

    @app.callback(
        Output("sequence", "options"), Output("sequence", "value"), Input("named", "data"), State("sequence", "value")
    )
    def sequences(_named: bool, chosen: int | None) -> Answer:
        return panels.sequences(), chosen or 0

    @app.callback(
        Output("tokens-figure", "figure"),
        Output("text-parts", "data"),
        Output("tokens-note", "children"),
        Output("tokens-says", "children"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("sequence", "value"),
        Input("measure", "value"),
        Input("step", "value"),
        Input("named", "data"),
        prevent_initial_call=True,
    )
    def tokens(place: Any, seed: int, sequence: int | None, measure: str, at: int, _named: bool) -> Answer:
        if sequence is None or place is None:
            return (no_update,) * 4
        choice, text = held(recorded, place), among("text", sequence, range(inputs.sequences))
        one = _seed(recorded, choice, seed)
        return panels.tokens(choice, one, text, layout.measure(measure), step_at(recorded, choice, at))

    @app.callback(
        Output("token", "options"),
        Output("token", "value"),
        Input("sequence", "value"),
        Input("named", "data"),
        Input("tokens-figure", "clickData"),
        State("token", "value"),
        prevent_initial_call=True,
    )
    def token(sequence: int | None, _named: bool, clicked: dict[str, Any] | None, chosen: int | None) -> Answer:
        if sequence is None:
            return no_update, no_update
        options = panels.token_choices(among("text", sequence, range(inputs.sequences)))
        samples = [option["value"] for option in options]
        if ctx.triggered_id == "tokens-figure" and clicked:
            return no_update, samples[min(int(clicked["points"][0]["x"]), len(samples) - 1)]
        return options, chosen if chosen in samples else next(iter(samples), None)

    @app.callback(
        Output("neighbours-found", "data"),
        Output("neighbours-says", "children"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("token", "value"),
        Input("step", "value"),
        Input("named", "data"),
        prevent_initial_call=True,
    )
    def neighbours(place: Any, seed: int, sample: int | None, at: int, _named: bool) -> Answer:
        if sample is None or place is None:
            return no_update, no_update
        choice, token = held(recorded, place), among("token", sample, range(inputs.sampled))
        return panels.neighbours(choice, _seed(recorded, choice, seed), token, step_at(recorded, choice, at))


def _register_page(app: Dash) -> None:
    """What the page does by itself: functions of `assets/explorer.js`."""

    def by_itself(function: str, *about: Any) -> None:
        app.clientside_callback(ClientsideFunction("explorer", function), *about)  # type: ignore[no-untyped-call]

    by_itself("neighbours", Input("neighbours-found", "data"))
    by_itself("text", Input("text-parts", "data"))
    by_itself("step", Output("step-name", "children"), Input("step", "value"), Input("step-names", "data"))
    by_itself(
        "address",
        Output("address", "data"),
        Input("place", "data"),
        Input("seed", "value"),
        Input("step", "value"),
        State("steps", "data"),
    )


def _register_names(app: Dash, names: TokenNames) -> None:
    @app.callback(Output("named", "data"), Output("naming", "disabled"), Input("naming", "n_intervals"))
    def named(_asked: int) -> Answer:
        """Name the tokens anew when the tokenizer is there, and ask no more."""
        return (True, True) if names.settled else (no_update, no_update)


def _seed(recorded: Recorded, choice: Choice, seed: Any) -> int:
    """The one seed that single checkpoints are of."""
    return among("seed", seed, recorded.seeds(choice.size), f" of {choice.size}")
