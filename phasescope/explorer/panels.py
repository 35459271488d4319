"""What each panel shows of a choice: a figure or text, and a sentence where something is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope import counting
from phasescope.explorer import figures, pieces
from phasescope.explorer.neighbours import along, nearest
from phasescope.reports.kit import steps_axis
from phasescope.reports.kit.captions import parts_of
from phasescope.reports.kit.drawing import Drawing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phasescope.explorer.choice import Choice
    from phasescope.explorer.recorded import Recorded
    from phasescope.explorer.tokens import TokenNames

# Of texts with one recorded token each, so many are shown side by side.
_TEXTS_TOGETHER = 24
_NEIGHBOUR_STEPS = 8


class Panels:
    """The panels that read shards: spectra and tokens."""

    def __init__(self, recorded: Recorded, names: TokenNames) -> None:
        self._recorded, self._names = recorded, names

    def spectrum(self, choice: Choice, seed: int, weight: str | None, step: int) -> tuple[Drawing, str]:
        sites = self._recorded.weights(choice.size, choice.layer)
        if weight not in sites:
            return figures.nothing("No spectra of this layer's weights were recorded."), ""
        name, heads = sites[weight]
        head = choice.head if choice.head is not None and choice.head < heads else 0
        steps = self._recorded.steps(choice.size, seed)
        near = min(steps, key=lambda known: abs(known - step))
        shown = counting.current()
        told = {known: counting.label(shown.of(choice.size, known)) for known in (near, *steps)}
        wanted = {
            f"{counting.noun()} {told[near]}": near,
            f"the last, {told[steps[-1]]}": steps[-1],
            f"the first, {told[steps[0]]}": steps[0],
        }
        spectra = {
            label: self._recorded.spectrum(self._recorded.key(choice.size, seed, known), name, head)
            for label, known in wanted.items()
        }
        says = [f"{parts_of(weight).capitalize().removesuffix('s')} {head} of {heads}."] if heads else []
        if near != step:
            says.append(f"Seed {seed} has none at {counting.noun()} {counting.label(shown.of(choice.size, step))}.")
        return figures.spectrum_figure(spectra), " ".join(says)

    def sequences(self) -> list[dict[str, Any]]:
        """The frozen texts, by their first words."""
        inputs = self._recorded.run.inputs
        return [
            {"label": f"{number + 1} · {self._names.beginning(number)}", "value": number}
            for number in range(inputs.sequences)
        ]

    def tokens(
        self, choice: Choice, seed: int, sequence: int, measure: str, step: int
    ) -> tuple[Drawing, list[Any], str, str]:
        """The heat map, the text with its recorded tokens marked, which these are, and what else is to be said."""
        places = self._places(sequence)
        steps = steps_axis.thin(self._recorded.steps(choice.size, seed), figures.MOST_ROWS)
        values, cosines = [], []
        last = self._at(choice, seed, steps[-1], places)
        for known in steps:
            rows = self._at(choice, seed, known, places)
            cosines.append(along(rows, last))
            values.append(cosines[-1] if measure == "cosine" else np.linalg.norm(rows, axis=1))
        at = min(range(len(steps)), key=lambda row: abs(steps[row] - step))
        names = [self._names.at(text, position) for text, position in places]
        counted = [counting.current().of(choice.size, known) for known in steps]
        figure = figures.strip_figure(names, counted, np.array(values), measure, at=at)
        marked = {
            self._names.shown_at(text, position): float(cosines[at][place])
            for place, (text, position) in enumerate(places)
            if text == sequence
        }
        text = pieces.marked_text(self._names.running(sequence), marked, "cosine to the last step")
        says = f"Tokens are named by their words: {self._names.missing}" if self._names.missing else ""
        return figure, text, self._which(places), says

    def token_choices(self, sequence: int) -> list[dict[str, Any]]:
        """The recorded tokens that are shown with a text, each by its name and place."""
        return [
            {
                "label": f"{self._names.at(text, position)} (text {text + 1}, position {position})",
                "value": self._sample(text, position),
            }
            for text, position in self._places(sequence)
        ]

    def neighbours(self, choice: Choice, seed: int, sample: int, step: int) -> tuple[Any, str]:
        every = self._recorded.steps(choice.size, seed)
        near = min(every, key=lambda known: abs(known - step))
        steps = sorted({*steps_axis.thin(every, _NEIGHBOUR_STEPS), near})
        found = {
            known: nearest(
                self._recorded.samples(self._recorded.key(choice.size, seed, known), choice.site, choice.head), sample
            )
            for known in steps
        }
        inputs = self._recorded.run.inputs
        each = inputs.positions.shape[1]

        def place(other: int) -> tuple[int, int]:
            return other // each, int(inputs.positions[other // each, other % each])

        def context(other: int) -> str:
            text, position = place(other)
            return pieces.around(self._names.running(text), position)

        def label(known: int) -> str:
            return steps_axis.label(counting.current().of(choice.size, known))

        table = pieces.neighbours_table(found, near, lambda other: self._names.at(*place(other)), place, context, label)
        return table, f"Among all {inputs.sampled} recorded tokens; in bold those that are near at the last step too."

    def _places(self, sequence: int) -> list[tuple[int, int]]:
        """The recorded tokens to show as (text, position): those of one text, or one of each of several."""
        inputs = self._recorded.run.inputs
        each = inputs.positions.shape[1]
        texts = [sequence]
        if each == 1:
            first = max(min(sequence, inputs.sequences - _TEXTS_TOGETHER), 0)
            texts = list(range(first, min(first + _TEXTS_TOGETHER, inputs.sequences)))
        return [(text, int(position)) for text in texts for position in inputs.positions[text]]

    def _which(self, places: Sequence[tuple[int, int]]) -> str:
        inputs = self._recorded.run.inputs
        each = inputs.positions.shape[1]
        if each == inputs.context:
            return f"All {each} tokens of this text were recorded."
        if each == 1:
            first, last = places[0][0] + 1, places[-1][0] + 1
            return (
                f"One token of each text was recorded, of {inputs.context} that were read: above are those of texts "
                f"{first} to {last}, below the chosen text with its own marked. A capture with --positions 8 or all "
                "records more."
            )
        return (
            f"{each} of the {inputs.context} tokens of each text were recorded: above are these, below they are marked "
            "in the text, coloured by their cosine to the last step at the step of the slider."
        )

    def _sample(self, text: int, position: int) -> int:
        inputs = self._recorded.run.inputs
        place = int(np.flatnonzero(inputs.positions[text] == position)[0])
        return text * int(inputs.positions.shape[1]) + place

    def _at(self, choice: Choice, seed: int, step: int, places: Sequence[tuple[int, int]]) -> Any:
        """The activations of these tokens at one step, read text by text: `[places, d]`."""
        key = self._recorded.key(choice.size, seed, step)
        texts = list(dict.fromkeys(text for text, _ in places))
        if len(texts) > 1:
            samples = [self._sample(*place) for place in places]
            return self._recorded.samples(key, choice.site, choice.head)[samples]
        return self._recorded.slice(key, choice.site, choice.head, texts[0])
