"""How far seeds are apart, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.kit import tidy
from phasescope.reports.kit.tables import Tables

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import Tables
if TYPE_CHECKING:
    import pandas as pd


def seeds_finding(size: str, tables: Tables, seeds: int) -> str:
    """Where the seeds are furthest apart and where they end."""
    table = tables["seeds"][tables["seeds"]["kl"].notna()].sort_values("step").reset_index(drop=True)
    if table["step"].nunique() < 2:
        return ""
    peak, end = table.iloc[int(table["kl"].argmax())], table.iloc[-1]
    fewer = f" (of {int(end['seeds'])} seeds)" if end["seeds"] != peak["seeds"] else ""
    if peak["step"] == end["step"]:
        return (
            f"The {int(end['seeds'])} seeds of {size} are furthest apart at the last step, "
            f"{counting.bare(end['step'])}: expected KL {_interval(end)} nats per token."
        )
    if again := _apart_again(table):
        return f"The {int(peak['seeds'])} seeds of {size} {again}."
    return (
        f"The {int(peak['seeds'])} seeds of {size} are furthest apart at {counting.at(peak['step'])} (expected KL "
        f"{_interval(peak)} nats per token) and end, at {counting.at(end['step'])}, at {_interval(end)}{fewer}."
    )


def _apart_again(table: pd.DataFrame) -> str:
    """Where seeds begin furthest apart, as untrained models may: where they are closest, and part again, if surely."""
    least = int(table["kl"].argmin())
    first, closest, end = table.iloc[0], table.iloc[least], table.iloc[-1]
    peak = table.iloc[least + int(table["kl"].iloc[least:].argmax())]
    if int(table["kl"].argmax()) or not first["low"] > closest["high"] < peak["low"]:
        return ""
    turning = counting.at(peak["step"])
    told = (
        f"begin furthest apart (expected KL {_interval(first)} nats per token at {counting.at(first['step'])}), are "
        f"closest at {counting.at(closest['step'])} ({_interval(closest)}) and part again until {turning} "
        f"({_interval(peak)})"
    )
    return (
        told if peak["step"] == end["step"] else f"{told}; they end, at {counting.at(end['step'])}, at {_interval(end)}"
    )


def _interval(row: pd.Series[Any]) -> str:
    return tidy.interval(row["kl"], row["low"], row["high"])


def unigram_finding(size: str, tables: Tables, seeds: int) -> str:
    """That models first learn word frequencies, then leave them; said only where the intervals bear it out.

    The rule (`analyses/seed_references.py`): the KL to the unigram is lowest neither at the first nor at the last step,
    and the intervals of both the fall before and the rise after exclude 0. That seeds part is added where the interval
    of the growth of their KL from there on excludes 0.
    """
    table = tables["reference_turns"]
    if table.empty or not bool(table["turns"].iloc[0]):
        return ""
    row = table.iloc[0]
    sentence = (
        f"The KL of {size} to the unigram falls until {counting.at(row['turn_step'])} [{counting.label(row['low'])}, "
        f"{int(row['high'])}], from {row['first_kl']:.2f} to {row['turn_kl']:.2f} nats per token, then rises to "
        f"{row['last_kl']:.2f}"
    )
    if row["seeds_part"]:
        grown = f"{row['growth']:.2f} [{row['growth_low']:.2f}, {row['growth_high']:.2f}]"
        sentence += (
            f", while the KL between seeds grows by {grown}, from {row['seeds_kl']:.2f} to "
            f"{row['seeds_peak_kl']:.2f} at {counting.at(row['seeds_peak_step'])}"
        )
    over = f"mean of {int(row['seeds'])} seeds, " if row["seeds"] > 1 else ""
    return f"{sentence} ({over}{tidy.level(table)} intervals)."
