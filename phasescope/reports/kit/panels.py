"""The parts of a page: figures with captions, their alternatives, and sentences where there is no figure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.kit import tidy
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.packed import packed

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Panel:
    """A figure with what a reader needs to read it.

    Attributes:
        title: above the figure.
        caption: what is seen, of how many, and what the interval is.
        figure: as first shown.
        controls: names of the part's controls that the figure follows, in the order of the keys of `variants`.
        size: which it is about, if it is about one and its chapter is not.
        source: the tables that it is drawn from, as files of the run's `results` are called.
        variants: for other choices, what each trace has instead: `{"seed 2|biased": [{"z": …}, …]}`. An entry with a
            `type` is a whole trace; one without changes these fields of the trace in its place.
    """

    title: str
    caption: str
    figure: Drawing
    controls: tuple[str, ...] = ()
    variants: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    size: str | None = None
    source: str = field(kw_only=True)

    @property
    def sources(self) -> str:
        """Where the numbers are in the run, for readers."""
        return ", ".join(f"results/{name}.parquet" for name in self.source.split(", "))

    @cached_property
    def figure_json(self) -> str:
        """The figure for a `<script type="application/json">`, without what the page can rebuild.

        A heat map's hover texts and steps repeat along rows and columns, and curves of one figure have the same steps:
        each is sent once, in `meta` or in `shared`.
        """
        figure = self.figure.to_plotly_json()
        traces, shared = _share([_compact(dict(trace)) for trace in figure["data"]])
        return _script_safe({"data": traces, "shared": shared, "layout": figure["layout"]})

    @cached_property
    def variants_packed(self) -> str:
        """The alternatives, compressed (gzip, base64): a page holds many and shows few of them."""
        return packed(json.dumps(self.variants, separators=(",", ":"))) if self.variants else ""

    @property
    def height(self) -> int:
        """Pixels, reserved before the figure is drawn so that the page does not jump."""
        return self.figure.height


@dataclass(frozen=True)
class Control:
    """A choice that several figures of a part follow. `options`: value and label, the first is chosen."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Part:
    """A titled part of a page: figures, and notes that say what is missing and why."""

    key: str
    title: str
    intro: str
    panels: Sequence[Panel] = ()
    folded: Sequence[Panel] = ()
    folded_title: str = ""
    notes: Sequence[str] = ()
    controls: Sequence[Control] = ()


def unanswered(key: str, title: str, table: pd.DataFrame) -> list[Part]:
    """Where a table has no numbers: a part that says why; none where it does not say."""
    notes = tidy.reason_sentences(table)
    return [Part(key, title, "", notes=notes)] if notes else []


def traces_of(figure: Drawing) -> list[dict[str, Any]]:
    """All traces of a figure, for a variant that replaces the figure's own."""
    return [dict(trace) for trace in figure.to_plotly_json()["data"]]


def variants(
    controls: Sequence[Control], make: Callable[..., list[dict[str, Any]] | None]
) -> dict[str, list[dict[str, Any]]]:
    """What a figure shows for every choice but the first: `make(value, value, …)`, keyed by the values joined by `|`.

    Where `make` returns None there is nothing to show for that choice.
    """
    from itertools import product

    choices = list(product(*([value for value, _ in control.options] for control in controls)))
    made = {"|".join(choice): make(*choice) for choice in choices[1:]}
    return {key: patch for key, patch in made.items() if patch is not None}


def _compact(trace: dict[str, Any]) -> dict[str, Any]:
    if trace["type"] != "heatmap":
        return trace
    steps, names = trace.pop("customdata"), trace.pop("text")
    unit = counting.current().unit
    held = {"steps": list(steps[0]), "rows": [row[0] for row in names]}
    across = {} if unit == "steps" else {"across": unit}
    return trace | {"meta": {**across, **trace.get("meta", {}), **held}}


def _share(traces: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[Any]]:
    """Arrays that several traces have alike, once; each trace has `{"shared": place}` instead."""
    lists = {
        (number, name): json.dumps(value)
        for number, trace in enumerate(traces)
        for name, value in trace.items()
        if isinstance(value, list | tuple)
    }
    often = [text for text, count in Counter(lists.values()).items() if count > 1]
    places = {text: place for place, text in enumerate(often)}
    for (number, name), text in lists.items():
        if text in places:
            traces[number][name] = {"shared": places[text]}
    return traces, [json.loads(text) for text in often]


def _script_safe(value: Any) -> str:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").replace("\u2028", "\\u2028")
