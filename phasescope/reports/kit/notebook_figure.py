"""A figure of plotly's that a notebook shows wherever it runs, without a network."""

from __future__ import annotations

import itertools
import json
from typing import Any
from uuid import uuid4

from plotly.graph_objects import Figure

_CALLS = itertools.count()
_MIME = "application/vnd.plotly.v1+json"
# What plotly takes where it knows no more of a notebook than that it is one.
_ANY_NOTEBOOK = ("plotly_mimetype", "plotly_mimetype+notebook")
_PAGE = """<div id="{id}" style="width:100%;min-height:{height}px"></div>
<script>
(async () => {{
  const place = document.getElementById("{id}"), figure = {figure}, packed = "{packed}";
  const wait = (time) => new Promise((done) => setTimeout(done, time));
  if (packed && !window.phasescopePlotly) {{
    window.phasescopePlotly = (async () => {{
      const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      const made = {{ exports: {{}} }};
      new Function("module", "exports", "define", await new Response(stream).text())(made, made.exports, undefined);
      return made.exports.newPlot ? made.exports : window.Plotly;
    }})();
  }}
  for (let tries = 0; tries < 100 && !window.phasescopePlotly; tries++) await wait(100);
  if (!window.phasescopePlotly) {{
    place.style.minHeight = "0";
    place.textContent = "This figure is drawn by the script that the first figure of the notebook brings: " +
      "restart the kernel and run all cells.";
    return;
  }}
  (await window.phasescopePlotly).newPlot(place, figure.data, figure.layout, {{ responsive: true }});
}})();
</script>"""


class NotebookFigure(Figure):  # type: ignore[misc]
    """Tells a notebook two ways to show it: plotly's own kind of data, and a page that needs nothing else.

    A front end that lives apart from the kernel may know nothing of plotly's data, or be without the network from which
    plotly's page takes its script. The page here has it with it: the first figure of a kernel brings it (2 MB), the
    others wait for that one.
    """

    def _repr_mimebundle_(self, *args: Any, **named: Any) -> dict[str, Any]:
        figure = self.to_json()
        return {_MIME: json.loads(figure), "text/html": self._page(figure)}

    def _ipython_display_(self) -> None:
        """plotly's own goes before bundles, and sends its own kind of data alone."""
        from plotly import io

        if io.renderers.default not in _ANY_NOTEBOOK:
            super()._ipython_display_()
            return
        from IPython.display import display

        display(self._repr_mimebundle_(), raw=True)

    def _page(self, figure: str) -> str:
        safe = figure.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        height = int(self.layout.height or 450)
        return _PAGE.format(id=f"figure-{uuid4().hex}", height=height, figure=safe, packed=_brought())


def _brought() -> str:
    """plotly's script, the first time in a kernel; then nothing."""
    return "" if next(_CALLS) else _script()


def _script() -> str:
    from plotly.offline import get_plotlyjs

    from phasescope.reports.kit.packed import packed

    return packed(get_plotlyjs())
