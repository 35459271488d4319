"""What is asked of activations: a class for every sample, told by the inputs alone, and a control task beside it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from phasescope.console import too_few
from phasescope.errors import BadArgumentError, MissingLibraryError, PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from jaxtyping import Bool, Int

    from phasescope.texts import Inputs

    Names: TypeAlias = list[str]

LABELS = ("pos", "frequency", "position", "next_token")
# A third of the sequences is held out; of fewer than these nothing can be told apart.
FEWEST_SEQUENCES = 20
_HELD_OUT = 3
# A class that fewer training sequences have is left out; and one that no held-out sequence has.
_FEWEST_OF_CLASS = 4
_MOST_NEXT = 10
_BINS = 4
CONTROLS = 2
"""Control tasks that are drawn: one alone would be a matter of luck."""
NONE = -1


@dataclass(frozen=True, eq=False)
class Label:
    """A task for a probe.

    Attributes:
        name: one of `LABELS`.
        classes: what the numbers in `answers` mean.
        answers: `[samples]`, `NONE` where a sample has no class, or one that is left out.
        controls: `[CONTROLS, samples]`: a random class for each type of word, drawn from those of the samples.
        left_out: which classes are left out, in words.
    """

    name: str
    classes: Names
    answers: Int[np.ndarray, "samples"]
    controls: Int[np.ndarray, "controls samples"]
    left_out: str


@dataclass(frozen=True, eq=False)
class Tasks:
    """All that is asked, and which samples are held out.

    Attributes:
        held_out: `[samples]`, whole sequences.
        order: `[training samples]`, their places in the order in which they are coded: sequences are shuffled.
        ends: `[training samples]`-places at which a block of the code ends: whole sequences, twice as many each time.
        sequence: `[samples]`.
    """

    labels: list[Label]
    held_out: Bool[np.ndarray, "samples"]
    order: Int[np.ndarray, "train"]
    ends: Int[np.ndarray, "blocks"]
    sequence: Int[np.ndarray, "samples"]

    @property
    def digest(self) -> str:
        """Of all that a probe depends on beside activations."""
        total = hashlib.blake2b(digest_size=16)
        for array in (self.held_out, self.order, self.ends):
            total.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
        for label in self.labels:
            total.update(f"{label.name} {label.classes}".encode())
            total.update(np.ascontiguousarray(np.vstack([label.answers, label.controls]), dtype="<i8").tobytes())
        return total.hexdigest()


def known_labels(names: Sequence[str]) -> tuple[str, ...]:
    """The labels that are named; `PhasescopeError` with the nearest for one that there is not."""
    for name in names:
        if name not in LABELS:
            raise BadArgumentError(f"There is no label {name!r} to probe for. {did_you_mean(name, LABELS)}")
    return tuple(dict.fromkeys(names))


def tasks_of(inputs: Inputs, names: Sequence[str], seed: int) -> Tasks:
    """What is asked of the samples of a run.

    names: the labels; none: those that the inputs can be asked for.
    seed: of the split, the order of the code and the control tasks.

    Raises `PhasescopeError` for too few sequences; and where a label is named for one that is not there, has one class
    alone, or more classes than samples. Of labels that are not named, these are passed over.
    """
    if inputs.sequences < FEWEST_SEQUENCES:
        raise PhasescopeError(
            f"{too_few(inputs.sequences, 'sequence')} to hold some out from a probe: capture with "
            f"--sequences {FEWEST_SEQUENCES} or more."
        )
    each = inputs.positions.shape[1]
    shuffled = np.random.default_rng(seed).permutation(inputs.sequences)
    first = -(-inputs.sequences // _HELD_OUT)
    train = shuffled[first:]
    sequence = np.repeat(np.arange(inputs.sequences), each)
    held_out = np.isin(sequence, shuffled[:first])
    order = (train[:, None] * each + np.arange(each)).ravel()
    labels = [found for name in names or LABELS if (found := _label(name, inputs, held_out, seed, bool(names)))]
    return Tasks(labels, held_out, order, doubling(len(train)) * each, sequence)


def doubling(sequences: int) -> Int[np.ndarray, "blocks"]:
    """Where blocks of a code end: at all sequences, a half, a quarter, and so on down to no fewer than ten.

    >>> doubling(85).tolist()
    [10, 21, 42, 85]
    """
    ends = [sequences]
    while ends[0] // 2 >= 10:
        ends.insert(0, ends[0] // 2)
    return np.array(ends)


def _label(name: str, inputs: Inputs, held_out: Bool[np.ndarray, "samples"], seed: int, asked: bool) -> Label | None:
    """The label of that name; None, or an error where it was asked for, where there is nothing to tell apart."""
    try:
        of_sample = _MAKERS[name](inputs)
        return _made(name, of_sample, inputs, held_out, seed)
    except (PhasescopeError, MissingLibraryError):
        if asked:
            raise
        return None


def _made(name: str, of_sample: Names, inputs: Inputs, held_out: Bool[np.ndarray, "samples"], seed: int) -> Label:
    every = Counter(text for text in of_sample if text)
    samples = sum(every.values())
    if len(every) < 2:
        raise PhasescopeError(_ONE_CLASS[name].format(next(iter(every), "")) if every else _NO_CLASS[name])
    given = np.array(of_sample)
    sequence = np.repeat(np.arange(inputs.sequences), inputs.positions.shape[1])
    kept = [
        text
        for text, _ in every.most_common(_MOST_NEXT if name == "next_token" else None)
        if len(np.unique(sequence[(given == text) & ~held_out])) >= _FEWEST_OF_CLASS
        and bool((given[held_out] == text).any())
    ]
    if len(kept) < 2:
        raise PhasescopeError(
            f"{too_few(samples, 'sample')} for the {len(every)} classes of {name}: only "
            f"{len(kept)} of them {'is' if len(kept) == 1 else 'are'} in {_FEWEST_OF_CLASS} training sequences and in "
            "one that is held out. Capture more --sequences, or more --positions of each."
        )
    number = {text: place for place, text in enumerate(kept)}
    answers = np.array([number.get(text, NONE) for text in of_sample])
    gone = Counter({text: count for text, count in every.items() if text not in number})
    return Label(name, kept, answers, _controls(answers, _types(inputs), seed), _in_words(gone))


def _in_words(gone: Counter[str]) -> str:
    """`INTJ (1), X (2)`; of many classes the most frequent and how many more."""
    told = [f"{text} ({count})" for text, count in gone.most_common(5)]
    more = len(gone) - len(told)
    return ", ".join(
        [*told, *([f"{more} more ({gone.total() - sum(dict(gone.most_common(5)).values())})"] * (more > 0))]
    )


def _controls(
    answers: Int[np.ndarray, "samples"], types: Int[np.ndarray, "samples"], seed: int
) -> Int[np.ndarray, "controls samples"]:
    """Hewitt & Liang 2019: a class for every type of word, drawn as often as the task has it; the same wherever the
    type stands, so that it can be learned by heart and by nothing else.
    """
    known = answers[answers != NONE]
    generator = np.random.default_rng([seed, 1])
    drawn = generator.choice(known, size=(CONTROLS, int(types.max()) + 1))
    return np.where(answers == NONE, NONE, drawn[:, types])


def _types(inputs: Inputs) -> Int[np.ndarray, "samples"]:
    """The type of each sample: the word that its token is of, as it is written; the token where it is of no word."""
    ids = np.take_along_axis(inputs.word_ids, inputs.positions, 1).ravel()
    tokens = np.take_along_axis(inputs.tokens, inputs.positions, 1).ravel()
    names = [f"word {inputs.words[i]}" if i >= 0 else f"token {token}" for i, token in zip(ids, tokens, strict=True)]
    return np.unique(names, return_inverse=True)[1]


def _pos(inputs: Inputs) -> Names:
    from phasescope.texts import tags_read, words_read

    if inputs.tags is not None:
        ids = np.take_along_axis(inputs.word_ids, inputs.positions, 1).ravel()
        return [inputs.tags[i] if i >= 0 else "" for i in ids.tolist()]
    read = words_read(replace(inputs, output_sequences=inputs.sequences))
    tags = [*tags_read(inputs, read), ""]  # the last is that of a token of no word
    # The first token of a window has no place there.
    of_token = np.pad(read.word_of_token.reshape(inputs.sequences, -1), ((0, 0), (1, 0)), constant_values=len(read))
    return [tags[word] for word in np.take_along_axis(of_token, inputs.positions, 1).ravel().tolist()]


def _frequency(inputs: Inputs) -> Names:
    counts = inputs.counts[np.take_along_axis(inputs.tokens, inputs.positions, 1).ravel()]
    total = int(inputs.counts.sum())
    if not total:
        return [""] * counts.size
    return _quarters(counts, lambda count: f"{count * 1e6 / total:.3g}", " per million")


def _position(inputs: Inputs) -> Names:
    return _quarters(inputs.positions.ravel(), lambda place: f"{place:.0f}", "")


def _quarters(values: Int[np.ndarray, "samples"], tell: Callable[[float], str], unit: str) -> Names:
    """Four bins of as many samples as ties allow, called by their smallest and largest value."""
    inner = np.unique(np.quantile(values, np.arange(1, _BINS) / _BINS, method="lower"))
    of_sample = np.searchsorted(inner, values, side="left")
    names = {}
    for one in np.unique(of_sample).tolist():
        mine = values[of_sample == one]
        ends = [tell(float(mine.min())), tell(float(mine.max()))]
        names[one] = " to ".join(dict.fromkeys(ends)) + unit
    return [names[one] for one in of_sample.tolist()]


def _next_token(inputs: Inputs) -> Names:
    after = inputs.positions + 1
    inside = after < inputs.context
    tokens = np.take_along_axis(inputs.tokens, np.where(inside, after, 0), 1)
    return [str(token) if known else "" for token, known in zip(tokens.ravel(), inside.ravel(), strict=True)]


_MAKERS: dict[str, Callable[[Inputs], Names]] = {
    "pos": _pos,
    "frequency": _frequency,
    "position": _position,
    "next_token": _next_token,
}
_ONE_CLASS = {
    "pos": "Every sample that has a part of speech is {}: one class alone cannot be probed for. Capture with "
    "--positions 8.",
    "frequency": "All samples are as frequent ({}): one class alone cannot be probed for. Capture with --positions 8.",
    "position": "All samples are at position {} of their windows: one class alone cannot be probed for. Capture with "
    "--positions 8.",
    "next_token": "The next token is {} everywhere: one class alone cannot be probed for. Capture with --positions 8.",
}
_NO_CLASS = {
    "pos": "No sample is of a word with a part of speech: this run cannot be probed for pos. Capture with "
    "--positions 8, or texts with tags.",
    "frequency": "The reference corpus of this run is empty: it cannot be probed for frequency.",
    "position": "There are no samples to probe.",
    "next_token": "Every sample is the last token of its window, after which none is known: to probe for next_token, "
    "capture with --positions 8.",
}
