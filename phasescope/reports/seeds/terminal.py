"""How far apart models are, in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from phasescope import counting
from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import cells, tidy
from phasescope.reports.seeds.figures import shown_groups
from phasescope.reports.seeds.section import contrast_sentences

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

# What 80 columns have room for.
_SHORT = {
    "frequency": "frequency",
    "pos": "word class",
    "previous_pos": "word before",
    "final_surprisal": "in the end",
    "position": "position",
}


def seeds_view(between: RenderableType, tables: Callable[[str], pd.DataFrame]) -> RenderableType:
    """`between`, the table of seeds; then references, groups of tokens, steps and sizes, next bytes, as there are."""
    from rich.console import Group

    parts = [
        between,
        *_references(tables("references"), tables("reference_turns")),
        *_groups(tables("seeds_by"), tables("seeds_by_peaks"), tables("seeds_by_contrasts")),
        *_across(tables("kl_across")),
        *_next_byte(tables("next_byte")),
    ]
    return Group(*[line for part in parts for line in (part, "")][:-1])


def _references(table: pd.DataFrame, turns: pd.DataFrame) -> Iterator[RenderableType]:
    """KL to uniform and unigram along training, and where that to the unigram is lowest."""
    if table.empty:
        return
    made = cells.table(
        "KL to what knows nothing, and to word frequencies alone (nats per token)",
        "size",
        "uniform",
        ">last",
        "unigram",
        ">last",
        f">lowest at [{tidy.level(table)}]",
        caption="Mean over seeds. Lowest at: where it falls before and rises after, beyond its intervals.",
    )
    for size in dict.fromkeys(table["size"]):
        mean = pooled(tidy.of(table, size=size)).groupby("step")[["kl_uniform", "kl_unigram"]].mean()
        turn = tidy.of(turns, size=size)
        turn = turn[turn["turns"]]
        place = (
            "" if turn.empty else "{} [{}, {}]".format(*map(counting.label, turn.iloc[0][["turn_step", "low", "high"]]))
        )
        row = [cells.plain(size)]
        for name in ("kl_uniform", "kl_unigram"):
            row += [cells.plain(cells.sparkline(mean[name], low=0)), cells.plain(cells.number(mean[name].iloc[-1], 2))]
        made.add_row(*row, cells.plain(place))
    yield made
    for reason in tidy.reasons(table):
        yield cells.plain(f"No KL to the unigram: {reason}.")


def _groups(table: pd.DataFrame, peaks: pd.DataFrame, contrasts: pd.DataFrame) -> Iterator[RenderableType]:
    """Per size and group of tokens the KL between seeds along training, its peak and what is left of it.

    Of bins the two halves stand for all: the table `seeds_by` has every one.
    """
    for size in dict.fromkeys(table["size"]):
        made = cells.table(
            f"{size}: KL between seeds, by token",
            "by",
            "tokens",
            ">number",
            "along",
            ">peak at",
            f">last [{tidy.level(table)}]",
            caption="Peak at: from where models leave the unigram on. All groups: the table seeds_by.",
        )
        here, highest = tidy.of(table, size=size), tidy.of(peaks, size=size).set_index(["by", "group"])
        for by in dict.fromkeys(here["by"]):
            for place, group in enumerate(shown_groups(here, by)):
                curve = tidy.of(here, by=by, group=group).sort_values("step")
                last = curve.iloc[-1]
                made.add_row(
                    _SHORT[by] if not place else "",
                    cells.plain(group),
                    f"{int(last['tokens']):,}",
                    cells.sparkline(curve["kl"], low=0, at_most=10),
                    counting.label(highest.loc[(by, group), "peak_step"]) if (by, group) in highest.index else "",
                    cells.with_interval(last["kl"], last["low"], last["high"]),
                )
            made.add_section()
        yield made
        for sentence in contrast_sentences(contrasts, size):
            yield cells.plain(sentence)


def _across(table: pd.DataFrame) -> Iterator[RenderableType]:
    """KL to the last step, to the step before and between sizes."""
    if table.empty:
        return
    steps = tidy.integers(table["step"])
    made = cells.table(
        "KL across steps and sizes (nats per token)",
        "of",
        "to",
        ">seeds",
        ">first",
        "along",
        f">latest [{tidy.level(table)} interval]",
        caption="Median over seeds with their range, of one seed its interval. "
        f"{counting.noun().capitalize()} {counting.label(steps[0])} to {counting.label(steps[-1])}.",
    )
    for (relation, size, other), rows in table.groupby(["relation", "size", "other_size"], sort=False):
        curve = tidy.across_seeds(rows, "kl", "low", "high")
        last = curve.iloc[-1]
        to = {"last": "its last step", "previous": "the step before"}.get(str(relation), str(other))
        made.add_row(
            cells.plain(size),
            cells.plain(to),
            str(rows["seed"].nunique()),
            cells.number(curve["value"].iloc[0]),
            cells.sparkline(curve["value"], low=0),
            cells.with_interval(last["value"], last["low"], last["high"], 3),
        )
    yield made


def _next_byte(table: pd.DataFrame) -> Iterator[RenderableType]:
    """KL of the next byte; why there is none of a run that was asked for."""
    if len(table):
        made = cells.table(
            "KL of the next byte (nats)",
            "of",
            "to",
            ">positions",
            ">first",
            "along",
            f">last [{tidy.level(table)} interval]",
            caption="A lower bound of the KL of what the models say of the text.",
        )
        keys = ["relation", "size", "beside_run", "beside_size"]
        for (relation, size, run, beside), rows in table.groupby(keys, sort=False):
            curve = rows.sort_values("step")
            last = curve.iloc[-1]
            made.add_row(
                cells.plain(size),
                cells.plain("other seeds" if relation == "seeds" else f"{run}: {beside}"),
                f"{int(last['positions']):,}",
                cells.number(curve["kl"].iloc[0]),
                cells.sparkline(curve["kl"], low=0),
                cells.with_interval(last["kl"], last["low"], last["high"], 3),
            )
        yield made
    if uncompared := table.attrs.get("uncompared"):
        yield cells.plain(str(uncompared))
