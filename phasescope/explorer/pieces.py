"""Parts of the page that are text: a sequence with its recorded tokens marked, and a table of neighbours.

Everything from texts goes in as text (React escapes it), never as markup.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dash import html

from phasescope.explorer.figures import colour_at
from phasescope.reports import steps_axis

if TYPE_CHECKING:
    from phasescope.explorer.neighbours import Neighbour

# Tokens around a neighbour, for its title.
_AROUND = 6


def marked_text(pieces: Sequence[str], marked: Mapping[int, float], measure: str) -> list[Any]:
    """Running text in which the recorded tokens are coloured by a number from 0 to 1 (NaN: not coloured)."""
    parts: list[Any] = []
    for place, piece in enumerate(pieces):
        plain = piece if place not in marked else piece[: len(piece) - len(piece.lstrip())]
        # Neighbouring strings become one, so that a page of text is not a thousand elements.
        if parts and isinstance(parts[-1], str):
            parts[-1] += plain
        elif plain:
            parts.append(plain)
        if place not in marked:
            continue
        value = marked[place]
        background, ink = colour_at(value)
        style = {} if math.isnan(value) else {"backgroundColor": background, "color": ink}
        title = f"position {place}" + ("" if math.isnan(value) else f", {measure} {value:.2f}")
        parts.append(html.Mark(piece.strip() or "␣", style=style, title=title))
    return parts


def neighbours_table(
    by_step: Mapping[int, Sequence[Neighbour]], at: int, name: Callable[[int], str], context: Callable[[int], str]
) -> Any:
    """A column for each step, the nearest on top; those that are among the nearest at the last step are in bold.

    at: the step of the slider, whose column is marked. name, context: what a sample is called, and where it stands.
    """
    steps = list(by_step)
    lasting = {neighbour.sample for neighbour in by_step[steps[-1]]} if steps else set()
    head = html.Tr([html.Th("step", scope="row"), *(_heading(step, step == at) for step in steps)])
    rows = max((len(found) for found in by_step.values()), default=0)
    body = [
        html.Tr(
            [
                html.Th(str(rank + 1), scope="row"),
                *(_cell(found[rank : rank + 1], lasting, name, context) for found in by_step.values()),
            ]
        )
        for rank in range(rows)
    ]
    return html.Table([html.Thead(head), html.Tbody(body)])


def _heading(step: int, here: bool) -> Any:
    return html.Th(steps_axis.label(step), scope="col", className="here" if here else "")


def _cell(
    found: Sequence[Neighbour], lasting: set[int], name: Callable[[int], str], context: Callable[[int], str]
) -> Any:
    if not found:
        return html.Td("")
    (neighbour,) = found
    background, _ = colour_at(neighbour.cosine)
    word = html.Span(name(neighbour.sample), className="lasting" if neighbour.sample in lasting else "")
    bar = html.Span(className="swatch", style={"backgroundColor": background})
    number = html.Span(f"{neighbour.cosine:.2f}", className="number")
    return html.Td([html.Div([word, html.Span([bar, number])])], title=context(neighbour.sample))


def around(pieces: Sequence[str], position: int) -> str:
    """The words around a token, with the token in brackets."""
    before = "".join(pieces[max(position - _AROUND, 0) : position])
    after = "".join(pieces[position + 1 : position + 1 + _AROUND])
    return f"…{before}[{pieces[position].strip()}]{after}…"
