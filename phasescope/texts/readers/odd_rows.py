"""One odd row does not end a published data set: it is left out and told. Many mean that the file is another kind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from phasescope.console import stderr
from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from types import TracebackType

SHARE = 10
"""Of so many rows one may be odd."""
_ENOUGH = 20  # odd rows after which a file that goes on like that is read no further


class OddRows:
    """Counts the rows of one source that cannot be read.

    Used around the loop over the rows; at its end, or where reading stops, the rows that were left out are told.

    >>> with OddRows("a.jsonl", "lines") as odd:
    ...     for line in range(30):
    ...         with odd.row():
    ...             pass
    >>> odd.left_out
    0

    Raises:
        PhasescopeError: what the first odd row raised, where more than a tenth of the rows are odd.
    """

    def __init__(self, source: object, rows: str) -> None:
        self.source, self.rows = source, rows
        self.seen = self.left_out = 0
        self.first: PhasescopeError | None = None

    @contextmanager
    def row(self) -> Iterator[None]:
        """Read one row within; a `PhasescopeError` leaves it out."""
        self.seen += 1
        try:
            yield
        except PhasescopeError as error:
            self.left_out += 1
            self.first = self.first or error
            if self.left_out >= _ENOUGH:
                self._refuse_many()

    @property
    def told(self) -> str:
        """How many were left out, and why the first one; empty where none was."""
        if not self.left_out:
            return ""
        were = "was" if self.left_out == 1 else "were"
        return f"{self.left_out} of {self.seen:,} {self.rows} of {self.source} {were} left out. The first: {self.first}"

    def _refuse_many(self) -> None:
        if self.first is not None and self.left_out * SHARE > self.seen:
            raise self.first

    def __enter__(self) -> OddRows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._refuse_many()
        if (kind is None or kind is GeneratorExit) and self.left_out:
            stderr().print(self.told, markup=False, soft_wrap=True)
