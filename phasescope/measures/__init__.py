"""Pure tensor mathematics, for use alone: no files, no models, no configuration.

Every measure takes tensors (or NumPy arrays) of any floating-point type, on any device, and says in its docstring what
it returns for input that has no answer: NaN, never a number that means nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasescope.measures._draws import Draws
    from phasescope.measures._readout import logits_from_hidden
    from phasescope.measures._side import Chance, Side, Told
    from phasescope.measures._state import State
    from phasescope.measures.against_perplexity import PerplexityCurve, curve_distances, shared_range
    from phasescope.measures.alignment import cosine, count_sketch, frobenius_product, sketch_error
    from phasescope.measures.attention import HeadScores, head_scores
    from phasescope.measures.canonical import canonical_correlations, enough_for_cca, mean_cca, pwcca, svcca
    from phasescope.measures.chains import lag_one, mean_of_chains, split_r_hat
    from phasescope.measures.cka import FinalState, centred_gram, linear_cka
    from phasescope.measures.correlation import clustered_pearson, clustered_spearman
    from phasescope.measures.decoding import combined_probabilities, draw_tokens, nucleus
    from phasescope.measures.divergence import pairwise_kl, pairwise_kl_from_hidden
    from phasescope.measures.drift import (
        condition_number_of,
        frobenius_norm_of,
        nuclear_norm_of,
        path_share,
        sampled_distance,
        spectral_norm_of,
        stable_rank_of,
    )
    from phasescope.measures.experts import (
        agreement_by_chance,
        chosen_together,
        expert_load,
        load_entropy,
        matched_experts,
        routing_agreement,
        specialisation,
    )
    from phasescope.measures.geometry import (
        active_share,
        dead_share,
        gini,
        hoyer,
        intrinsic_dimension,
        mean_cosine,
        participation_ratio,
        two_nn_ratios,
    )
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
    from phasescope.measures.lens import FrozenNorm, Lens, lens_scores, logit_attribution, settled_depth
    from phasescope.measures.mixed import MixedFit, mixed_fit
    from phasescope.measures.neighbours import mutual_neighbours, nearest, overlap, shared_neighbours
    from phasescope.measures.peaks import Peak, find_peaks
    from phasescope.measures.phases import Boundary, Phase, Phases, find_all_phases, find_phases
    from phasescope.measures.procrustes import angular_procrustes
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
    from phasescope.measures.representational import dissimilarities, ranks, rsa
    from phasescope.measures.resampling import bootstrap_weights, clustered_mean_interval, interval
    from phasescope.measures.settling import settling_step
    from phasescope.measures.shares import Shares, common_error, phase_shares
    from phasescope.measures.similarity import SIMILARITIES, Similarity
    from phasescope.measures.streaming_cka import StreamingCKA
    from phasescope.measures.student import mean_over_seeds
    from phasescope.measures.translators import Translator, trained_translator
    from phasescope.measures.trend import NO_CLASS, TRAJECTORY_CLASSES, Trend, linear_trend, trajectory_classes
    from phasescope.measures.unembedding import Unembedding

# Loaded on first use: what needs no torch does not wait for it.
_IN = {
    "_draws": ("Draws",),
    "_readout": ("logits_from_hidden",),
    "_side": (
        "Chance",
        "Side",
        "Told",
    ),
    "_state": ("State",),
    "against_perplexity": (
        "PerplexityCurve",
        "curve_distances",
        "shared_range",
    ),
    "alignment": (
        "cosine",
        "count_sketch",
        "frobenius_product",
        "sketch_error",
    ),
    "attention": (
        "HeadScores",
        "head_scores",
    ),
    "canonical": (
        "canonical_correlations",
        "enough_for_cca",
        "mean_cca",
        "pwcca",
        "svcca",
    ),
    "chains": ("lag_one", "mean_of_chains", "split_r_hat"),
    "cka": (
        "FinalState",
        "centred_gram",
        "linear_cka",
    ),
    "correlation": (
        "clustered_pearson",
        "clustered_spearman",
    ),
    "decoding": (
        "combined_probabilities",
        "draw_tokens",
        "nucleus",
    ),
    "divergence": (
        "pairwise_kl",
        "pairwise_kl_from_hidden",
    ),
    "drift": (
        "condition_number_of",
        "frobenius_norm_of",
        "nuclear_norm_of",
        "path_share",
        "sampled_distance",
        "spectral_norm_of",
        "stable_rank_of",
    ),
    "experts": (
        "agreement_by_chance",
        "chosen_together",
        "expert_load",
        "load_entropy",
        "matched_experts",
        "routing_agreement",
        "specialisation",
    ),
    "geometry": (
        "active_share",
        "dead_share",
        "gini",
        "hoyer",
        "intrinsic_dimension",
        "mean_cosine",
        "participation_ratio",
        "two_nn_ratios",
    ),
    "information": (
        "Predictions",
        "entropy",
        "predictions_from_hidden",
        "surprisal",
        "surprisal_and_entropy_from_hidden",
        "surprisal_and_likeliest_from_hidden",
        "unigram_log_probabilities",
        "unigram_surprisal",
    ),
    "lag": (
        "Lag",
        "SpeedGrid",
        "best_lag",
        "speed_grid",
    ),
    "lens": (
        "FrozenNorm",
        "Lens",
        "lens_scores",
        "logit_attribution",
        "settled_depth",
    ),
    "mixed": (
        "MixedFit",
        "mixed_fit",
    ),
    "neighbours": (
        "mutual_neighbours",
        "nearest",
        "overlap",
        "shared_neighbours",
    ),
    "peaks": (
        "Peak",
        "find_peaks",
    ),
    "phases": (
        "Boundary",
        "Phase",
        "Phases",
        "find_all_phases",
        "find_phases",
    ),
    "procrustes": ("angular_procrustes",),
    "rank": (
        "circuit_singular_values",
        "contrasts",
        "effective_rank",
        "effective_rank_of",
        "proportional_effective_rank",
        "proportional_effective_rank_of",
        "singular_values",
    ),
    "regression": (
        "Fit",
        "clustered_regression",
    ),
    "representational": (
        "dissimilarities",
        "ranks",
        "rsa",
    ),
    "resampling": (
        "bootstrap_weights",
        "clustered_mean_interval",
        "interval",
    ),
    "settling": ("settling_step",),
    "shares": (
        "Shares",
        "common_error",
        "phase_shares",
    ),
    "similarity": (
        "SIMILARITIES",
        "Similarity",
    ),
    "streaming_cka": ("StreamingCKA",),
    "student": ("mean_over_seeds",),
    "translators": (
        "Translator",
        "trained_translator",
    ),
    "trend": (
        "NO_CLASS",
        "TRAJECTORY_CLASSES",
        "Trend",
        "linear_trend",
        "trajectory_classes",
    ),
    "unembedding": ("Unembedding",),
}
_HOMES = {name: home for home, names in _IN.items() for name in names}
__all__ = [
    "NO_CLASS",
    "SIMILARITIES",
    "TRAJECTORY_CLASSES",
    "Boundary",
    "Chance",
    "Draws",
    "FinalState",
    "Fit",
    "FrozenNorm",
    "HeadScores",
    "Lag",
    "Lens",
    "MixedFit",
    "Peak",
    "PerplexityCurve",
    "Phase",
    "Phases",
    "Predictions",
    "Shares",
    "Side",
    "Similarity",
    "SpeedGrid",
    "State",
    "StreamingCKA",
    "Told",
    "Translator",
    "Trend",
    "Unembedding",
    "active_share",
    "agreement_by_chance",
    "angular_procrustes",
    "best_lag",
    "bootstrap_weights",
    "canonical_correlations",
    "centred_gram",
    "chosen_together",
    "circuit_singular_values",
    "clustered_mean_interval",
    "clustered_pearson",
    "clustered_regression",
    "clustered_spearman",
    "combined_probabilities",
    "common_error",
    "condition_number_of",
    "contrasts",
    "cosine",
    "count_sketch",
    "curve_distances",
    "dead_share",
    "dissimilarities",
    "draw_tokens",
    "effective_rank",
    "effective_rank_of",
    "enough_for_cca",
    "entropy",
    "expert_load",
    "find_all_phases",
    "find_peaks",
    "find_phases",
    "frobenius_norm_of",
    "frobenius_product",
    "gini",
    "head_scores",
    "hoyer",
    "interval",
    "intrinsic_dimension",
    "lag_one",
    "lens_scores",
    "linear_cka",
    "linear_trend",
    "load_entropy",
    "logit_attribution",
    "logits_from_hidden",
    "matched_experts",
    "mean_cca",
    "mean_cosine",
    "mean_of_chains",
    "mean_over_seeds",
    "mixed_fit",
    "mutual_neighbours",
    "nearest",
    "nuclear_norm_of",
    "nucleus",
    "overlap",
    "pairwise_kl",
    "pairwise_kl_from_hidden",
    "participation_ratio",
    "path_share",
    "phase_shares",
    "predictions_from_hidden",
    "proportional_effective_rank",
    "proportional_effective_rank_of",
    "pwcca",
    "ranks",
    "routing_agreement",
    "rsa",
    "sampled_distance",
    "settled_depth",
    "settling_step",
    "shared_neighbours",
    "shared_range",
    "singular_values",
    "sketch_error",
    "specialisation",
    "spectral_norm_of",
    "speed_grid",
    "split_r_hat",
    "stable_rank_of",
    "surprisal",
    "surprisal_and_entropy_from_hidden",
    "surprisal_and_likeliest_from_hidden",
    "svcca",
    "trained_translator",
    "trajectory_classes",
    "two_nn_ratios",
    "unigram_log_probabilities",
    "unigram_surprisal",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
