"""Plotly figures from tidy tables: pure functions, one per picture, that say which columns they read."""

from __future__ import annotations

from phasescope.reports.figures.behaviour import kl_figure, sizes_figure, surprisal_figure
from phasescope.reports.figures.convergence import convergence_heatmap, head_heatmap
from phasescope.reports.figures.gradients import gradient_figure, gradient_norm_figure
from phasescope.reports.figures.layer import layer_figure
from phasescope.reports.figures.rank import embedding_rank_figure, rank_figure
from phasescope.reports.figures.settling import settling_by_depth, settling_figure
from phasescope.reports.figures.trajectories import (
    against_perplexity_figure,
    agreement_figure,
    class_shares_figure,
    transitions_figure,
)

__all__ = [
    "against_perplexity_figure",
    "agreement_figure",
    "class_shares_figure",
    "convergence_heatmap",
    "embedding_rank_figure",
    "gradient_figure",
    "gradient_norm_figure",
    "head_heatmap",
    "kl_figure",
    "layer_figure",
    "rank_figure",
    "settling_by_depth",
    "settling_figure",
    "sizes_figure",
    "surprisal_figure",
    "transitions_figure",
]
