"""The items of the analysis `noise`: the beginnings of a run's sequences clean, corrupted, and carried on by models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.console import stderr
from phasescope.errors import BadArgumentError, BadCheckpointError, did_you_mean
from phasescope.texts.items.items import join
from phasescope.texts.made.noise import ABOUT, KIND, METHODS, NOISES, RATES, noised
from phasescope.visits.behaviour.contrast import decoded, ends_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jaxtyping import Int

    from phasescope.texts import Items
    from phasescope.visits.behaviour.making import Making

_KINDS = ("swap", "shuffle", "replace")
_METHODS = ("nucleus",)
_COLUMNS = (*ABOUT, "sequence")
_SAY = "Say noise=swap,replace,0.05,0.2,nucleus,sequences:16,tokens:128, or parts of it."


@dataclass(frozen=True)
class Wanted:
    """Which noise, at which rates, decoded by which methods; of how many sequences, of so many tokens."""

    kinds: tuple[str, ...] = _KINDS
    rates: tuple[float, ...] = RATES
    methods: tuple[str, ...] = _METHODS
    sequences: int = 8
    tokens: int = 64

    @classmethod
    def parse(cls, text: str | None) -> Wanted:
        """Kinds, methods, rates, `sequences:N` and `tokens:N` in any order, joined by commas.

        Kinds alone leave nothing decoded, methods alone corrupt nothing; rates alone are those of the usual kinds.

        Raises:
            PhasescopeError: a part that is none of these.
        """
        if text is None:
            return cls()
        parts = [part.strip() for part in text.split(",") if part.strip()]
        kinds = tuple(dict.fromkeys(part for part in parts if part in NOISES))
        methods = tuple(dict.fromkeys(part for part in parts if part in METHODS))
        sizes = {name: _size(part) for part in parts for name in ("sequences", "tokens") if part.startswith(f"{name}:")}
        others = [part for part in parts if part not in (*kinds, *methods) and part.partition(":")[0] not in sizes]
        rates = tuple(dict.fromkeys(_rate(part) for part in others))
        if not kinds and not methods:
            kinds, methods = _KINDS, _METHODS
        return cls(kinds, rates or RATES, methods, **sizes)

    @property
    def name(self) -> str:
        """Of the set of items: all that was asked for, so that another wish is another set."""
        rates = "+".join(f"{rate:g}" for rate in self.rates) if self.kinds else ""
        parts = ("+".join((*self.kinds, *self.methods)), rates, f"{self.sequences}x{self.tokens}")
        return "-".join(part for part in parts if part)


def _size(part: str) -> int:
    number = part.partition(":")[2]
    if not number.isdecimal() or int(number) < 4:
        raise BadArgumentError(f"{part!r} in --behaviour noise is no number of at least 4. {_SAY}")
    return int(number)


def _rate(part: str) -> float:
    try:
        rate = float(part)
    except ValueError:
        near = did_you_mean(part, [*NOISES, *METHODS])
        raise BadArgumentError(f"{part!r} is no noise, method of decoding or rate. {near} {_SAY}") from None
    if not 0 < rate <= 1:
        raise BadArgumentError(f"A rate of noise lies above 0 and up to 1: {part} does not. {_SAY}")
    return rate


def noise_items(source: str | None, making: Making) -> list[Items]:
    """One set: clean text, and what `source` asks for (see `Wanted.parse`).

    Where models read both sides of a token, or there is one size, nothing is decoded, and a message says so. What the
    run has frozen already is taken from there: decoding takes two models.

    Raises:
        PhasescopeError: a wish that cannot be read.
    """
    wanted = Wanted.parse(source)
    if frozen := making.frozen.get((KIND, wanted.name)):
        return [frozen]
    inputs = making.inputs
    context = min(wanted.tokens, inputs.context)
    sequences: list[Int[np.ndarray, "length"]] = []
    spans: list[tuple[int, int]] = []
    columns: dict[str, list[Any]] = {name: [] for name in _COLUMNS}
    for about, tokens, first in _ways(wanted, context, making):
        for number, row in enumerate(tokens):
            framed = row if inputs.framing is None else inputs.framing.around(row[None])[0]
            begin = first + int(inputs.framing is not None)
            sequences.append(framed)
            spans.append((begin, begin + len(row) - first))
            for name, value in zip(_COLUMNS, (*about, number), strict=True):
                columns[name].append(value)
    return [join(KIND, wanted.name, sequences, spans, columns, inputs.source, inputs.framing)]


def _ways(
    wanted: Wanted, context: int, making: Making
) -> Iterator[tuple[tuple[str, float, float, float], Int[np.ndarray, "sequences context"], int]]:
    """What each way is called (`ABOUT`; 0 for what it has not), its sequences, and their first scored token."""
    inputs = making.inputs
    for made in noised(
        inputs, wanted.kinds, wanted.rates, sequences=wanted.sequences, context=context, seed=inputs.seed
    ):
        yield (made.kind, made.rate, 0.0, 0.0), made.tokens, 1
    if wanted.methods:
        yield from _decoded(wanted, context, making)


def _decoded(
    wanted: Wanted, context: int, making: Making
) -> Iterator[tuple[tuple[str, float, float, float], Int[np.ndarray, "sequences context"], int]]:
    """As `_ways`; a quarter of each sequence is given, the rest made up. Nothing where there are no two models."""
    inputs, why = making.inputs, _why_nothing_decoded(making)
    try:
        small, large = (None, None) if why else _ends(making)
    except BadCheckpointError as error:
        why = str(error)
    if why:
        stderr().print(f"No text was decoded: {why}", markup=False, soft_wrap=True)
        return
    prompt = max(1, context // 4)
    prompts = inputs.tokens[: min(wanted.sequences, inputs.output_sequences), :prompt]
    settings: dict[str, Any] = {"vocabulary": inputs.vocabulary, "methods": wanted.methods, "seed": inputs.seed}
    for text in decoded(small, large, prompts, tokens=context - prompt, **settings):
        yield (text.method, 0.0, text.small_weight, text.large_weight), text.tokens, prompt


def _why_nothing_decoded(making: Making) -> str:
    if making.inputs.framing is not None:
        return "masked language models do not write from left to right."
    if len(making.suite.sizes) < 2:
        return f"contrast needs two sizes, and there is one, {making.suite.sizes[0]}."
    return ""


def _ends(making: Making) -> tuple[Any, Any]:
    """The smallest and the largest model at the end of their training."""
    from phasescope.suites.device import resolve_device
    from phasescope.suites.load import load_model

    probes = making.probes
    loaded = [
        load_model(
            checkpoint,
            device=resolve_device(probes.device),
            dtype=probes.dtype,
            trust_remote_code=probes.trust_remote_code,
        )
        for checkpoint in ends_of(making.suite)
    ]
    return loaded[0], loaded[1]
