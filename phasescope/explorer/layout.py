"""The page: what can be chosen, and the panels that follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dash import dcc, html

from phasescope import counting
from phasescope.console import counted
from phasescope.explorer import figures
from phasescope.reports.layer.phases_beside import first_curve
from phasescope.reports.similarity.words import MEASURES as SIMILARITIES

if TYPE_CHECKING:
    from phasescope.explorer.layer_maps import LayerMaps
    from phasescope.explorer.recorded import Recorded
    from phasescope.reports.kit.site_panel import SitePanel

Part = Any
_PLOT: Any = {"displayModeBar": False, "responsive": True}
_POLITE: Any = {"aria-live": "polite"}
# How often the page asks what a live probe has found, in milliseconds.
POLL = 250
MEASURES = {"cosine": "Cosine to the last step", "norm": "Length"}
EXAMPLE = "When the ship had sailed, the captain said that the ship would not come back."


def page(recorded: Recorded, offered: Mapping[str, SitePanel], maps: LayerMaps) -> Part:
    """The whole page, without data: every panel asks for its own."""
    return html.Div(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="place"),
            dcc.Store(id="went"),
            dcc.Store(id="steps", data=[]),
            dcc.Store(id="step-names", data=[]),
            dcc.Store(id="address"),
            dcc.Store(id="named", data=False),
            dcc.Store(id="neighbours-found"),
            dcc.Store(id="text-parts"),
            dcc.Interval(id="naming", interval=500),
            html.A("To the panels", href="#panels", className="skip"),
            _header(recorded),
            html.Div(id="notices", role="status", **_POLITE),
            _controls(recorded),
            html.Main(
                [
                    *_of_site(offered, recorded.phase_curves(recorded.sizes[-1])),
                    _spectrum(),
                    _layers(maps),
                    _neighbours(),
                    _tokens(),
                    _live(),
                ],
                id="panels",
            ),
        ],
        className="page",
    )


def _header(recorded: Recorded) -> Part:
    manifest, sizes = recorded.run.manifest, recorded.sizes
    seeds = sorted({seed for size in sizes for seed in recorded.run.seeds(size)})
    bad = len(manifest.get("failed", []))
    about = (
        f"{manifest['family']} · {counted(len(sizes), 'size')} × {counted(len(seeds), 'seed')} · "
        f"{counted(len(recorded.run.reader.keys), 'checkpoint')}" + (f", {bad} could not be read" if bad else "")
    )
    return html.Header(
        [
            html.Div([html.P("phasescope explore", className="kind"), html.H1(recorded.run.path.resolve().name)]),
            html.P(about, className="about"),
            *([html.P(note, className="about")] if (note := recorded.run.reader.suspects_note) else []),
            html.Button("Light or dark", id="theme", type="button", className="quiet"),
        ]
    )


def _controls(recorded: Recorded) -> Part:
    chips = dcc.Checklist(id="seeds", options=[], value=[], inline=True, className="chips")
    return html.Section(
        [
            _field("Size", dropdown("size", recorded.sizes), "size"),
            _field("Component", dropdown("component"), "component"),
            _field("Layer", dropdown("layer"), "layer"),
            _field("Head", dropdown("head"), "head"),
            html.Fieldset([html.Legend("Seeds"), chips], className="field"),
            _field("One seed, for single checkpoints", dropdown("seed"), "seed"),
            html.Div(
                [
                    html.Div(
                        [f"{counting.noun().capitalize()} ", html.Span("…", id="step-name")],
                        className="label",
                        id="step-label",
                    ),
                    dcc.Slider(
                        id="step", min=0, max=1, step=1, value=0, marks={}, updatemode="drag", allow_direct_input=False
                    ),
                ],
                className="field slide",
            ),
        ],
        className="controls",
        **_labelled("What is looked at"),
    )


def _of_site(offered: Mapping[str, SitePanel], curves: Sequence[str]) -> Iterator[Part]:
    """What questions bring; phases are chosen in the first, for all."""
    for name, panel in offered.items():
        controls = []
        if name == next(iter(offered)):
            bands = dropdown("bands", curves, placeholder="no bands", value=first_curve(curves), disabled=not curves)
            controls.append(_field("Phases of", bands, "bands"))
        if panel.choices is not None:
            controls.append(_field(panel.choice, dropdown(f"{name}-of"), f"{name}-of"))
        yield _panel(panel.title, name, controls, panel.about)


def _spectrum() -> Part:
    return _panel(
        "Spectrum at this step",
        "spectrum",
        [_field("Spectrum of", dropdown("weight"), "weight")],
        "Singular values of a weight or circuit at the step of the slider, beside the first and the last step.",
    )


def _layers(maps: LayerMaps) -> Part:
    measures = [(title, name) for name, title in SIMILARITIES.items()]
    return _panel(
        "Layer by layer",
        "layers",
        [
            _field("Beside", dropdown("layers-other", maps.others, placeholder="itself", value=None), "layers-other"),
            _field("At", dropdown("layers-step", maps.steps), "layers-step"),
            _field("By", dropdown("layers-measure", measures), "layers-measure"),
        ],
        "How alike each layer of this checkpoint (up) is to each of another (across). Look at the first step too: what "
        "is alike there comes from the architecture.",
    )


def _neighbours() -> Part:
    return _panel(
        "Nearest neighbours of a token",
        "neighbours",
        [_field("Token", dropdown("token"), "token")],
        "The recorded tokens whose activations have the highest cosine with this one's, step after step.",
        body=html.Div(id="neighbours", className="table"),
    )


def _tokens() -> Part:
    return _panel(
        "Token by token",
        "tokens",
        [
            _field("Text", dropdown("sequence", clearable=False), "sequence"),
            _colour("measure"),
        ],
        "",
        after=[html.Div(id="text", className="text"), html.P(id="tokens-note", className="note")],
        wide=True,
    )


def _live() -> Part:
    return html.Section(
        [
            html.H2("Live: a text of your own"),
            html.P(
                "The checkpoints are loaded and read up to this layer, the last first, then from coarse to fine.",
                className="note",
            ),
            html.Div(
                [
                    html.Label("Your text", htmlFor="live-text"),
                    dcc.Textarea(id="live-text", value=EXAMPLE, maxLength=20_000, rows=3, spellCheck=False),
                ],
                className="field",
            ),
            html.Div(
                [
                    _field(
                        "Checkpoints",
                        dropdown("live-steps", [("log-spaced", "log"), ("all", "all"), ("the last", "last")]),
                        "live-steps",
                    ),
                    _colour("live-measure"),
                    html.Button("Probe", id="live-go", type="button", className="main"),
                    html.Button("Cancel", id="live-stop", type="button", className="quiet", disabled=True),
                    html.Output("", id="live-state", **_POLITE),
                ],
                className="row",
            ),
            html.Div(
                [_graph("live-strip", "Tokens by steps", "live-says"), _graph("live-curves", "Curves", "live-says")],
                id="live-figures",
                hidden=True,
            ),
            html.P(id="live-says", className="note"),
            html.Div(id="live-notes", className="note"),
            dcc.Interval(id="live-poll", interval=POLL, disabled=True),
            dcc.Store(id="live-shown", data=""),
        ],
        className="panel wide",
        id="live",
    )


def _panel(
    title: str,
    name: str,
    controls: Sequence[Part],
    about: str,
    *,
    body: Part | None = None,
    after: Sequence[Part] = (),
    wide: bool = False,
) -> Part:
    # A Dash component without children is false.
    described = f"{name}-about {name}-says" if about else f"{name}-note {name}-says"
    shown = _graph(f"{name}-figure", title, described) if body is None else body
    return html.Section(
        [
            html.Div([html.H2(title), html.Div(list(controls), className="row")], className="top"),
            html.Div([shown, html.Div(className="veil")], className="body"),
            *after,
            *([html.P(about, className="note", id=f"{name}-about")] if about else []),
            html.P(id=f"{name}-says", className="note says"),
        ],
        className="panel wide" if wide else "panel",
        id=name if body is None else f"{name}-panel",
    )


def _graph(identity: str, title: str, described: str) -> Part:
    """described: where it is said what is seen, for who hears the page."""
    graph = dcc.Graph(id=identity, config=_PLOT, figure=figures.nothing(""), className="plot")
    about: Any = {"aria-describedby": described}
    return html.Div(graph, role="img", **_labelled(title), **about)


def dropdown(identity: str, options: Sequence[str | tuple[str, str]] = (), **settings: Any) -> Part:
    """A choice of one; the first is chosen."""
    pairs = [(option, option) if isinstance(option, str) else option for option in options]
    chosen = {"clearable": False, "searchable": False, "value": pairs[0][1] if pairs else None, **settings}
    if identity in ("bands", "layers-other"):
        chosen["clearable"] = True
    return dcc.Dropdown(id=identity, options=[{"label": label, "value": value} for label, value in pairs], **chosen)


def _colour(identity: str) -> Part:
    """What the cells of tokens by steps are coloured by."""
    options: Any = [{"label": label, "value": value} for value, label in MEASURES.items()]
    chips = dcc.RadioItems(id=identity, options=options, value=next(iter(MEASURES)), inline=True, className="chips")
    return html.Fieldset([html.Legend("Colour"), chips], className="field")


def measure(sent: Any) -> str:
    """The measure that a browser sent; the first where it is none."""
    return sent if isinstance(sent, str) and sent in MEASURES else next(iter(MEASURES))


def _labelled(text: str) -> Any:
    return {"aria-label": text}


def _field(label: str, control: Part, identity: str) -> Part:
    return html.Div([html.Label(label, htmlFor=identity), control], className="field")


def notices(said: Sequence[str]) -> list[Part]:
    """Sentences above the controls."""
    return [html.P(sentence) for sentence in said]


def marks(steps: Sequence[int], labels: Sequence[int], name: Any) -> dict[int, str]:
    """Marks of the slider, which counts checkpoints: a label at each of `labels`."""
    return {place: name(step) for place, step in enumerate(steps) if step in set(labels)}
