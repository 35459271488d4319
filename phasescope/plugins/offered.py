"""What installed packages offer by entry points, and what this process made known itself."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from phasescope.errors import BadArgumentError, PhasescopeError, PhasescopeWarning, did_you_mean

INTERFACE = 1
"""What a plug-in may rely on; it goes up when one that is written for it could not be used before."""
NAME = re.compile(r"[A-Za-z_]\w*")
_known: dict[str, list[tuple[Offered | None, str]]] = {}


@dataclass(frozen=True)
class Offered:
    """One thing that a package offers: `package:name`."""

    name: str
    package: str
    thing: Any

    @property
    def full(self) -> str:
        return f"{self.package}:{self.name}"

    @property
    def about(self) -> str:
        """What it is, in a line: what it says itself, or the first line of its docstring."""
        said = getattr(self.thing, "about", None) or getattr(self.thing, "asks", None)
        if not isinstance(said, str):
            said = self.thing.__doc__ if callable(self.thing) else ""
        return (said or "").strip().partition("\n")[0]


def offered(group: str, *kinds: type[Any]) -> list[Offered]:
    """What packages offer in a group of entry points; one that cannot be used is named in a warning and passed over.

    An entry point names one thing of these kinds, or several in a tuple or list; each is called as it calls itself,
    or as the entry point.
    """
    found: list[Offered] = []
    if group not in _known:
        _known[group] = list(_looked_up(group, kinds))
    for one, trouble in _known[group]:
        if trouble:
            warnings.warn(trouble, PhasescopeWarning, stacklevel=3)
        elif one is not None:
            found.append(one)
    return found


def forget() -> None:
    """Look for packages anew: one was installed since."""
    _known.clear()


def _looked_up(group: str, kinds: tuple[type[Any], ...]) -> Iterator[tuple[Offered | None, str]]:
    from importlib.metadata import entry_points

    seen: set[str] = set()
    for point in entry_points(group=group):
        package = point.dist.name if point.dist else point.value.partition(".")[0]
        by = f"The entry point {point.name} of {package}"
        try:
            loaded = point.load()
        except PhasescopeError as error:
            yield None, f"{by} is passed over: {error}"
            continue
        except Exception as error:
            yield (
                None,
                f"{by} cannot be loaded and is passed over ({type(error).__name__}: {error}): put that package "
                "right, or uninstall it.",
            )
            continue
        for thing in loaded if isinstance(loaded, list | tuple) else (loaded,):
            name = str(getattr(thing, "name", "") or point.name)
            if not isinstance(thing, kinds):
                wanted = " or ".join(kind.__name__ for kind in kinds)
                yield None, f"{by} gives a {type(thing).__name__} and is passed over: it must be a {wanted}."
            elif f"{package}:{name}" in seen:
                yield None, f"{package} offers two called {name} in {group}: the second is passed over, rename it."
            else:
                seen.add(f"{package}:{name}")
                yield Offered(name, package, thing), ""


def one_named(wanted: str, own: Iterable[Any], packages: Sequence[Offered], what: str) -> tuple[Any, str]:
    """The thing of that name, and its package ("" of what this process made known).

    Raises `BadArgumentError` with the nearest where there is none, or where several packages offer one.
    """
    of_packages = {id(one.thing) for one in packages}
    own = [one for one in own if id(one) not in of_packages]
    if mine := [one for one in own if one.name == wanted]:
        return mine[-1], ""
    found = [one for one in packages if wanted in (one.name, one.full)]
    if not found:
        known = [*(one.name for one in own), *(one.full for one in packages)]
        raise BadArgumentError(f"There is no {what} {wanted!r}. {did_you_mean(wanted, known)}")
    if len(found) > 1:
        several = " and ".join(one.full for one in found)
        raise BadArgumentError(f"Several packages offer a {what} {wanted!r}: {several}. Name one of these.")
    return found[0].thing, found[0].package


def require_usable(name: str, interface: int, what: str) -> None:
    """Raise `PhasescopeError` for a name that cannot be a file's, or a plug-in that relies on more than there is."""
    if not NAME.fullmatch(name):
        article = "An" if what[0] in "aeiou" else "A"
        raise PhasescopeError(
            f"{article} {what} is kept under its name, and {name!r} is none: give it one of letters, digits and "
            'underscores, name="spread", say.'
        )
    if interface > INTERFACE:
        raise PhasescopeError(
            f"The {what} {name} is written for plug-in interface {interface}, and this phasescope has {INTERFACE}: "
            "pip install -U phasescope."
        )
