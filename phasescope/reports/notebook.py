"""What a notebook shows of a run, a layer and a live probe: small tables that are readable on white and on black."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from phasescope import counting
from phasescope.reports.kit import cells, steps_axis, theme, tidy
from phasescope.reports.page import methods

if TYPE_CHECKING:
    import pandas as pd

    from phasescope.reports.kit.tables import RunLike

_WIDTH, _HEIGHT = 160, 24
_MOST_SEEDS = 9
_TAU = 0.9
# Colours are the page's own: a notebook may be light or dark.
_TABLE = "border-collapse:collapse;color:inherit;font-variant-numeric:tabular-nums"
_CELL = "text-align:left;padding:2px 12px 2px 0;background:none;color:inherit"


def svg_line(values: Mapping[int, float | None], low: float | None = None, high: float | None = None) -> str:
    """A curve over log steps as inline SVG; without low and high from its smallest to its largest value.

    Steps without a value are left out; where there is none at all, a dash.
    """
    places = {step: steps_axis.position(step) for step in sorted(values)}
    known = {step: value for step in places if (value := tidy.numbers_or_none([values[step]])[0]) is not None}
    if not known:
        return "–"
    left, right = min(places.values()), max(places.values())
    bottom = min(known.values()) if low is None else low
    top = max(known.values()) if high is None else high
    points = [
        (
            2 + (_WIDTH - 4) * _share(places[step], left, right),
            _HEIGHT - 2 - (_HEIGHT - 4) * min(max(_share(value, bottom, top), 0.0), 1.0),
        )
        for step, value in known.items()
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    x, y = points[-1]
    ends = " to ".join(steps_axis.label(step) for step in (min(known), max(known)))
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" style="display:block">'
        f"<title>{counting.noun()}s {ends}, log scale</title>"
        f'<line x1="2" y1="{_HEIGHT - 1}" x2="{_WIDTH - 2}" y2="{_HEIGHT - 1}" stroke="{theme.NEUTRAL}" '
        'stroke-opacity="0.4"/>'
        f'<polyline points="{line}" fill="none" stroke="{theme.QUALITATIVE[5]}" stroke-width="1.6"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2" fill="{theme.QUALITATIVE[5]}"/></svg>'
    )


def run_html(run: RunLike) -> str:
    """A run: of each size its seeds and steps, and how many of the checkpoints asked for are there."""
    planned = run.manifest.get("checkpoints", [])
    rows = []
    for size in run.sizes:
        seeds, steps = run.seeds(size), run.steps(size)
        there = sum(len(run.steps(size, seed)) for seed in seeds)
        asked = sum(entry["size"] == size for entry in planned)
        rows.append([size, methods.numbers(seeds), methods.numbers(steps), f"{there} of {asked}"])
    sites = ", ".join(str(site) for site in run.manifest.get("sites") or [])
    caption = f"{run.path.resolve().name}: {run.manifest['family']}" + (f"; {sites}" if sites else "")
    return _table(caption, ["size", "seeds", "steps", "checkpoints"], ([escape(cell) for cell in row] for row in rows))


def layer_html(title: str, convergence: pd.DataFrame | None, settling: pd.DataFrame | None) -> str:
    """A layer: for each seed its CKA to the final state as a line, and when it settles.

    Args:
        convergence, settling: rows of one site; None where they have not been computed, which then is said: showing
            what something is must not take minutes.
    """
    if convergence is None or settling is None:
        return _table(f"{title}: .convergence() and .settling() compute what is shown here", [], [])
    seeds = tidy.integers(convergence["seed"])
    taus = sorted(settling["tau"].unique())
    tau = _TAU if _TAU in taus else taus[0] if taus else None
    rows = []
    for seed in seeds[:_MOST_SEEDS]:
        mine = tidy.of(convergence, seed=seed)
        curve = dict(zip(mine["step"].astype(int), mine["cka"].astype(float), strict=True))
        rows.append([str(seed), svg_line(curve, 0, 1), _settled(tidy.of(settling, seed=seed, tau=tau))])
    left = f" (of {len(seeds)} seeds the first {_MOST_SEEDS})" if len(seeds) > _MOST_SEEDS else ""
    heads = ["seed", "CKA to the final state, 0 to 1", "settles" if tau is None else f"settles (τ = {tau:g})"]
    return _table(title + left, heads, rows)


def live_html(title: str, readings: Sequence[Mapping[str, Any]], checkpoints: int, pieces: Sequence[str]) -> str:
    """A live probe: what has come so far.

    readings: as `record_of` gives them. checkpoints: how many there are. pieces: the tokens of the text.
    """
    rows = []
    read = [reading for reading in readings if not reading["reason"]]
    for size, seed in dict.fromkeys((reading["size"], reading["seed"]) for reading in read):
        mine = [reading for reading in read if (reading["size"], reading["seed"]) == (size, seed)]
        lines = [
            svg_line({record["step"]: record[column] for record in mine}, *bounds)
            for column, bounds in (("cka_debiased", (0, 1)), ("cosine", (0, 1)), ("effective_rank", ()), ("norm", ()))
        ]
        rows.append([f"{escape(size)}, seed {seed}", *lines])
    text = "|".join(pieces)
    bad = len(readings) - len(read)
    caption = f"{title}: {len(read)} of {checkpoints} checkpoints read" + (f", {bad} not readable" * (bad > 0))
    heads = ["", "CKA (debiased) to the last state", "cosine to it", "effective rank", "norm"]
    return _table(caption, heads if rows else [], rows) + f"<div>{escape(text[:400])}</div>"


def _settled(rows: pd.DataFrame) -> str:
    if rows.empty:
        return "–"
    return escape(cells.settled(rows.iloc[0].to_dict()))


def _share(value: float, low: float, high: float) -> float:
    """Where between low and high; in the middle where these are one."""
    return (value - low) / (high - low) if high > low else 0.5


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Cells are HTML already; caption and heads are text."""
    head = "".join(f'<th style="{_CELL};font-weight:600">{escape(name)}</th>' for name in heads)
    body = "".join("<tr>" + "".join(f'<td style="{_CELL}">{cell}</td>' for cell in row) + "</tr>" for row in rows)
    style = "caption-side:top;text-align:left;font-weight:600;color:inherit"
    caption = f'<caption style="{style}">{escape(caption)}</caption>'
    return f'<table style="{_TABLE}">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
