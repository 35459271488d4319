"""What layers are compared with: the behavioural curves of a size, one per seed, whatever table they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.analyses.registry import curves_there_are
from phasescope.analyses.seed_ends import last_steps, pooled, short_seeds
from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from jaxtyping import Float64
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.question import Curve
    from phasescope.analyses.reader import RunReader

    Array = np.ndarray

_PAIRS, _ELSEWHERE = "seed_pairs", "evaluations"
"""Tables whose curves are put together otherwise: each seed's KL to the others, and tasks by their metrics."""


@dataclass(frozen=True)
class SeedCurves:
    """One measure of one size along training, of several seeds.

    Attributes:
        name: of the curve, as in the table `phases`.
        size: of the models.
        seeds: that have it.
        steps: at which all of these have it.
        of: given some of the seeds, one curve each: [seeds, steps].
    """

    name: str
    size: str
    seeds: list[int]
    steps: list[int]
    of: Callable[[Sequence[int]], Float64[Array, "seeds steps"]]


def behavioural_curves(reader: RunReader, options: Options) -> Iterator[SeedCurves]:
    """All curves that this run has, size by size, called as their phases are; then what was measured elsewhere."""
    from phasescope.analyses.results import table_if_asked

    sources = curves_there_are()
    tables: dict[str, DataFrame] = {}
    for name in (_PAIRS, *dict.fromkeys(name for name, _ in sources), _ELSEWHERE):
        # Whoever asks for the analysis itself is told why it has no table.
        with suppress(PhasescopeError):
            tables[name] = table_if_asked(reader, name, options)
    for size in reader.sizes:
        if _PAIRS in tables:
            yield from kl_curves(tables[_PAIRS], size)
        for name, source in sources:
            # A table without seeds is of all together, as the KL between them is.
            if name in tables and "seed" in tables[name]:
                yield from _of_source(source, tables[name], size)
        if _ELSEWHERE in tables:
            yield from _elsewhere(tables[_ELSEWHERE], size)


def _of_source(source: Curve, table: DataFrame, size: str) -> Iterator[SeedCurves]:
    rows = source.of(table)
    if not source.by:
        yield from per_seed(rows, source.value, size, source.name)
        return
    for which in dict.fromkeys(rows[source.by]):
        yield from per_seed(rows[rows[source.by] == which], source.value, size, source.named({source.by: which}))


def _elsewhere(rows: DataFrame, size: str) -> Iterator[SeedCurves]:
    """Benchmarks, of which one task may be there with several numbers of examples in the prompt."""
    for (task, metric, shots), mine in rows.groupby(["task", "metric", "shots"], sort=False, dropna=False):
        several = rows.loc[rows["task"] == task, "shots"].nunique(dropna=False) > 1
        name = f"evaluation:{task} {metric}" + (f", {shots}-shot" if several else "")
        yield from per_seed(mine, "value", size, name)


def per_seed(rows: DataFrame, value: str, size: str, name: str) -> Iterator[SeedCurves]:
    """From rows with columns size, seed, step and the value; none where no step is common to all seeds.

    Seeds that end before others are left out: the curves of all would end with them.
    """
    here = pooled(rows[rows["size"] == size])
    here = here[here[value].notna()]
    wide = here.pivot_table(index="seed", columns="step", values=value).dropna(axis="columns")
    if not wide.empty:
        values = wide.to_numpy(np.float64)
        places = {int(seed): row for row, seed in enumerate(wide.index)}
        steps = [int(step) for step in wide.columns]
        yield SeedCurves(name, size, list(places), steps, lambda seeds: values[[places[seed] for seed in seeds]])


def kl_curves(pairs: DataFrame, size: str) -> Iterator[SeedCurves]:
    """Of each seed, its mean KL with the others that are asked for, in both directions."""
    here = pairs[pairs["size"] == size]
    short = short_seeds(last_steps(here.rename(columns={"seed_p": "seed"})))
    here = here[here["kl"].notna() & ~here["seed_p"].isin(short) & ~here["seed_q"].isin(short)]
    names = sorted({int(seed) for seed in here["seed_p"]})
    pairs_of = [(p, q) for p in names for q in names if p != q]
    # A pair that was never compared leaves no step that all have.
    wide = here.pivot_table(index=["seed_p", "seed_q"], columns="step", values="kl").reindex(pairs_of)
    wide = wide.dropna(axis="columns")
    if wide.empty:
        return
    kl = dict(zip(pairs_of, wide.to_numpy(np.float64), strict=True))

    def of(seeds: Sequence[int]) -> Float64[Array, "seeds steps"]:
        return np.stack(
            [np.mean([kl[pair] for other in seeds if other != one for pair in ((one, other), (other, one))], axis=0)
             for one in seeds]
        )  # fmt: skip

    yield SeedCurves("kl", size, names, [int(step) for step in wide.columns], of)
