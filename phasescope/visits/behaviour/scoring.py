"""Behaviour that needs a pass beyond the frozen inputs: items are frozen once per run, and scored by every checkpoint.

A kind of behaviour is one line in `KINDS`: a function that makes its items.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean
from phasescope.visits.behaviour.making import Making

if TYPE_CHECKING:
    from phasescope.hooks import TappedModel
    from phasescope.probes import Probes
    from phasescope.store import RunFolder, Scalar, ShardKey
    from phasescope.texts import Inputs, Items

EVERYTHING = "all"


@dataclass(frozen=True)
class Kind:
    """Items of one kind: how they are made of a file of the user's, and whether they can be made without one (None).

    fits: whether models can be asked for it; those that cannot are not, where `all` is asked for.
    """

    make: Callable[[str | None, Making], list[Items]]
    needs_file: bool
    fits: Callable[[Making], bool] = lambda _: True


def _minimal_pairs(source: str | None, making: Making) -> list[Items]:
    from phasescope.texts import pair_items

    return pair_items(source, making.encoder)


def _multiple_choice(source: str | None, making: Making) -> list[Items]:
    from phasescope.texts import named_task, read_task, task_items

    path, shots = named_task(source or "")
    return [task_items(read_task(path), making.encoder, shots=shots, longest=making.longest)]


def _noise(source: str | None, making: Making) -> list[Items]:
    from phasescope.visits.behaviour.noise import noise_items

    return noise_items(source, making)


def _heads(source: str | None, making: Making) -> list[Items]:
    from phasescope.texts.made.repeats import FEWEST, repeated_items

    if source is not None:
        raise BadArgumentError("Heads are scored on random tokens, not on a file: say --behaviour heads.")
    if making.inputs.framing is not None or not making.has("pattern"):
        why = "read what comes after a token too" if making.inputs.framing else "hand out no pattern of attention"
        raise PhasescopeError(f"The models of {making.suite.source} {why}: leave heads out of --behaviour.")
    seen = np.flatnonzero(making.inputs.counts)
    entries = seen if len(seen) >= FEWEST else np.arange(making.inputs.vocabulary)
    return [repeated_items(making.encoder.begin, entries, making.longest)]


def _lens(source: str | None, making: Making) -> list[Items]:
    from phasescope.texts.made.lens_wish import LensWish
    from phasescope.texts.made.passages import passages

    wish, inputs = LensWish.parse(source), making.inputs
    if inputs.framing is not None:
        raise PhasescopeError(
            f"The lens is put to models that read from left to right, and those of {making.suite.source} read what "
            "comes after a token too: leave lens out of --behaviour."
        )
    read_from = str(wish.file.resolve()) if wish.file else inputs.source
    return [passages(inputs, wish.tokens, name=wish.name, source=read_from, train=wish.train)]


def _takes_lens(making: Making) -> bool:
    from phasescope.texts.made.passages import FEWEST

    return making.inputs.framing is None and making.inputs.context >= FEWEST and making.has("resid_post")


KINDS: dict[str, Kind] = {
    "minimal_pairs": Kind(_minimal_pairs, needs_file=False),
    "multiple_choice": Kind(_multiple_choice, needs_file=True),
    "noise": Kind(_noise, needs_file=False),
    "heads": Kind(_heads, needs_file=False, fits=lambda making: making.has("pattern") and not making.inputs.framing),
    "lens": Kind(_lens, needs_file=False, fits=_takes_lens),
}


def parse_specs(specs: Sequence[str], probes: Probes) -> list[tuple[str, str | None]]:
    """(kind, file or None) of each `KIND`, `KIND=FILE`, or `all`: of every kind that needs no file.

    Raises `PhasescopeError` for a kind that there is not, or that needs a file; and for models that are read remotely.
    """
    parsed: dict[tuple[str, str | None], None] = {}
    if specs and probes.remote:
        raise BadArgumentError(
            "Models that are read on NDIF are not asked for behaviour: leave out --behaviour, or --remote."
        )
    for spec in specs:
        kind, given, source = spec.partition("=")
        if spec == EVERYTHING:
            parsed |= dict.fromkeys((name, None) for name, known in KINDS.items() if not known.needs_file)
            continue
        if kind not in KINDS:
            raise BadArgumentError(f"There is no behaviour {kind!r}. {did_you_mean(kind, [*KINDS, EVERYTHING])}")
        if not source and (given or KINDS[kind].needs_file):
            raise BadArgumentError(f"No file is named for {kind}: say --behaviour {kind}=FILE.")
        parsed[kind, source or None] = None
    return list(parsed)


def make_items(specs: Sequence[str], folder: RunFolder, making: Making) -> list[Items]:
    """The sets of items that are asked for: made, and the same as those that the run has of that name, if any.

    `all` also asks for every set that the run has. Nothing is written.

    Raises `PhasescopeError` for specs and files that cannot be read, for items that are too long for the models, and
    for items that are not those that were frozen under their name.
    """
    from phasescope.texts import Items

    frozen = {found: Items.load(folder.items(*found)) for found in folder.item_sets()} if specs else {}
    wanted: dict[tuple[str, str], Items] = dict(frozen) if EVERYTHING in specs else {}
    named = {spec.partition("=")[0] for spec in specs}
    for kind, source in parse_specs(specs, making.probes):
        if kind not in named and not KINDS[kind].fits(making):
            continue
        for items in KINDS[kind].make(source, replace(making, frozen=frozen)):
            before = frozen.get((items.kind, items.name)) or wanted.get((items.kind, items.name))
            if before is not None and (difference := before.differences(items)):
                raise PhasescopeError(
                    f"{items.name} of {items.source} is not the {items.name} of {before.source} that this run has "
                    f"({difference}). Give it another name, or capture into a new run."
                )
            wanted[items.kind, items.name] = before or items
    for items in wanted.values():
        _require_room(items, making.longest)
        _require_rows(items, making.inputs.vocabulary)
    return list(wanted.values())


def _require_room(items: Items, longest: int) -> None:
    """Raise `PhasescopeError` now for an item that the models cannot read."""
    item = int(items.lengths.argmax())
    if items.lengths[item] > longest:
        raise PhasescopeError(
            f"Item {item + 1} of {items.name} ({items.source}) has {items.lengths[item]} tokens with what is read "
            f"before it, and these models can score {longest} at most. Shorten it or leave it out."
        )


def _require_rows(items: Items, vocabulary: int) -> None:
    """Raise `PhasescopeError` now for a token that the models have no row for."""
    if items.tokens.max() >= vocabulary:
        item = int(np.searchsorted(items.starts, int(items.tokens.argmax()), side="right"))
        raise PhasescopeError(
            f"Item {item} of {items.name} ({items.source}) holds entry {items.tokens.max()} of the tokenizer, and "
            f"these models have rows for {vocabulary} only. Leave it out."
        )


def freeze_items(sets: Sequence[Items], folder: RunFolder) -> None:
    """Write the sets that the run does not have yet."""
    for items in sets:
        path = folder.items(items.kind, items.name)
        if not path.is_file():
            items.save(path)


def unscored(key: ShardKey, sets: Sequence[Items], folder: RunFolder) -> list[Items]:
    """The sets of items on which a checkpoint has no scores yet."""
    return [items for items in sets if not folder.scores(items.kind, items.name, key).is_file()]


def record_scores(
    model: TappedModel, key: ShardKey, sets: Sequence[Items], inputs: Inputs, probes: Probes, folder: RunFolder
) -> None:
    """Score every set with a model that is open, and write each one's file.

    Raises `BadCheckpointError` where predictions are not finite.
    """
    from phasescope.probes import score_items

    for items in sets:
        scores = score_items(model, items, inputs.vocabulary, probes.on(model.device.type))
        attrs: dict[str, Scalar] = {
            "kind": items.kind,
            "name": items.name,
            "items": items.hash,
            "size": key.size,
            "seed": key.seed,
            "step": key.step,
            "engine": probes.reader,
            "dtype": str(model.model.dtype).removeprefix("torch."),
        }
        scores.save(folder.scores(items.kind, items.name, key), attrs)
