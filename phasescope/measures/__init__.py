"""Pure tensor mathematics, for use alone: no files, no models, no configuration.

Every measure takes tensors (or NumPy arrays) of any floating-point type, on any device, and says in its docstring what
it returns for input that has no answer: NaN, never a number that means nothing.
"""

from __future__ import annotations

from phasescope.measures._draws import Draws
from phasescope.measures._readout import logits_from_hidden
from phasescope.measures._state import State
from phasescope.measures.against_perplexity import PerplexityCurve, curve_distances, shared_range
from phasescope.measures.alignment import cosine, count_sketch, frobenius_product, sketch_error
from phasescope.measures.cka import FinalState, centred_gram, linear_cka
from phasescope.measures.correlation import clustered_pearson, clustered_spearman
from phasescope.measures.decoding import combined_probabilities, draw_tokens, nucleus
from phasescope.measures.divergence import pairwise_kl, pairwise_kl_from_hidden
from phasescope.measures.information import (
    Predictions,
    entropy,
    predictions_from_hidden,
    surprisal,
    surprisal_and_entropy_from_hidden,
    surprisal_and_likeliest_from_hidden,
    unigram_log_probabilities,
    unigram_surprisal,
)
from phasescope.measures.lag import Lag, SpeedGrid, best_lag, speed_grid
from phasescope.measures.mixed import MixedFit, mixed_fit
from phasescope.measures.peaks import Peak, find_peaks
from phasescope.measures.phases import Boundary, Phase, Phases, find_all_phases, find_phases
from phasescope.measures.rank import (
    circuit_singular_values,
    contrasts,
    effective_rank,
    effective_rank_of,
    proportional_effective_rank,
    proportional_effective_rank_of,
    singular_values,
)
from phasescope.measures.regression import Fit, clustered_regression
from phasescope.measures.resampling import bootstrap_weights, clustered_mean_interval, interval
from phasescope.measures.settling import settling_step
from phasescope.measures.shares import Shares, common_error, phase_shares
from phasescope.measures.streaming_cka import StreamingCKA
from phasescope.measures.student import mean_over_seeds
from phasescope.measures.trend import NO_CLASS, TRAJECTORY_CLASSES, Trend, linear_trend, trajectory_classes
from phasescope.measures.unembedding import Unembedding

__all__ = [
    "NO_CLASS",
    "TRAJECTORY_CLASSES",
    "Boundary",
    "Draws",
    "FinalState",
    "Fit",
    "Lag",
    "MixedFit",
    "Peak",
    "PerplexityCurve",
    "Phase",
    "Phases",
    "Predictions",
    "Shares",
    "SpeedGrid",
    "State",
    "StreamingCKA",
    "Trend",
    "Unembedding",
    "best_lag",
    "bootstrap_weights",
    "centred_gram",
    "circuit_singular_values",
    "clustered_mean_interval",
    "clustered_pearson",
    "clustered_regression",
    "clustered_spearman",
    "combined_probabilities",
    "common_error",
    "contrasts",
    "cosine",
    "count_sketch",
    "curve_distances",
    "draw_tokens",
    "effective_rank",
    "effective_rank_of",
    "entropy",
    "find_all_phases",
    "find_peaks",
    "find_phases",
    "frobenius_product",
    "interval",
    "linear_cka",
    "linear_trend",
    "logits_from_hidden",
    "mean_over_seeds",
    "mixed_fit",
    "nucleus",
    "pairwise_kl",
    "pairwise_kl_from_hidden",
    "phase_shares",
    "predictions_from_hidden",
    "proportional_effective_rank",
    "proportional_effective_rank_of",
    "settling_step",
    "shared_range",
    "singular_values",
    "sketch_error",
    "speed_grid",
    "surprisal",
    "surprisal_and_entropy_from_hidden",
    "surprisal_and_likeliest_from_hidden",
    "trajectory_classes",
    "unigram_log_probabilities",
    "unigram_surprisal",
]
