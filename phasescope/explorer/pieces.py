"""Parts of the page that are text: a sequence with its recorded tokens marked, and a table of neighbours.

They go to the page as plain values, which `assets/explorer.js` makes elements of, a text always as text and never as
markup. As Dash components they would be some hundred, each of which is asked anew at whatever changes on the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.explorer.figures import colour_at

if TYPE_CHECKING:
    from phasescope.explorer.neighbours import Neighbour

# Tokens around a neighbour, for its title.
_AROUND = 6


def marked_text(pieces: Sequence[str], marked: Mapping[int, float], measure: str) -> list[Any]:
    """Running text in which the recorded tokens are coloured by a number from 0 to 1 (NaN: not coloured).

    Returns strings, and for each token that is marked a dictionary of text, title, background and ink.
    """
    parts: list[Any] = []
    for place, piece in enumerate(pieces):
        plain = piece if place not in marked else piece[: len(piece) - len(piece.lstrip())]
        # Neighbouring strings become one, so that a page of text is not a thousand elements.
        if parts and isinstance(parts[-1], str):
            parts[-1] += plain
        elif plain:
            parts.append(plain)
        if place in marked:
            parts.append(_mark(piece, place, marked[place], measure))
    return parts


def _mark(piece: str, place: int, value: float, measure: str) -> dict[str, str]:
    shown = {"text": piece.strip() or "␣", "title": f"position {place}"}
    if math.isnan(value):
        return shown
    background, ink = colour_at(value)
    return {**shown, "title": f"position {place}, {measure} {value:.2f}", "background": background, "ink": ink}


def neighbours_table(
    by_step: Mapping[int, Sequence[Neighbour]],
    at: int,
    name: Callable[[int], str],
    place: Callable[[int], tuple[int, int]],
    context: Callable[[int], str],
    label: Callable[[int], str],
) -> dict[str, Any]:
    """A column for each step, the nearest on top; `lasting` are those that are among the nearest at the last step.

    at: the step of the slider, whose column is marked. name, place, context: what a sample is called, its text and
    position (from 0), and the words around it. label: of a step.

    Returns `noun` (what is counted), `steps` (label, here), `rows` of cells (name, place, title,
    lasting, colour, cosine), None where there is none, and `here`: the cells of the marked step with their context.
    """
    steps = list(by_step)
    lasting = {neighbour.sample for neighbour in by_step[steps[-1]]} if steps else set()
    ranks = range(max((len(found) for found in by_step.values()), default=0))

    def cell(found: Sequence[Neighbour], rank: int) -> dict[str, Any] | None:
        if rank >= len(found):
            return None
        sample, cosine = found[rank].sample, found[rank].cosine
        text, position = place(sample)
        return {
            "name": name(sample),
            "place": f"text {text + 1}, position {position}",
            "title": context(sample),
            "lasting": sample in lasting,
            "colour": colour_at(cosine)[0],
            "cosine": f"{cosine:.2f}",
        }

    return {
        "noun": counting.noun(),
        "steps": [{"label": label(step), "here": step == at} for step in steps],
        "rows": [[cell(found, rank) for found in by_step.values()] for rank in ranks],
        "here": [cell(by_step[at], rank) for rank in range(len(by_step.get(at, ())))],
    }


def around(pieces: Sequence[str], position: int) -> str:
    """The words around a token, with the token in brackets."""
    before = "".join(pieces[max(position - _AROUND, 0) : position])
    after = "".join(pieces[position + 1 : position + 1 + _AROUND])
    return f"…{before}[{pieces[position].strip()}]{after}…"
