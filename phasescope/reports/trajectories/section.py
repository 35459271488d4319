"""What becomes of single tokens along training, and whether sizes line up at the same perplexity."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from phasescope.analyses.seed_ends import left_out, pooled_seeds
from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.reports.kit import tidy
from phasescope.reports.kit.drawing import Drawing
from phasescope.reports.kit.panels import Control, Panel, Part, traces_of, variants
from phasescope.reports.kit.tables import RunLike
from phasescope.reports.trajectories.figures import (
    against_perplexity_figure,
    agreement_figure,
    class_shares_figure,
    transitions_figure,
)

if TYPE_CHECKING:
    import pandas as pd

_UNITS = {"entropy": "entropy (nats)", "KL between seeds": "expected KL (nats)", "likely tokens": "share of tokens"}
_WHAT = {
    "entropy": "Mean entropy of the next token's distribution",
    "likely tokens": "Share of tokens that the model gives half of the probability or more",
    "KL between seeds": "KL(p_i ‖ p_j), mean over ordered pairs of seeds",
}
NO_TRAJECTORIES = "There is no trend of tokens to show: no size and seed has surprisal at three steps or more."


def trajectory_parts(run: RunLike) -> list[Part]:
    """The parts of the page about tokens along training; where there is nothing to show, one that says why."""
    title, key = "What becomes of tokens", "classes"
    try:
        names = ("trajectories", "class_agreement", "class_transitions", "against_perplexity", "size_alignment")
        trajectories, agreement, transitions, against, alignment = (run.table(name) for name in names)
    except PhasescopeError as error:
        return [Part(key, title, "", notes=[str(error)])]
    if trajectories.empty:
        return [Part(key, title, "", notes=[NO_TRAJECTORIES])]
    return [
        _classes(trajectories, run.sizes),
        *_same_tokens(agreement, transitions),
        _against(against, alignment, run.sizes),
    ]


def _classes(table: pd.DataFrame, sizes: Sequence[str]) -> Part:
    intro = "Each token by the trend of its own perplexity, from a point of training to the end."
    known = table[table["share"].notna()]
    notes = [f"{size}: {reason}." for size, reason in _reasons(table)]
    panels = []
    if len(known):
        figure = class_shares_figure(table, sizes)
        panels.append(Panel("Classes of tokens", _classes_caption(known), figure, source="trajectories"))
    return Part("classes", "What becomes of tokens", intro, panels, notes=notes)


def _reasons(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Of each size the first reason for which it has no classes: later in training fewer checkpoints are left."""
    for size, rows in table[table["reason"] != ""].groupby("size", sort=False):
        yield str(size), str(rows.sort_values("percent", kind="stable")["reason"].iloc[0])


def _classes_caption(known: pd.DataFrame) -> str:
    seeds = pooled_seeds(known)
    without = f", {told}" if (told := left_out(known)) else ""
    half = ((known["high"] - known["low"]) / 2).max()
    sure = f"; {tidy.level(known)} bootstrap intervals over sequences reach ±{100 * half:.1f} % at most"
    return (
        f"{counted(int(known['tokens'].max()), 'token')} in {counted(int(known['sequences'].max()), 'sequence')}, "
        f"{'mean of ' + str(seeds) + ' seeds' if seeds > 1 else 'one seed'}{without}"
        f"{sure if half == half else ''}. Decreasing, "
        "increasing: the slope of the token's perplexity is significant at 0.05. Double descent: it first rises and "
        "then falls, both significantly. Stagnating: no slope, mean within 5 % of both ends. Fluctuating: the rest."
    )


