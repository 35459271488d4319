"""What was found, in sentences computed from the tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope.analyses.seed_ends import left_out, pooled, pooled_seeds
from phasescope.reports import tidy
from phasescope.reports.evaluations import evaluations_finding
from phasescope.reports.heuristics import heuristics_finding
from phasescope.reports.in_context_learning import in_context_learning_finding
from phasescope.reports.link import link_finding
from phasescope.reports.minimal_pairs import minimal_pairs_finding
from phasescope.reports.multiple_choice import multiple_choice_finding
from phasescope.reports.noise import noise_finding
from phasescope.reports.phases import phases_finding
from phasescope.reports.seeds import unigram_finding
from phasescope.reports.settling import fifth_finding, settling_finding
from phasescope.reports.tables import RunLike, Tables, read_tables

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One sentence about one size.

    `topic`: settling, fifth, surprisal, seeds, unigram, rank, heuristics, minimal_pairs, context, noise, questions,
    benchmarks, phases or link.
    """

    topic: str
    size: str
    sentence: str


def findings(run: RunLike, tables: Tables | None = None) -> list[Finding]:
    """All that can be said of a run: topic by topic, and for each topic size by size, smallest first.

    What was not measured, or has only one step, is passed over. Brackets are the range over seeds; of a single seed
    the bootstrap interval.
    """
    tables = tables or read_tables(run)
    found: list[Finding] = []
    for topic, tell in _TOPICS.items():
        for size in run.sizes:
            sentence = tell(size, tables.of_size(size), len(run.seeds(size)))
            if sentence:
                found.append(Finding(topic, size, sentence))
    return found


_TITLES = {
    "settling": "Settling",
    "fifth": "The first fifth of training",
    "surprisal": "Surprisal",
    "seeds": "Seeds",
    "unigram": "The unigram",
    "rank": "Rank",
    "heuristics": "Heuristics",
    "minimal_pairs": "Minimal pairs",
    "context": "Learning in context",
    "noise": "Corrupted text",
    "questions": "Questions with options",
    "benchmarks": "Benchmarks",
    "phases": "Phases",
    "link": "Layers and behaviour",
}


def by_topic(found: Sequence[Finding]) -> list[tuple[str, list[str]]]:
    """Titles of topics and their sentences, in the order of reading."""
    groups = [(title, [f.sentence for f in found if f.topic == topic]) for topic, title in _TITLES.items()]
    return [(title, sentences) for title, sentences in groups if sentences]


def headline(run: RunLike, tables: Tables | None = None, at_most: int = 3) -> list[str]:
    """The most telling sentences, one per topic, about the largest size that has each."""
    return telling(findings(run, tables), at_most)


def telling(found: Sequence[Finding], at_most: int = 3) -> list[str]:
    """Of all findings the most telling sentences, as `headline` gives them."""
    largest = {finding.topic: finding.sentence for finding in found}
    return [largest[topic] for topic in _HEADLINE if topic in largest][:at_most]


def _surprisal(size: str, tables: Tables, seeds: int) -> str:
    """From where to where surprisal goes, and how it stands to the unigram's."""
    table = tables.surprisal[tables.surprisal["surprisal"].notna()]
    if table["step"].nunique() < 2:
        return ""
    points = tidy.across_seeds(table, "surprisal", "low", "high").set_index("step")
    curve = points["value"]
    first, last = curve.iloc[0], curve.iloc[-1]
    begin, end = (f"{tidy.interval(*points.iloc[at])} at step {curve.index[at]}" for at in (0, -1))
    way = "falls" if last < first else "rises"
    if f"{first:.2f}" == f"{last:.2f}":
        way = "hardly changes,"
    sentence = f"The surprisal of {size} {way} from {begin} to {end} "
    sentence += f"(nats per token; {tidy.seeds_and_range(table, tidy.level(table))})"
    known = table["unigram"].dropna()
    if known.empty:
        return sentence + "."
    unigram = float(known.mean())
    if last >= unigram:
        return f"{sentence}, {last - unigram:.2f} above the {unigram:.2f} of token frequencies alone."
    since = _since(curve < unigram)
    below = f"{unigram - last:.2f} below the {unigram:.2f} of token frequencies alone"
    return f"{sentence}, {below}, which it passes at step {since}."


