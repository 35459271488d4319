"""Methods of a run that questions offer: one for the main table of each.

Type checkers and editors read them in `asked.pyi`, which `make stubs` writes.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

from phasescope.analyses.question import OWN
from phasescope.analyses.registry import methods_there_are, tables_there_are

if TYPE_CHECKING:
    from collections.abc import Callable

    from pandas import DataFrame

    from phasescope.analyses import Table

_HEAD = """\
# Written by `make stubs`: the methods of runs that questions offer, for type checkers and editors.
from pandas import DataFrame

class Asked:
"""
_METHOD = """\
    def {name}(self) -> DataFrame:
        \"\"\"{about}\"\"\"
"""


class Asked:
    """Answers for every table that a question offers a method for, those of other packages too."""

    def __getattr__(self, name: str) -> Any:
        found = None if name.startswith("_") else methods_there_are().get(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        return _method(self, name, found)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *methods_there_are()})


def _method(run: Any, name: str, asked: Table) -> Callable[[], DataFrame]:
    def method() -> DataFrame:
        table: DataFrame = run.table(asked.name)
        return table

    method.__name__ = method.__qualname__ = name
    method.__doc__ = asked.about
    return method


def stub() -> str:
    """The methods of phasescope's own questions, as a stub file has them."""
    own = {table.name for asked, table in tables_there_are().values() if asked.package == OWN}
    methods = {name: table for name, table in methods_there_are().items() if table.name in own}
    told = {name: "\n        ".join(wrap(table.about, 100)) for name, table in methods.items()}
    return _HEAD + "".join(_METHOD.format(name=name, about=about) for name, about in told.items())
