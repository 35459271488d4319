"""Questions that users bring along: by a decorator, or from a package that offers them by an entry point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from phasescope.analyses.question import OWN, Option, Question, Table, question
from phasescope.analyses.registry import drop, questions, register
from phasescope.plugins.offered import INTERFACE, require_usable

if TYPE_CHECKING:
    from phasescope.analyses.question import Analyse


def analysis(
    asks: str,
    tables: Sequence[Table],
    *,
    name: str = "",
    reads: Sequence[str] = (),
    options: Sequence[Option] = (),
    version: int = 1,
    report: str = "",
    interface: int = INTERFACE,
) -> Callable[[Analyse], Question]:
    """Make a question of a function `analyse(reader, options) -> tables by name`, and make it known.

    asks: the question. tables: `ps.Table`, what it makes; the first is the main one, and one of its name is the least.
    name: as in `phasescope analyse RUN NAME`; none given: the function's. Defined again, as a cell of a notebook is, it
        takes the place of the first.
    reads, options, version: see `phasescope.analyses.Question`.
    report: the module with its `ANSWER`: how it is shown; none given: its first number along the steps.
    interface: of plug-ins that it relies on.

    Raises `PhasescopeError` for a name that is one of ours, and for an interface that is newer than this phasescope's.

    >>> from phasescope.analyses import Table
    >>> @analysis("How long are the texts?", [Table("lengths", "one row", {"tokens": "int64"})])
    ... def lengths(reader, options):
    ...     import pandas as pd
    ...     return {"lengths": pd.DataFrame({"tokens": [reader.inputs.tokens.size]})}
    >>> lengths.name
    'lengths'
    """

    def make(function: Analyse) -> Question:
        called = name or str(getattr(function, "__name__", ""))
        require_usable(called, interface, "analysis")
        made = question(
            asks, tables, name=called, reads=reads, options=options, version=version, report=report
        )(function)  # fmt: skip
        known = questions().get(called)
        if known is not None and known.package.replace("-", "_") == made.package != OWN:
            drop(called)
        return register(made)

    return make
