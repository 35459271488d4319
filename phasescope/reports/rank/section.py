"""The part of a report about effective rank."""

from __future__ import annotations

from phasescope.reports.kit import tidy
from phasescope.reports.kit.absences import no_trajectory
from phasescope.reports.kit.bands import behind_wordless
from phasescope.reports.kit.panels import Panel, Part
from phasescope.reports.kit.tables import Tables
from phasescope.reports.phases.bands import with_bands
from phasescope.reports.rank import captions
from phasescope.reports.rank.figures import embedding_rank_figure, rank_figure

_RANKS = (
    ("W_in", "weight"),
    ("W_out", "weight"),
    ("OV", "circuit"),
    ("QK", "circuit"),
    ("in_proj", "weight"),
    ("out_proj", "weight"),
)


_MORE_RANKS = tuple((name, "weight") for name in ("W_gate", "W_Q", "W_K", "W_V", "W_R", "W_O", "x_proj", "dt_proj"))


def rank_part(size: str, tables: Tables) -> Part:
    title, key = "Effective rank", "rank"
    intro = "How much of the room it has a matrix, a circuit or a layer's output uses: 1 is all directions alike."
    rank = tables["rank"]
    why = no_trajectory(rank, "proportional", "effective rank", tables.why("rank"))
    if why:
        return Part(key, title, intro, notes=[why])
    activations = rank[rank["kind"] == "activation"]["component"].unique()
    shown = [*_RANKS, *((component, "activation") for component in tidy.ordered_components(activations))]
    panels = [panel for wanted in shown if (panel := _rank_panel(size, tables, *wanted))]
    more = [panel for wanted in _MORE_RANKS if (panel := _rank_panel(size, tables, *wanted))]
    ends = rank[rank["component"].isin(["W_E", "W_U"])]
    if ends["proportional"].notna().any():
        caption = captions.rank(ends, "embedding W_E and unembedding W_U", "weight")
        panel = Panel("W_E and W_U", caption, embedding_rank_figure(ends, size), source="rank")
        more.append(with_bands(panel, tables, behind_wordless))
    weights = rank["kind"].isin(["weight", "circuit"]).any()
    notes = [] if weights else ["The run holds no spectra of weights: models that are read remotely keep them there."]
    return Part(key, title, intro, panels, notes=notes, folded=more, folded_title="Rank of the other weight matrices")


def _rank_panel(size: str, tables: Tables, component: str, kind: str) -> Panel | None:
    mine = tidy.of(tables["rank"], component=component, kind=kind)
    if mine["proportional"].notna().sum() == 0:
        return None
    title = f"{component} ({'activations' if kind == 'activation' else kind})"
    figure = rank_figure(mine, size, component, kind=kind)
    panel = Panel(title, captions.rank(mine, component, kind), figure, source="rank")
    return with_bands(panel, tables, behind_wordless)
