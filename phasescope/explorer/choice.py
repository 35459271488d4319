"""What is looked at: one size, layer, component and head; and what to do where that is not there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from phasescope.errors import PhasescopeError, did_you_mean, nearest_number
from phasescope.hooks import Site
from phasescope.reports.kit import tidy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phasescope.explorer.recorded import Recorded

NAMES = ("size", "component", "layer", "head", "seed", "step")


@dataclass(frozen=True)
class Choice:
    """A place that the run holds; `head` None: the whole of it."""

    size: str
    component: str
    layer: int
    head: int | None

    @property
    def site(self) -> Site:
        return Site(self.layer, self.component)

    @property
    def label(self) -> str:
        """How people write it: `L3.z head 1 of 1m`."""
        return f"{self.site.short}{'' if self.head is None else f' head {self.head}'} of {self.size}"

    def as_record(self) -> dict[str, Any]:
        """As plain values, for the browser to keep."""
        return asdict(self)


def asked_in(address: str) -> dict[str, str]:
    """What an address asks for: `?size=1m&layer=3&component=mlp_out`."""
    return {name: value for name, value in parse_qsl(address.removeprefix("?")) if name in NAMES}


def resolve(recorded: Recorded, asked: dict[str, Any]) -> tuple[Choice, list[str]]:
    """The choice that is asked for, or the nearest that there is; and a sentence for each difference.

    asked: by name what is wanted, as typed or None; what is missing is chosen.
    """
    said: list[str] = []
    size = _word("size", asked.get("size"), recorded.sizes, said)
    sites = recorded.sites(size)
    components = tidy.ordered_components(site.component for site in sites)
    component = _word("component", asked.get("component"), components, said, f" in {size}")
    layers = sorted(site.layer for site in sites if site.component == component)
    middle = layers[len(layers) // 2]
    layer = number("layer", asked.get("layer"), layers, said, f" of {component} in {size}", middle)
    assert layer is not None
    heads = range(recorded.heads(size, Site(layer, component)))
    if not heads and asked.get("head") not in (None, "", "all"):
        said.append(f"{component} has no heads: the whole of it is shown.")
        return Choice(size, component, layer, None), said
    head = number("head", asked.get("head"), heads, said, f" of {component} in {size}", None)
    return Choice(size, component, layer, head), said


def held(recorded: Recorded, record: Any) -> Choice:
    """What `as_record` gave, held against the run again: a browser can send anything.

    Raises `PhasescopeError` for what the run does not have, with the nearest.
    """
    if not isinstance(record, dict):
        raise PhasescopeError("Nothing is chosen yet: choose a size, a component and a layer.")
    choice, said = resolve(recorded, record)
    if said:
        raise PhasescopeError(" ".join(said))
    return choice


def among(what: str, wanted: Any, there: Sequence[int], where: str = "") -> int:
    """A number that a browser sent. Raises `PhasescopeError` where it is none of those there are, with the nearest."""
    said: list[str] = []
    found = number(what, wanted, there, said, where, None)
    if said or found is None:
        raise PhasescopeError(" ".join(said) or f"No {what} is chosen{where}. There are: {_listing(there)}.")
    return found


def seeds_among(recorded: Recorded, choice: Choice, wanted: Any) -> list[int]:
    """The seeds that a browser sent, of those that the size has. Raises as `among`, and for what is no list."""
    if wanted is None:
        return []
    if not isinstance(wanted, list):
        raise PhasescopeError(f"{wanted!r} are no seeds: they come as a list of whole numbers.")
    there = recorded.seeds(choice.size)
    return [among("seed", one, there, f" of {choice.size}") for one in wanted]


def step_at(recorded: Recorded, choice: Choice, place: Any) -> int:
    """The step at a place of the slider, which counts the checkpoints of the size. Raises as `among`."""
    steps = recorded.steps(choice.size)
    # The size before may have had more: the place among these comes with the next answer.
    near = min(place, len(steps) - 1) if isinstance(place, int) else place
    return steps[among("place on the slider", near, range(len(steps)))]


def number(
    what: str, wanted: Any, there: Sequence[int], said: list[str], where: str, otherwise: int | None
) -> int | None:
    """The number asked for, or the nearest there is and a sentence that says so."""
    if wanted in (None, "", "all") or not len(there):
        return otherwise
    try:
        asked = int(wanted)
    except (TypeError, ValueError):
        said.append(f"{wanted!r} is no {what}: it takes a whole number. There are: {_listing(there)}.")
        return otherwise
    if asked not in there:
        said.append(f"There is no {what} {asked}{where}. {nearest_number(asked, there)}")
        return min(there, key=lambda known: (abs(known - asked), known))
    return asked


def _word(what: str, wanted: Any, there: Sequence[str], said: list[str], where: str = "") -> str:
    if wanted in (None, ""):
        return there[-1] if what == "size" else next((name for name in there if name == "mlp_out"), there[0])
    if wanted not in there:
        near = did_you_mean(wanted, there)
        said.append(f"There is no {what} {wanted!r}{where}. {near}")
        return _word(what, None, there, said)
    return str(wanted)


def _listing(numbers: Sequence[int]) -> str:
    return tidy.listing(list(numbers), 12)
