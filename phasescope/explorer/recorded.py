"""What panels read of a run: rows of result tables, spectra, slices of activations; kept while it is small."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses import as_made_now, home_of, stands_on
from phasescope.hooks import Site
from phasescope.reports.kit.shown import as_shown
from phasescope.store import read_table, recorded_site
from phasescope.suites.suite import size_order

if TYPE_CHECKING:
    from collections.abc import Hashable

    import pandas as pd
    from jaxtyping import Float
    from numpy.typing import NDArray

    from phasescope.run import Run
    from phasescope.store import ShardKey

# How many slices of activations stay in memory: a slice is one sequence's samples, or all of one checkpoint's.
_SLICES, _CHECKPOINTS = 512, 32


@dataclass(frozen=True)
class Table:
    """A result table, cut by size and by what else its panels ask for."""

    rows: pd.DataFrame
    places: dict[Hashable, Any]
    stale: bool

    def of(self, *values: Hashable) -> pd.DataFrame:
        """The rows with these values of the columns that it was cut by."""
        found: pd.DataFrame = self.rows.iloc[self.places.get(values if len(values) > 1 else values[0], [])]
        return found


@dataclass(eq=False)
class Recorded:
    """Reads a run as it was when the explorer opened it; result tables as they are now."""

    run: Run

    def __post_init__(self) -> None:
        self._state = functools.cache(lambda table: stands_on(self.run.reader, home_of(table)))
        # Of this object alone, so that two runs in one process do not share memory.
        self._tables: dict[tuple[str, ...], tuple[float, Table]] = {}
        self.slice = functools.lru_cache(_SLICES)(self._slice)
        self.samples = functools.lru_cache(_CHECKPOINTS)(self._samples)
        self.seeds = functools.cache(self.run.reader.seeds)
        self.steps = functools.cache(self.run.reader.steps)
        self.key = functools.cache(self.run.reader.key)
        self.sites = functools.cache(self._sites)
        self.heads = functools.cache(self._heads)
        self.weights = functools.cache(self._weights)

    @property
    def sizes(self) -> list[str]:
        """Sizes of which sites were recorded, smallest first."""
        return sorted((size for size in self.run.sizes if self.sites(size)), key=size_order)

    def table(self, name: str, *by: str) -> Table | None:
        """A result table cut by columns; None where it was not computed, or by an older phasescope with other columns.

        Read again when the file has changed.
        """
        path = self.run.folder.result(name)
        if not path.is_file():
            return None
        changed = path.stat().st_mtime
        if (name, *by) not in self._tables or self._tables[name, *by][0] != changed:
            rows = read_table(path)
            if not as_made_now(name, rows):
                return None
            rows = as_shown(name, rows)
            stale = rows.attrs.get("made_from") != self._state(name)
            places = rows.groupby(list(by), sort=False, dropna=False).indices if by else {}
            self._tables[name, *by] = changed, Table(rows, places, stale)
        return self._tables[name, *by][1]

    def has(self, name: str) -> bool:
        """Whether there is a result table of that name."""
        return self.run.folder.result(name).is_file()

    def phase_curves(self, size: str) -> list[str]:
        """The curves of which phases were found in this size."""
        table = self.table("phases", "size")
        return [] if table is None else sorted(str(curve) for curve in table.of(size)["curve"].unique())

    def spectrum(self, key: ShardKey, weight: str, head: int | None) -> Float[NDArray[Any], "k"]:
        """Singular values of a weight matrix or circuit, largest first; of a circuit those of one head."""
        with self.run.folder.open_shard(key) as shard:
            values = shard.read(f"spectra/{weight}")
        return values if values.ndim == 1 else values[head or 0]

    def _sites(self, size: str) -> list[Site]:
        """What was recorded of a size, as its latest shard has it."""
        return [Site.parse(name) for name in self.run.reader.sites(self._latest(size))]

    def _heads(self, size: str, site: Site) -> int:
        """How many heads the site has; 0 where it has none."""
        with self.run.folder.open_shard(self._latest(size)) as shard:
            shape = shard.shape(f"activations/{site.name}")
        return shape[1] if len(shape) == 3 else 0

    def _weights(self, size: str, layer: int) -> dict[str, tuple[str, int]]:
        """Weights and circuits of a layer that have spectra: the site, and its heads or experts (0: it is one matrix).

        By component, as the table of ranks has it: `W_O`, `OV`, `experts.W_in`.
        """
        found: dict[str, tuple[str, int]] = {}
        with self.run.folder.open_shard(self._latest(size)) as shard:
            for name in shard.names("spectra"):
                attrs, shape = shard.attrs_of(name), shard.shape(name)
                if attrs.get("layer") == layer:
                    parts = shape[0] if len(shape) > 1 else 0
                    found[str(attrs["component"])] = name.removeprefix("spectra/"), parts
        return found

    def _latest(self, size: str) -> ShardKey:
        return max((key for key in self.run.reader.keys if key.size == size), key=lambda key: (key.step, -key.seed))

    def _slice(self, key: ShardKey, site: Site, head: int | None, sequence: int) -> Float[NDArray[Any], "positions d"]:
        """The activations at the sampled positions of one sequence."""
        return self._rows(key, site, head, sequence)

    def _samples(self, key: ShardKey, site: Site, head: int | None) -> Float[NDArray[Any], "samples d"]:
        """All sampled activations of one checkpoint."""
        return self._rows(key, site, head, None)

    def _rows(self, key: ShardKey, site: Site, head: int | None, sequence: int | None) -> Float[NDArray[Any], "rows d"]:
        each = self.run.inputs.positions.shape[1]
        rows = None if sequence is None else slice(sequence * each, (sequence + 1) * each)
        with self.run.folder.open_shard(key) as shard:
            found = recorded_site(shard, site.name, rows)
        if found.values.ndim == 2:
            return found.values.astype(np.float32)
        if head is not None:
            return found.head(head).astype(np.float32)
        values = found.total() if site.component == "ov_out" else found.values.reshape(len(found.values), -1)
        return values.astype(np.float32)
