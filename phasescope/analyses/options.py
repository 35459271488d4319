"""How intervals are computed, and what single questions take beside."""

from __future__ import annotations

from typing import Any

from phasescope.analyses.question import require_share
from phasescope.analyses.registry import options_there_are
from phasescope.errors import BadArgumentError, did_you_mean


class Options:
    """How intervals are computed, and whatever the questions take beside (`phasescope analyse --help` lists it).

    resamples: of the bootstrap, mostly over sequences.
    level: of the intervals.
    seed: of the bootstrap.
    own: options of single questions, such as `taus=(0.9,)` or `early="40-60"`; each is an attribute afterwards.

    Raises `PhasescopeError` for an option that no question takes, with the nearest, and for a value that cannot be.

    >>> Options(resamples=50, level=0.9).taus
    (0.8, 0.9, 0.95)
    """

    def __init__(self, resamples: int = 500, level: float = 0.95, seed: int = 0, **own: Any) -> None:
        require_share("the level", level)
        if resamples < 1:
            raise BadArgumentError(f"An interval needs at least one resample, not {resamples}. Try 500.")
        known = options_there_are()
        for name in own:
            if name not in known:
                raise BadArgumentError(f"No analysis takes {name!r}. {did_you_mean(name, ['resamples', *known])}")
        chosen: dict[str, Any] = {"resamples": resamples, "level": level, "seed": seed}
        for name, option in known.items():
            value = own.get(name, option.default)
            chosen[name] = option.check(value) if option.check else value
        self.__dict__.update(chosen)

    def but(self, **changes: Any) -> Options:
        """The same with some options changed."""
        return Options(**self.__dict__ | changes)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"no option {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"options are not changed: make others, Options({name}={value!r})")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Options) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"Options({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"
