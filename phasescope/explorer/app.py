"""The Dash application: the page, what answers to it, and the gate in front of both."""

from __future__ import annotations

import traceback
from html import escape
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.errors import PhasescopeError
from phasescope.explorer.live_job import How, Jobs
from phasescope.reports.kit.tokens_read import counting_of

if TYPE_CHECKING:
    from dash import Dash

    from phasescope.explorer.gate import Gate
    from phasescope.run import Run

# Far more than any text that is typed, in bytes.
_LONGEST_REQUEST = 2**20
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def make_app(run: Run, gate: Gate, how: How, axis: str | None = None) -> tuple[Dash, Jobs]:
    """The explorer of a run as a Dash application behind its gate, and the live probes that it starts.

    axis: what is counted along training: `tokens`, or what the run counts.
    """
    # Before there are threads: plotly asks which modules are loaded, and takes one that is half loaded for a whole one.
    import pandas  # noqa: F401
    import plotly.graph_objects  # noqa: F401
    from dash import Dash

    from phasescope.explorer import callbacks, layer_maps, layout, live_callbacks
    from phasescope.explorer.recorded import Recorded
    from phasescope.explorer.site_panels import SitePanels
    from phasescope.explorer.tokens import TokenNames

    recorded = Recorded(run)
    if not recorded.sizes:
        raise PhasescopeError(f"{run.path} holds no activations: the explorer needs a capture with --sites.")
    # What the package brings is all there is: no scripts or styles from elsewhere, no page titles that blink.
    app = Dash(
        __name__,
        title=escape(f"{run.path.resolve().name} · phasescope"),
        update_title="",
        serve_locally=True,
        # Whatever the environment says, as that of a JupyterHub may.
        url_base_pathname="/",
        assets_folder="assets",
        index_string=_PAGE,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        add_log_handler=False,
        compress=False,
        on_error=_say,
    )
    of_site = SitePanels(recorded)
    maps = layer_maps.LayerMaps(recorded)
    counts = counting_of(run.manifest, axis)
    with counting.showing(counts):
        app.layout = layout.page(recorded, of_site.offered, maps)
    names = TokenNames(run.inputs, lambda: _tokenizer(how))
    jobs = Jobs(how)
    callbacks.register(app, recorded, of_site, names)
    layer_maps.register(app, recorded, maps)
    live_callbacks.register(app, recorded, jobs)
    app.server.before_request(lambda: counting.show(counts))  # each answer is made in a thread of its own
    app.server.config["MAX_CONTENT_LENGTH"] = _LONGEST_REQUEST
    gate.guard(app.server, app.csp_hashes())
    names.open_aside(then=lambda: _make_ready(how))
    return app, jobs


def _say(error: Exception) -> None:
    """Put what went wrong with an answer above the controls; the panel stays as it was."""
    from dash import set_props

    from phasescope.explorer.layout import notices

    known = isinstance(error, PhasescopeError)
    said = str(error) if known else f"This could not be shown ({type(error).__name__}: {error})."
    set_props("notices", {"children": notices([said])})
    if not known:
        traceback.print_exception(error)


def _tokenizer(how: How) -> object:
    """The tokenizer of the suite, which one run has in common."""
    suite = how.suite()
    return how.ready(suite, suite.sizes[-1]).tokenizer


def _make_ready(how: How) -> None:
    """Load what the first live probe would have to wait for."""
    suite = how.suite()
    for size in suite.sizes:
        how.ready(suite, size)
