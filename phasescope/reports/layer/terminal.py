"""One layer, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.kit import cells, steps_axis, tidy
from phasescope.reports.kit.along_steps import StepCells, axis_word, phase_words, picture
from phasescope.reports.layer.phases_beside import Beside

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

# More columns do not fit into 80.
_MOST_SEEDS = 6
_TAU = 0.9


def layer_view(
    convergence: pd.DataFrame,
    settling: pd.DataFrame,
    title: str,
    *,
    rank: pd.DataFrame | None = None,
    beside: Beside | None = None,
    attends: str = "",
) -> RenderableType:
    """One layer: CKA to its final state and rank over phases of behaviour, when it settles, then step by step.

    Args:
        convergence: rows of one site: seed, step, cka, reason.
        settling: rows of the same site: seed, tau, settling_step, low, high, last_step, moved, reason, and baselines.
        title: of the site, as in `L3.mlp_out of 14m`.
        rank: rows of the same site: seed, step, proportional.
        beside: phases of behaviour of the same size.
        attends: what this layer's attention sees, in a sentence.
    """
    from rich.console import Group

    ranks = _by_step(rank.groupby("step")["proportional"].median()) if rank is not None and len(rank) else {}
    beside = beside or Beside()
    parts: list[RenderableType] = [_picture(title, convergence, settling, ranks, beside)]
    if attends:
        parts += [cells.plain(attends)]
    if beside.phases is not None:
        parts += [cells.plain("Phases of ") + cells.plain(beside.curve) + ": " + phase_words(beside.phases) + "."]
        if beside.others:
            parts += [cells.plain(f"Other curves, with --phases: {tidy.listing(beside.others, 4)}.")]
    if beside.note:
        note = cells.plain(beside.note)
        note.stylize("dim")
        parts += [note]
    parts += ["", _step_by_step(convergence, ranks)]
    if len(settling):
        parts += ["", _settling(settling)]
    why = tidy.reasons(convergence)
    if why:
        parts += ["", cells.plain(f"Without CKA: {tidy.listing(why)}.")]
    return Group(*parts)


def _picture(
    title: str, convergence: pd.DataFrame, settling: pd.DataFrame, ranks: Mapping[int, float], beside: Beside
) -> Table:
    line = StepCells(tidy.integers(convergence["step"]) or [0])
    seeds, tau = tidy.integers(convergence["seed"]), _tau(settling)
    rows: list[tuple[str, Text, object]] = [
        (f"CKA seed {seed}", line.curve(_curve(convergence, seed), 0, 1), _settles(settling, seed, tau))
        for seed in seeds[:_MOST_SEEDS]
    ]
    if ranks:
        known = [value for value in ranks.values() if cells.known(value)]
        rows.append(("rank", line.curve(ranks), f"{min(known):.2f} to {max(known):.2f}" if known else ""))
    if beside.phases is not None:
        rows.append(("phases", line.phases(beside.phases), beside.curve))
    rows.append(("", line.ticks(), axis_word()))
    left = f" Of {len(seeds)} seeds the first {_MOST_SEEDS}." if len(seeds) > _MOST_SEEDS else ""
    caption = f"CKA to the final state from 0 to 1, green at 0.9 and over.{left}"
    if tau is not None:
        caption += f" Settles: the step from which it stays ≥ {tau:g}, with its {tidy.level(settling)} interval."
    if ranks:
        caption += " Rank: proportional effective rank of the activations, median over seeds."
    return picture(title, rows, caption)


def _step_by_step(convergence: pd.DataFrame, ranks: Mapping[int, float]) -> Table:
    seeds, steps = tidy.integers(convergence["seed"])[:_MOST_SEEDS], tidy.integers(convergence["step"])
    table = cells.table("", f">{counting.noun()}", *(f">seed {seed}" for seed in seeds), *([">rank"] if ranks else []))
    curves = [_curve(convergence, seed) for seed in seeds]
    for step in steps_axis.thin(steps, 24):
        values = [cells.number(curve.get(step)) for curve in curves]
        table.add_row(counting.label(step), *values, *([cells.number(ranks.get(step))] if ranks else []))
    return table


def _settling(settling: pd.DataFrame) -> Table:
    first = tidy.integers(settling["first_step"])
    begin = f">CKA at {counting.at(first[0] if first else 0)}"
    names = f"{tidy.level(settling)} interval", ">of training", begin, ">by chance"
    caption = "By chance: CKA of texts that do not match."
    if not settling["moved"].all():
        caption += " (64): not seen to settle: CKA was not surely below τ at the first step, or is as high by chance."
    table = cells.table("Settles", ">τ", ">seed", f">at {counting.noun()}", *names, caption=caption)
    for tau in sorted(settling["tau"].unique()):
        for row in tidy.of(settling, tau=tau).sort_values("seed").to_dict("records"):
            settled, last = row["settling_step"], row["last_step"]
            share = f"{100 * int(settled) / last:.0f} %" if cells.known(settled) and last else ""
            edges = f"[{cells.step(row['low'])}, {cells.step(row['high'])}]"
            at = cells.step(settled) if row["moved"] else f"({cells.step(settled)})"
            baselines = (cells.number(row[name], 2) for name in ("first_cka", "shuffled"))
            table.add_row(f"{tau:g}", str(row["seed"]), at, cells.plain(edges), share, *baselines)
        table.add_section()
    return table


def _curve(convergence: pd.DataFrame, seed: int) -> dict[int, float]:
    return _by_step(tidy.of(convergence, seed=seed).set_index("step")["cka"])


def _by_step(values: pd.Series[Any]) -> dict[int, float]:
    return dict(zip(values.index.astype(int), values.astype(float), strict=True))


def _tau(settling: pd.DataFrame) -> float | None:
    """The usual τ where it was asked for, else the first that was."""
    taus = sorted(settling["tau"].unique())
    return _TAU if _TAU in taus else taus[0] if taus else None


def _settles(settling: pd.DataFrame, seed: int, tau: float | None) -> str:
    """`settles 64 [32, 64]`, that it never does, or why that was not seen; empty where nothing is known of it."""
    rows = tidy.of(settling, seed=seed, tau=tau)
    if tau is None or rows.empty:
        return ""
    row = rows.iloc[0]
    if not cells.known(row["settling_step"]):
        return "never settles"
    if not row["moved"]:
        return (
            f"CKA {row['first_cka']:.2f} at {counting.at(row['first_step'])}" if row["shuffled"] < tau else "by chance"
        )
    edges = ", ".join(
        steps_axis.label(int(row[edge])) if cells.known(row[edge]) else "never" for edge in ("low", "high")
    )
    return f"settles {steps_axis.label(int(row['settling_step']))} [{edges}]"