def _same_tokens(agreement: pd.DataFrame, transitions: pd.DataFrame) -> list[Part]:
    title, key = "The same tokens elsewhere", "agreement"
    known = agreement[agreement["kappa"].notna()]
    if known.empty:
        return []
    intro = "Whether a token that is learned, or stagnates, in one model does the same in another."
    caption = (
        "Cohen's κ between the classes of the same tokens: 1 is the same class for all, 0 what shares alone would "
        f"give; band: {tidy.level(known)} bootstrap interval over sequences. Models of the same seed may have read the "
        "same data in the same order, as in the nursery and in Pythia."
    )
    panels = [Panel("Agreement of classes", caption, agreement_figure(known), source="class_agreement")]
    between = transitions[transitions["size_a"] != transitions["size_b"]]
    if between.empty:
        return [Part(key, title, intro, panels)]
    panel, control = _transitions(between)
    return [Part(key, title, intro, [*panels, panel], controls=[control] if len(control.options) > 1 else [])]


def _transitions(table: pd.DataFrame) -> tuple[Panel, Control]:
    """From the smallest to the largest size; the percentage is the reader's choice."""
    a, seeds = table[["size_a", "seeds"]].iloc[0]
    table = tidy.of(table, size_a=a, seeds=seeds)
    b = table["size_b"].iloc[-1]
    table = tidy.of(table, size_b=b)
    percents = [(str(percent), f"after {percent} %") for percent in tidy.integers(table["percent"])]
    control = Control("percent", "Classes", percents)

    def draw(percent: str) -> Drawing:
        return transitions_figure(tidy.of(table, percent=int(percent)), a, b)

    caption = f"Of the tokens of each class in {a}, the classes that they have in {b}; pairs of {_seeds(seeds)}."
    others = variants([control], lambda percent: traces_of(draw(percent)))
    return Panel(
        f"From {a} to {b}", caption, draw(percents[0][0]), ("percent",), others, source="class_transitions"
    ), control


def _seeds(kind: str) -> str:
    return "the same seed" if kind == "same" else "different seeds"


def _against(table: pd.DataFrame, alignment: pd.DataFrame, sizes: Sequence[str]) -> Part:
    title, key = "At the same perplexity", "perplexity"
    intro = (
        "The same curves against training steps and against validation perplexity (of the sequences that gave the "
        "outputs). Where sizes line up on the right, perplexity tells what a model does, whatever its size."
    )
    apart = alignment[alignment["reason"] != ""]
    notes = [f"{reason[0].upper()}{reason[1:]}." for reason in dict.fromkeys(apart["reason"])]
    panels = []
    for measure in dict.fromkeys(table["measure"]):
        mine = tidy.of(table, measure=measure)
        if mine.groupby("size")["perplexity"].nunique().max() > 1:
            unit = _UNITS.get(measure, "surprisal (nats)")
            figure = against_perplexity_figure(mine, sizes, unit)
            caption = _against_caption(measure, mine, tidy.of(alignment, measure=measure))
            panels.append(
                Panel(
                    f"{measure[0].upper()}{measure[1:]} against perplexity",
                    caption,
                    figure,
                    source="against_perplexity",
                )
            )
    if not panels:
        notes.append("Perplexity does not fall along training, so there is no curve against it.")
    return Part(key, title, intro, panels, notes=notes)


def _against_caption(measure: str, table: pd.DataFrame, alignment: pd.DataFrame) -> str:
    known = alignment[alignment["ratio"].notna()]
    what = _WHAT.get(measure, "Mean surprisal of the tokens of this class in the smallest size's first seed")
    seeds = table.groupby("size")["seed"].nunique().max()
    band = "range over seeds" if seeds > 1 else f"{tidy.level(table)} bootstrap interval over sequences"
    text = f"{what}; {'median over seeds; ' if seeds > 1 else ''}band: {band}."
    for row in known.head(3).itertuples():
        text += (
            f" {row.size_a} and {row.size_b} lie {row.ratio:.2f} [{row.ratio_low:.2f}, {row.ratio_high:.2f}] times as "
            f"far apart at the same perplexity as at the same step (p = {row.p_value:.2g})."
        )
    if len(known) > 3:
        text += f" Of all {len(known)} pairs of sizes the median is {known['ratio'].median():.2f}."
    return text
