"""What becomes of tokens along training, and behaviour at the same perplexity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.analyses.seed_ends import pooled
from phasescope.reports.kit import steps_axis, theme, tidy
from phasescope.reports.kit.curves import bands_behind, curve_with_band
from phasescope.reports.kit.drawing import Drawing, Trace, bar

if TYPE_CHECKING:
    import pandas as pd

# From the bottom of a stack to its top: what is still learned first, what gets worse last.
CLASS_COLOURS = {
    "decreasing": "#0072B2",
    "stagnating": theme.NEUTRAL,
    "fluctuating": "rgba(128, 136, 148, 0.35)",
    "double descent": "#E69F00",
    "increasing": "#D55E00",
}


def class_shares_figure(trajectories: pd.DataFrame, sizes: Sequence[str]) -> Drawing:
    """Shares of classes after so many percent of training, sizes side by side: the mean over seeds.

    Args:
        trajectories: columns size, seed, percent, class, share.

    Raises:
        ValueError: no token of these sizes has a class.
    """
    table = pooled(trajectories[trajectories["share"].notna() & trajectories["size"].isin(list(sizes))])
    if table.empty:
        raise ValueError("no token has a class")
    mean = table.groupby(["percent", "size", "class"])["share"].mean()
    present = set(zip(table["percent"], table["size"], strict=True))
    places = [(p, size) for p in tidy.integers(table["percent"]) for size in sizes if (p, size) in present]
    x = [[f"{percent} %" for percent, _ in places], [theme.plain(size) for _, size in places]]
    shares = {name: [float(mean.get((*place, name), 0.0)) for place in places] for name in CLASS_COLOURS}
    figure = _stack(x, shares, "after this much of training")
    rows = [list(place) for place in zip(*x, strict=True)]
    told = {"customdata": rows, "meta": theme.held("training", "size")}
    return Drawing([trace | told for trace in figure.data], figure.layout)


def transitions_figure(transitions: pd.DataFrame, a: str, b: str) -> Drawing:
    """Of the tokens of each class in size a, the shares of the classes that they have in size b.

    Args:
        transitions: rows of one pair of sizes and one percentage; columns class_a, class_b, given_a.
    """
    table = transitions[transitions["given_a"].notna()]
    given = table.set_index(["class_a", "class_b"])["given_a"]
    present = [name for name in CLASS_COLOURS if name in set(table["class_a"])]
    shares = {name: [float(given[first, name]) for first in present] for name in CLASS_COLOURS}
    return _stack(present, shares, f"class in {theme.plain(a)} (colour: class in {theme.plain(b)})")


def agreement_figure(agreement: pd.DataFrame) -> Drawing:
    """Cohen's kappa of two classifications of the same tokens, a curve for each pair of sizes and kind of seeds.

    Columns size_a, size_b, seeds, percent, kappa, low, high.
    """
    keys = list(dict.fromkeys(agreement[["size_a", "size_b", "seeds"]].itertuples(index=False, name=None)))
    looks = theme.styles(keys)
    curves: list[Trace] = []
    for a, b, seeds in keys:
        curve = tidy.of(agreement, size_a=a, size_b=b, seeds=seeds).sort_values("percent")
        low, high = (tidy.numbers_or_none(curve[edge].round(4)) for edge in ("low", "high"))
        curves += curve_with_band(
            curve["percent"].tolist(),
            tidy.numbers_or_none(curve["kappa"].round(4)),
            low,
            high,
            name=pair_name(a, b, seeds),
            look=looks[a, b, seeds],
            customdata=list(zip(low, high, strict=True)),
            columns=("low", "high"),
            axes="xy",
            hovertemplate="after %{x} %<br>κ %{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]",
        )
    across = {"title": {"text": "after this much of training (%)"}, "tickvals": tidy.integers(agreement["percent"])}
    up = {"title": {"text": "agreement (Cohen's κ)"}, "rangemode": "tozero"}
    return theme.figure(bands_behind(curves), 360, xaxis=across, yaxis=up)


def pair_name(a: str, b: str, seeds: str) -> str:
    """`two seeds of 400k`, or `150k and 1m, same seed`."""
    if a == b:
        return f"two seeds of {theme.plain(a)}"
    return f"{theme.plain(a)} and {theme.plain(b)}, {'same seed' if seeds == 'same' else 'different seeds'}"


def against_perplexity_figure(table: pd.DataFrame, sizes: Sequence[str], title: str) -> Drawing:
    """One measure of all sizes, left against steps, right against perplexity: the median over seeds with their range.

    A size of one seed, and a measure of all seeds together, has its own interval. Perplexity falls to the right, so
    that training runs to the right on both sides.

    Args:
        table: rows of one measure; columns size, seed, perplexity, step, value, low, high.
        title: of the measure, with its unit.

    Raises:
        ValueError: no size has the measure.
    """
    looks = theme.styles(sizes)
    curves: list[Trace] = []
    for size in sizes:
        here = tidy.of(table, size=size)
        if len(here):
            curve = _over_seeds(here)
            curves += _both_ways(curve, theme.plain(size), looks[size])
    if not curves:
        raise ValueError(f"no {title} of any size")
    last = int(table["step"].max())
    steps = [0, *(2**power for power in range(last.bit_length()))]  # for ticks: places lie between real steps
    left = {**steps_axis.axis(steps, at_most=7), "domain": [0, 0.47]}
    left["range"] = [left["range"][0], round(steps_axis.position(last) + 0.2, 4)]
    right = {
        "type": "log",
        "autorange": "reversed",
        "domain": [0.53, 1],
        "title": {"text": "perplexity (log scale, falling)"},
        **steps_axis.log_ticks(table["perplexity"].min(), table["perplexity"].max()),
        "showgrid": False,
    }
    up = {"title": {"text": title}, "nticks": 7}
    return theme.figure(bands_behind(curves), 380, xaxis=left, xaxis2=right, yaxis=up)


def _over_seeds(table: pd.DataFrame) -> pd.DataFrame:
    """Columns perplexity, step, value, low, high, at the perplexities that every seed has."""
    seeds = table["seed"].nunique()
    grouped = table.groupby("perplexity")
    if seeds < 2:
        return table.sort_values("perplexity", ascending=False)
    whole = grouped.filter(lambda rows: len(rows) == seeds).groupby("perplexity")
    curve = whole["value"].agg(["median", "min", "max"]).set_axis(["value", "low", "high"], axis="columns")
    return curve.assign(step=whole["step"].median()).reset_index().sort_values("perplexity", ascending=False)


def _both_ways(curve: pd.DataFrame, name: str, look: theme.Style) -> Iterable[Trace]:
    low, high = (tidy.numbers_or_none(curve[edge].round(4)) for edge in ("low", "high"))
    facts = [curve["perplexity"].round(2), curve["step"].round(), curve["low"].round(4), curve["high"].round(4)]
    for axis, places in (("x", [steps_axis.position(step) for step in curve["step"]]), ("x2", curve["perplexity"])):
        for trace in curve_with_band(
            [round(float(place), 4) for place in places],
            tidy.numbers_or_none(curve["value"].round(4)),
            low,
            high,
            name=name,
            look=look,
            columns=("perplexity", "step", "low", "high"),
            customdata=[list(row) for row in zip(*(tidy.numbers_or_none(fact) for fact in facts), strict=True)],
            hovertemplate="perplexity %{customdata[0]}, step %{customdata[1]}"
            "<br>%{y:.3f} [%{customdata[2]:.3f}, %{customdata[3]:.3f}]",
        ):
            again = {"meta": theme.NOT_DATA} if axis == "x2" else {}  # both sides have the same numbers
            yield {**trace, "xaxis": axis, "showlegend": axis == "x" and "fill" not in trace, **again}


def _stack(x: Any, shares: dict[str, list[float]], title: str) -> Drawing:
    bars: list[Trace] = [
        bar(
            x=x,
            y=[round(100 * share, 2) for share in values],
            name=name,
            marker={"color": CLASS_COLOURS[name], "line": {"width": 0}},
            hovertemplate="%{x}<br>%{y:.1f} %<extra>" + name + "</extra>",
        )
        for name, values in shares.items()
        if any(values)
    ]
    up = {"title": {"text": "tokens (%)"}, "range": [0, 100]}
    across = {"title": {"text": title}, "dividercolor": theme.FAINT}
    return theme.figure(bars, 380, barmode="stack", bargap=0.15, xaxis=across, yaxis=up)
