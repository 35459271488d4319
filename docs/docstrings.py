"""Docstrings as mkdocstrings reads them: `name: what it is` becomes a table, and `>>>` an example."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Function, Object

# Every line names one or more parameters, or goes on with the line before.
_NAMES = re.compile(r"(?:\*{0,2}[a-z_]\w*(?:, [a-z_]\w*)*: .+|    .+)(?:\n(?:[a-z_]\w*(?:, [a-z_]\w*)*: .+|    .+))*")
_SHARED = re.compile(r"[a-z_]\w*(?:, [a-z_]\w*)+")


class Paragraphs(Extension):
    """Gives paragraphs of the house's short style the headings of Google's."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            heading = "Args" if isinstance(obj, Function) else "Attributes"
            paragraphs = obj.docstring.value.split("\n\n")
            obj.docstring.value = "\n\n".join(_headed(paragraph, heading) for paragraph in paragraphs)


def _headed(paragraph: str, names: str) -> str:
    if paragraph.startswith(">>>"):
        return _under("Examples", paragraph)
    if _NAMES.fullmatch(paragraph) and not paragraph.startswith("    "):
        return _under(names, paragraph)
    return paragraph


def _under(heading: str, paragraph: str) -> str:
    return f"{heading}:\n" + "\n".join(f"    {line}" for line in _one_by_one(paragraph))


def _one_by_one(paragraph: str) -> list[str]:
    """Lines in which parameters that share an entry have one each, so that type and default are found."""
    entries: list[list[str]] = []
    for line in paragraph.splitlines():
        if line.startswith((" ", ">>>", "...")) and entries:
            entries[-1].append(line)
        else:
            entries.append([line])
    made: list[str] = []
    for first, *rest in entries:
        names, colon, text = first.partition(": ")
        shared = names.split(", ") if colon and _SHARED.fullmatch(names) else [names]
        for name in shared:
            made += [f"{name}{colon}{text}", *rest]
    return made
