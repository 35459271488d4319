"""A report as a browser's parser sees it."""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any


@dataclass
class Drawn:
    """One figure of a page."""

    title: str = ""
    caption: str = ""
    drawing: dict[str, Any] = field(default_factory=dict)
    variants: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    @property
    def traces(self) -> list[dict[str, Any]]:
        """The traces with shared arrays put back."""
        shared = self.drawing["shared"]

        def whole(value: Any) -> Any:
            return shared[value["shared"]] if isinstance(value, dict) and "shared" in value else value

        return [{name: whole(value) for name, value in trace.items()} for trace in self.drawing["data"]]

    @property
    def numbers(self) -> list[float]:
        """Every number that is drawn."""
        rows = [row for t in self.traces for row in (t["z"] if t["type"] == "heatmap" else [t["y"]])]
        return [value for row in rows for value in row if value is not None]


class Page(HTMLParser):
    """What is in a report: elements, text, figures, scripts."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.figures: list[Drawn] = []
        self.scripts: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self.text = ""
        self._open: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.append((tag, known))
        if tag not in {"meta", "link", "br", "input"}:
            self._open.append((tag, known.get("class") or ""))
        if tag == "figure":
            self.figures.append(Drawn())
        if tag == "script":
            self.scripts.append((known.get("class") or "", ""))
        if (tag, known.get("class")) == ("p", "note"):
            self.notes.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop()[0] == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        inside, kind = self._open[-1] if self._open else ("", "")
        if inside == "script":
            self.scripts[-1] = (kind, self.scripts[-1][1] + data)
            if kind == "drawing":
                self.figures[-1].drawing = json.loads(data)
            elif kind == "variants":
                self.figures[-1].variants = json.loads(gzip.decompress(base64.b64decode(data)))
        elif inside == "style":
            pass
        else:
            self.text += data
            if inside == "h4":
                self.figures[-1].title += data
            if inside == "figcaption":
                self.figures[-1].caption += data
            if (inside, kind) == ("p", "note"):
                self.notes[-1] += data
