"""A probe of one's own: what a visit records of every checkpoint, beside what phasescope does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

from phasescope.plugins.offered import INTERFACE, Offered, offered, one_named, require_usable

GROUP = "phasescope.probes"
_made: dict[str, Probe] = {}


@dataclass(frozen=True)
class Probe:
    """A function that is called with every batch of a visit.

    function: of a `TappedModel`, tokens `[batch, context]` and the `Reading` of the batch (the sites that the capture
        asks for, at the sampled positions); gives a dict of arrays `[batch, …]`, which are kept.
    name: what its arrays are kept under.
    units: of its numbers.
    """

    function: Callable[..., Any]
    name: str
    units: str = ""

    def __call__(self, *batch: Any) -> Any:
        return self.function(*batch)

    @property
    def about(self) -> str:
        """The first line of its docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


@overload
def probe(function: Callable[..., Any], /) -> Probe: ...
@overload
def probe(
    *, name: str | None = None, units: str = "", interface: int = INTERFACE
) -> Callable[[Callable[..., Any]], Probe]: ...


def probe(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    units: str = "",
    interface: int = INTERFACE,
) -> Probe | Callable[[Callable[..., Any]], Probe]:
    """Make a probe of a function: `capture(…, probe="its name")` then runs it in the pass over the frozen inputs.

    name: None: the function's. units: see `Probe`. interface: of plug-ins that it relies on.

    Raises `PhasescopeError` for a function without a name, and for an interface that is newer than this phasescope's.

    >>> @probe
    ... def lengths(model, tokens, reading):
    ...     return {"tokens": (tokens > 0).sum(1)}
    >>> lengths.name
    'lengths'
    """

    def make(function: Callable[..., Any]) -> Probe:
        called = name or str(getattr(function, "__name__", ""))
        require_usable(called, interface, "probe")
        _made[called] = Probe(function, called, units)
        return _made[called]

    return make if function is None else make(function)


def probes() -> list[Offered]:
    """The probes that packages offer."""
    return offered(GROUP, Probe)


def probe_named(name: str) -> tuple[Probe, str]:
    """The probe of that name and its package; see `one_named`."""
    found: tuple[Probe, str] = one_named(name, _made.values(), probes(), "probe")
    return found