def _seeds(size: str, tables: Tables, seeds: int) -> str:
    """Where the seeds are furthest apart and where they end."""
    table = tables.seeds[tables.seeds["kl"].notna()].sort_values("step").reset_index(drop=True)
    if table["step"].nunique() < 2:
        return ""
    peak, end = table.iloc[int(table["kl"].argmax())], table.iloc[-1]
    fewer = f" (of {int(end['seeds'])} seeds)" if end["seeds"] != peak["seeds"] else ""
    if peak["step"] == end["step"]:
        return (
            f"The {int(end['seeds'])} seeds of {size} are furthest apart at the last step, {int(end['step'])}: "
            f"expected KL {_interval(end)} nats per token."
        )
    if again := _apart_again(table):
        return f"The {int(peak['seeds'])} seeds of {size} {again}."
    return (
        f"The {int(peak['seeds'])} seeds of {size} are furthest apart at step {int(peak['step'])} (expected KL "
        f"{_interval(peak)} nats per token) and end, at step {int(end['step'])}, at {_interval(end)}{fewer}."
    )


def _apart_again(table: pd.DataFrame) -> str:
    """Where seeds begin furthest apart, as untrained models may: where they are closest, and part again, if surely."""
    least = int(table["kl"].argmin())
    first, closest, end = table.iloc[0], table.iloc[least], table.iloc[-1]
    peak = table.iloc[least + int(table["kl"].iloc[least:].argmax())]
    if int(table["kl"].argmax()) or not first["low"] > closest["high"] < peak["low"]:
        return ""
    told = (
        f"begin furthest apart (expected KL {_interval(first)} nats per token at step {int(first['step'])}), are "
        f"closest at step {int(closest['step'])} ({_interval(closest)}) and part again until step {int(peak['step'])} "
        f"({_interval(peak)})"
    )
    return told if peak["step"] == end["step"] else f"{told}; they end, at step {int(end['step'])}, at {_interval(end)}"


def _rank(size: str, tables: Tables, seeds: int) -> str:
    """Which weight or circuit changes its proportional effective rank most."""
    whole = pooled(tables.rank)
    table = whole[whole["kind"].isin(["weight", "circuit"]) & whole["layer"].notna()]
    table = table[table["proportional"].notna()]
    if table["step"].nunique() < 2:
        return ""
    middle = table.groupby(["kind", "component", "layer", "step"])["proportional"].median().unstack("step").dropna()
    if middle.empty:
        return ""
    change = (middle.iloc[:, -1] - middle.iloc[:, 0]).to_numpy()
    most = int(abs(change).argmax())
    kind, component, layer = (str(name[most]) for name in map(middle.index.get_level_values, range(3)))
    first, last = (float(values[most]) for values in (middle.iloc[:, 0].to_numpy(), middle.iloc[:, -1].to_numpy()))
    mine = tidy.of(table, kind=kind, component=component)
    of_seeds = mine[mine["layer"] == int(layer)].groupby(["step", "seed"])["proportional"].median()
    seeds = pooled_seeds(tables.rank)
    begin, end = (_with_range(value, of_seeds[middle.columns[at]], seeds) for value, at in ((first, 0), (last, -1)))
    over = f"{'heads and ' if kind == 'circuit' else ''}{seeds} seed{'s' if seeds != 1 else ''}"
    over += ", range of the seeds in brackets" if seeds > 1 else ""
    over += f"; {told}" if (told := left_out(tables.rank)) else ""
    return (
        f"The proportional effective rank of {size} changes most in {component} of L{layer}, where it "
        f"{'falls' if last < first else 'rises'} from {begin} at step {middle.columns[0]} to {end} at step "
        f"{middle.columns[-1]} (median over {over})."
    )


def _with_range(value: float, of_seeds: pd.Series[float], seeds: int) -> str:
    return tidy.interval(value, of_seeds.min(), of_seeds.max(), digits=3) if seeds > 1 else f"{value:.3f}"


_TOPICS: dict[str, Callable[[str, Tables, int], str]] = {
    "settling": settling_finding,
    "fifth": fifth_finding,
    "surprisal": _surprisal,
    "seeds": _seeds,
    "unigram": unigram_finding,
    "rank": _rank,
    "heuristics": heuristics_finding,
    "minimal_pairs": minimal_pairs_finding,
    "context": in_context_learning_finding,
    "noise": noise_finding,
    "questions": multiple_choice_finding,
    "benchmarks": evaluations_finding,
    "phases": phases_finding,
    "link": link_finding,
}
_HEADLINE = ("settling", "surprisal", "seeds", "unigram", "fifth", "rank", "heuristics", "phases", "link")


def _interval(row: pd.Series[Any]) -> str:
    return tidy.interval(row["kl"], row["low"], row["high"])


def _since(below: pd.Series[bool]) -> int:
    """The first step from which a condition holds for good; it holds at the last."""
    steps = list(below.index)
    holds = list(below)
    start = len(holds) - 1
    while start and holds[start - 1]:
        start -= 1
    return int(steps[start])
