"""In which phases does the behaviour of a size go through training?

The phases (`phasescope.measures.find_phases`) of the curves that other analyses made: KL between seeds, surprisal,
entropy, correlations with heuristics, accuracy on minimal pairs; of each seed, and of the mean of the seeds. Those of
the KL are compared with the four of "Convergence and Divergence of Language Models under Different Random Seeds"
(`named_phases`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.phases.columns import PEAKS, PHASES
from phasescope.analyses.phases.curves import Curve, curves_of
from phasescope.analyses.phases.found import phases_of
from phasescope.analyses.phases.named import Evidence, Named, named_phases
from phasescope.analyses.reader import as_table
from phasescope.analyses.registry import curves_there_are
from phasescope.errors import DamagedError, PhasescopeError

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.analyses.options import Options
    from phasescope.analyses.question import Curve as Behaviour
    from phasescope.analyses.reader import RunReader
    from phasescope.measures import Phases

KL = "kl"


def tables_of(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """Tables `phases` (one row per curve, size, seed and phase) and `peaks`; no seed: the mean of the seeds."""
    reader.require_shards()
    tables = _tables(reader, options)
    curves = [curve for name, source in curves_there_are() if name in tables for curve in _curves(source, tables[name])]
    found = phases_of(curves, options)
    order = {size: number for number, size in enumerate(reader.sizes)}
    rows = [
        row
        for curve, phases in zip(curves, found, strict=True)
        for row in _rows(curve, phases, tables, reader, options)
    ]
    rows.sort(key=lambda row: order.get(row[1], len(order)))
    peaks = [row for curve, phases in zip(curves, found, strict=True) for row in _peak_rows(curve, phases, options)]
    made = {"phases": as_table(rows, PHASES), "peaks": _with_heuristics(as_table(peaks, PEAKS), tables)}
    if not rows:
        for table in made.values():
            table.attrs["absent"] = (
                "No behaviour was captured along training: phases need outputs at two steps or more. "
                "Run `phasescope capture` with more steps."
            )
    return made


def _tables(reader: RunReader, options: Options) -> dict[str, DataFrame]:
    """What other analyses found, by table; without those that there are not or that have no rows."""
    from phasescope.analyses.results import table_if_asked

    wanted = [*dict.fromkeys(name for name, _ in curves_there_are()), "heuristic_peaks", "references"]
    found: dict[str, DataFrame] = {}
    for name in wanted:
        try:
            made = table_if_asked(reader, name, options)
        except DamagedError:
            raise
        except PhasescopeError:
            continue  # whoever asks for that analysis itself is told why
        if len(made):
            found[name] = made
    return found


def _curves(source: Behaviour, table: DataFrame) -> Iterator[Curve]:
    table = source.of(table)
    by = [column for column in ("size", source.by, "seed") if column in table]
    for curve in curves_of(table, step="step", value=source.value, by=by):
        # A predictor without a corpus has rows, but no values.
        if np.isfinite(curve.values).any(0).sum() > 1:
            yield Curve({"curve": source.named(curve.group), **curve.group}, curve.steps, curve.values)


def _rows(
    curve: Curve, phases: Phases, tables: dict[str, DataFrame], reader: RunReader, options: Options
) -> Iterator[tuple[Any, ...]]:
    names: Sequence[Named] = [Named()] * len(phases.phases)
    size = str(curve.group["size"])
    if curve.group["curve"] == KL:
        names = named_phases(phases, _evidence(size, tables, reader))
    starts = [None, *phases.boundaries][: len(phases.phases)]  # none of a curve with one point
    for number, (phase, start, name) in enumerate(zip(phases.phases, starts, names, strict=True)):
        edges = (phase.start, phase.start) if start is None else (start.low, start.high)
        yield (
            curve.group["curve"], size, curve.group.get("seed"), number,
            *(round(step, 2) for step in (phase.start, phase.end, *edges)),
            phase.label, phase.slope, phase.low, phase.high, name.name, name.evidence,
            phases.criterion, phases.errors, phases.points, options.level,
        )  # fmt: skip


def _evidence(size: str, tables: dict[str, DataFrame], reader: RunReader) -> Evidence:
    """What is known of a size beside its KL: its entropy and surprisal, or its KL to uniform and unigram."""
    references = _means(tables, "references", size, ["kl_uniform", "kl_unigram"])
    if references is not None:
        return Evidence(references["kl_uniform"], references["kl_unigram"], measured=True)
    mean = _means(tables, "surprisal", size, ["entropy", "surprisal", "unigram"])
    if mean is None:
        return Evidence()
    entries = int(reader.manifest["inputs"]["vocabulary"])
    return Evidence(math.log(entries) - mean["entropy"], mean["surprisal"] - mean["unigram"])


def _means(tables: dict[str, DataFrame], name: str, size: str, columns: list[str]) -> DataFrame | None:
    """Columns of a size by step, mean over its seeds; None where they are not known at two steps."""
    if name not in tables:
        return None
    mean = tables[name][tables[name]["size"] == size].groupby("step")[columns].mean().dropna()
    return mean if len(mean) > 1 else None


def _peak_rows(curve: Curve, phases: Phases, options: Options) -> Iterator[tuple[Any, ...]]:
    peak = phases.peak
    if peak is not None:
        group = curve.group
        yield (
            group["curve"], str(group["size"]), group.get("seed"), peak.step, peak.low, peak.high, peak.at_end,
            options.level,
        )  # fmt: skip


def _with_heuristics(peaks: DataFrame, tables: dict[str, DataFrame]) -> DataFrame:
    """Peaks of heuristics as their own analysis has them: its intervals are over sequences, and seeds."""
    import pandas as pd

    if "heuristic_peaks" not in tables:
        return peaks
    own = tables["heuristic_peaks"]
    own = own[own["measure"] == "pearson"]
    ending = own["unit"].map({"word": "", "token": " of tokens"})
    own = own.assign(curve="heuristic:" + own["predictor"] + " pearson" + ending)[list(PEAKS)].astype(PEAKS)
    others = peaks[~peaks["curve"].isin(own["curve"])]
    return pd.concat([part for part in (others, own) if len(part)], ignore_index=True)
