"""Tokens sorted by what they are: how frequent, which part of speech, how surprising in the end, where in the window.

All of it is about the token that is predicted.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from phasescope.errors import (
    BadArgumentError,
    MissingLibraryError,
    PhasescopeWarning,
    did_you_mean,
    require_library,
)

if TYPE_CHECKING:
    from jaxtyping import Bool, Float

    from phasescope.analyses.reader import RunReader
    from phasescope.texts import Inputs

    Members: TypeAlias = Bool[np.ndarray, "sequences positions"]

BY = ("frequency", "pos", "previous_pos", "final_surprisal", "position")
DEFAULT = ("frequency", "pos", "final_surprisal")
CONTRASTS = {
    "frequency": ("frequent", "rare"),
    "pos": ("function", "content"),
    "previous_pos": ("function", "content"),
    "final_surprisal": ("predictable", "surprising"),
    "position": ("late", "early"),
}
"""Of each way of sorting the two groups whose difference is reported: the first less the second."""
# Edges in nats: the same for every size, so that sizes can be compared.
_NATS = (0.0, 2.0, 4.0, 6.0, 8.0, np.inf)


@dataclass(frozen=True, eq=False)
class Group:
    """Some of the tokens that are predicted.

    Attributes:
        by, name: how they were chosen, and what they are called.
        members: which of the tokens are in it.
    """

    by: str
    name: str
    members: Members


def parse_by(names: Sequence[str]) -> tuple[str, ...]:
    """The ways of sorting that are named; `PhasescopeError` with the nearest for one that there is not."""
    for name in names:
        if name not in BY:
            raise BadArgumentError(f"Tokens cannot be sorted by {name!r}. {did_you_mean(name, BY)}")
    return tuple(dict.fromkeys(names))


def usual(inputs: Inputs) -> tuple[str, ...]:
    """The ways of sorting that are taken unless others are named: without parts of speech where nothing tells them."""
    if inputs.tags is None:
        try:
            require_library("HanTa", "heuristics", "Tagging parts of speech")
        except MissingLibraryError as error:
            warnings.warn(f"Tokens are not grouped by part of speech: {error}", PhasescopeWarning, stacklevel=2)
            return tuple(name for name in DEFAULT if name != "pos")
    return DEFAULT


def token_groups(reader: RunReader, by: Sequence[str]) -> Callable[[str], list[Group]]:
    """The groups of tokens, for the size that is then asked for; what does not depend on size is found once."""
    inputs = reader.inputs
    makers: dict[str, Callable[[Inputs], Iterable[Group]]] = {
        "frequency": _by_frequency,
        "pos": lambda inputs: _by_tag(inputs, previous=False),
        "previous_pos": lambda inputs: _by_tag(inputs, previous=True),
        "position": _by_position,
    }
    shared = {name: list(makers[name](inputs)) for name in by if name in makers}

    def of(size: str) -> list[Group]:
        groups: list[Group] = []
        for name in by:
            groups += _by_final_surprisal(reader, size) if name == "final_surprisal" else shared[name]
        return [group for group in groups if group.members.any()]

    return of


def _by_frequency(inputs: Inputs) -> Iterator[Group]:
    """Decades of occurrences per million tokens of the reference; and two halves: `frequent` and `rare` tokens."""
    from phasescope.texts import frequency_bins

    counts = inputs.counts[inputs.tokens[: inputs.output_sequences, 1:]]
    total = int(inputs.counts.sum())
    if not total:
        return
    decades = frequency_bins(counts, total)
    for decade in np.unique(decades):
        name = f"{10.0**decade:g} to {10.0 ** (decade + 1):g} per million"
        yield Group("frequency", name, decades == decade)
    yield from _halves("frequency", -counts.astype(np.float64))


def _by_tag(inputs: Inputs, *, previous: bool) -> Iterator[Group]:
    """Function and content words, and each universal part of speech; of the token's word, or of the word before it."""
    from phasescope.texts import previous_tags, tags_read, word_class, words_read

    read = words_read(inputs)
    tags = tags_read(inputs, read)
    chosen = [*(previous_tags(read, tags) if previous else tags), ""]  # the last is that of a token of no word
    by = "previous_pos" if previous else "pos"
    shape = inputs.output_sequences, inputs.context - 1
    names = [[word_class(tag) for tag in chosen], chosen]
    for kind in names:
        of_token = np.array(kind, dtype=str)[read.word_of_token].reshape(shape)
        for name in sorted(set(kind) - {""}, key=lambda name: (name != "function", name)):
            yield Group(by, name, of_token == name)


def _by_final_surprisal(reader: RunReader, size: str) -> Iterator[Group]:
    """Bins of the surprisal that the last step has, mean over seeds; and two halves: `predictable`, `surprising`."""
    found = [values for seed in reader.seeds(size) if (values := _last_surprisal(reader, size, seed)) is not None]
    if not found:
        return
    surprisal = np.mean(found, axis=0)
    for low, high in pairwise(_NATS):
        name = f"{low:g} to {high:g} nats" if np.isfinite(high) else f"{low:g} nats or more"
        yield Group("final_surprisal", name, (surprisal >= low) & (surprisal < high))
    yield from _halves("final_surprisal", surprisal)


def _last_surprisal(reader: RunReader, size: str, seed: int) -> Float[np.ndarray, "sequences positions"] | None:
    last = reader.steps(size)[-1]
    if last not in reader.steps(size, seed):
        return None
    with reader.folder.open_shard(reader.key(size, seed, last)) as shard:
        if "outputs/surprisal" not in shard.names("outputs"):
            return None
        return shard.read("outputs/surprisal").astype(np.float64)


def _by_position(inputs: Inputs) -> Iterator[Group]:
    """Doubling bins of the place in the window, from 1; and two halves: `early` and `late`."""
    places = np.broadcast_to(np.arange(1, inputs.context), (inputs.output_sequences, inputs.context - 1))
    low = 1
    while low < inputs.context:
        high = min(2 * low, inputs.context) - 1
        yield Group("position", f"{low} to {high}" if high > low else f"{low}", (places >= low) & (places <= high))
        low *= 2
    yield from _halves("position", -places.astype(np.float64))


def _halves(by: str, values: Float[np.ndarray, "sequences positions"]) -> Iterator[Group]:
    """The tokens up to the median, in the order of `values`, and those beyond it, by the names of the contrast."""
    middle = np.median(values)
    first, second = CONTRASTS[by]
    yield Group(by, first, values <= middle)
    yield Group(by, second, values > middle)
