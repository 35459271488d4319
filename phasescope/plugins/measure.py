"""A measure of one's own: a function of activations that gives a number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, overload

from phasescope.errors import BadArgumentError, did_you_mean
from phasescope.plugins.offered import INTERFACE, Offered, offered, one_named, require_usable

GROUP = "phasescope.measures"
PAIRS = ("final", "previous", "seeds", "layers")
_made: dict[str, Measure] = {}


@dataclass(frozen=True)
class Measure:
    """A function of activations, and what `run.map` should know of it; called as the function is.

    function: of a tensor `[samples, d]` float32, or of two where `pairs` says so; gives a number or a dict of numbers.
    name: what its table is called.
    sites: which sites it is of unless a call says so; None: all that were recorded.
    pairs: `final`, `previous`, `seeds` or `layers`: what it compares a site with; None: nothing.
    units: of its numbers, for figures.
    """

    function: Callable[..., Any]
    name: str
    sites: str | tuple[str, ...] | None = None
    pairs: str | None = None
    units: str = ""

    def __call__(self, *activations: Any) -> Any:
        return self.function(*activations)

    @property
    def about(self) -> str:
        """The first line of its docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


@overload
def measure(function: Callable[..., Any], /) -> Measure: ...
@overload
def measure(
    *,
    name: str | None = None,
    sites: str | tuple[str, ...] | None = None,
    pairs: str | None = None,
    units: str = "",
    interface: int = INTERFACE,
) -> Callable[[Callable[..., Any]], Measure]: ...


def measure(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    sites: str | tuple[str, ...] | None = None,
    pairs: str | None = None,
    units: str = "",
    interface: int = INTERFACE,
) -> Measure | Callable[[Callable[..., Any]], Measure]:
    """Make a measure of a function: `run.map("its name")` then finds it, and a package may offer it.

    name: None: the function's. sites, pairs, units: see `Measure`. interface: of plug-ins that it relies on.

    Raises `PhasescopeError` for a function without a name, and for an interface that is newer than this phasescope's.

    >>> @measure(units="dimensions")
    ... def participation_ratio(x):
    ...     variances = (x - x.mean(0)).double().var(0)
    ...     return variances.sum() ** 2 / (variances**2).sum()
    >>> participation_ratio.name
    'participation_ratio'
    """
    if pairs not in (None, *PAIRS):
        raise BadArgumentError(f"There are no pairs {pairs!r}. {did_you_mean(pairs, PAIRS)}")

    def make(function: Callable[..., Any]) -> Measure:
        made = replace(measure_of(function, name, interface), sites=sites, pairs=pairs, units=units)
        # One that is defined again, as a cell of a notebook is, takes the place of the first.
        _made[made.name] = made
        return made

    return make if function is None else make(function)


def measure_of(function: Callable[..., Any], name: str | None = None, interface: int = INTERFACE) -> Measure:
    """A function as a measure, which is not made known. Raises `PhasescopeError` for one without a name."""
    if isinstance(function, Measure) and name is None:
        return function
    called = name or str(getattr(function, "__name__", ""))
    require_usable(called, interface, "measure")
    return replace(function, name=called) if isinstance(function, Measure) else Measure(function, called)


def measures() -> list[Offered]:
    """The measures that packages offer."""
    return offered(GROUP, Measure)


def measure_named(name: str) -> tuple[Measure, str]:
    """The measure of that name and its package; see `one_named`."""
    found: tuple[Measure, str] = one_named(name, _made.values(), measures(), "measure")
    return found
