"""All architectures that are known: phasescope's own, and those that others register."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from phasescope.errors import BadArgumentError, PhasescopeError, PhasescopeWarning, did_you_mean
from phasescope.hooks.architecture import Architecture
from phasescope.hooks.architectures import ARCHITECTURES
from phasescope.hooks.sites import COMPONENTS
from phasescope.plugins import Offered, offered

GROUP = "phasescope.architectures"
_added: list[Architecture] = []
_on_trial: list[Architecture] = []


def register(entry: Architecture) -> None:
    """Make an architecture known, for as long as the process runs.

    A package makes its entries known to every process by an entry point of the group `phasescope.architectures`, which
    names an `Architecture` or several in a tuple.

    Raises PhasescopeError for what is no architecture, or one that is known already.
    """
    _require_new(entry, architectures(), "ps.register")
    _added.append(entry)


def architectures() -> tuple[Architecture, ...]:
    """All of them, phasescope's own first. One of a package that cannot be used is named and passed over."""
    if _on_trial:
        return tuple(_on_trial)
    return (*ARCHITECTURES, *(entry for entry, _ in _of_packages()), *_added)


@contextmanager
def on_trial(entry: Architecture) -> Iterator[None]:
    """While it lasts, that entry is the only one that is known."""
    _on_trial.append(entry)
    try:
        yield
    finally:
        _on_trial.remove(entry)


def added() -> tuple[Architecture, ...]:
    """Those that are not phasescope's own."""
    return (*(entry for entry, _ in _of_packages()), *_added)


def entries_of(model_type: str) -> list[Architecture]:
    """The entries of one model type: several where settings decide. Raises BadArgumentError if there is none."""
    found = [entry for entry in architectures() if entry.model_type == model_type]
    if not found:
        known = dict.fromkeys(entry.model_type for entry in architectures())
        raise BadArgumentError(
            f"phasescope has no entry for {model_type!r} models. {did_you_mean(model_type, known)} Any other is read "
            "with --module, or with an entry of your own (ps.register)."
        )
    return found


def offered_architectures() -> list[Offered]:
    """The entries that packages offer, each with its package."""
    return [Offered(entry.model_type, package, entry) for entry, package in _of_packages()]


def _of_packages() -> list[tuple[Architecture, str]]:
    found: list[tuple[Architecture, str]] = []
    for one in offered(GROUP, Architecture):
        try:
            _require_new(one.thing, (*ARCHITECTURES, *(entry for entry, _ in found)), one.package)
        except PhasescopeError as error:
            warnings.warn(f"An architecture is passed over: {error}", PhasescopeWarning, stacklevel=2)
        else:
            found.append((one.thing, one.package))
    return found


def _require_new(entry: Any, known: Iterable[Architecture], by: str) -> None:
    if not isinstance(entry, Architecture):
        raise PhasescopeError(f"What {by} gives is a {type(entry).__name__}, not an Architecture.")
    if unknown := [name for name in entry.taps if name not in COMPONENTS]:
        raise PhasescopeError(
            f"{by} gives an entry for {entry.model_type!r} models with {unknown[0]!r}, and there is no such component. "
            f"{did_you_mean(unknown[0], COMPONENTS)}"
        )
    for other in known:
        if other.model_type == entry.model_type and other.when == entry.when:
            settings = ", ".join(f"{name}={value!r}" for name, value in entry.when.items())
            raise PhasescopeError(
                f"{by} gives an entry for {entry.model_type!r} models{f' with {settings}' if settings else ''}, and "
                "there is one: give it `when`, the settings that tell the two apart, or leave it out."
            )


def described(entry: Architecture) -> dict[str, Any]:
    """An entry in plain values: where every component is seen, and which weights are named, by kind of layer."""
    kinds = entry.kinds or {"": entry}
    return {
        "model_type": entry.model_type,
        "when": dict(entry.when),
        "masked": entry.masked,
        "layers": entry.layers,
        "components": list(entry.components),
        "kinds": {
            kind: {
                "taps": {name: f"{tap.module}{':input' * (tap.side == 'input')}" for name, tap in own.taps.items()},
                "weights": [*(f"attn.W_{letter}" for letter in "QKVO" if own.attention), *own.matrices],
            }
            for kind, own in kinds.items()
        },
    }
