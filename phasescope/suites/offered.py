"""Suites that installed packages offer by name, by entry points of the group `phasescope.suites`."""

from __future__ import annotations

from types import FunctionType
from typing import TYPE_CHECKING

from phasescope.plugins import Offered, offered
from phasescope.suites.preset import Preset
from phasescope.suites.suite import Suite

if TYPE_CHECKING:
    from pathlib import Path

GROUP = "phasescope.suites"


def offered_suites() -> list[Offered]:
    """All of them: a `Preset`, a `Suite`, or a function that gives what `open_suite` takes."""
    return offered(GROUP, Preset, Suite, FunctionType)


def suite_offered(name: str) -> Suite | str | Path | None:
    """What a package offers under that name (or `package:name`); None where none does.

    Raises `BadArgumentError` where several do.
    """
    from phasescope.plugins.offered import one_named

    packages = offered_suites()
    if not any(name in (one.name, one.full) for one in packages):
        return None
    found, _ = one_named(name, (), packages, "suite")
    if isinstance(found, Preset):
        return found.suite()
    made: Suite | str | Path = found if isinstance(found, Suite) else found()
    return made
