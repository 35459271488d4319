"""How much does one quantity say of another where seeds and layers are measured again and again? A mixed-effects model.

Two layers of one seed are not two independent observations, and neither is one layer in two seeds. The model gives
every seed and every layer an offset of its own (crossed random effects) and asks what predictors explain beside them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Float64

FEWEST_OBSERVATIONS, FEWEST_SEEDS, FEWEST_LAYERS = 20, 3, 5
"""Below these a mixed model is not fitted."""
# Of what the predictors leave: of offsets with less than a tenth of its standard deviation, the standard errors of nine
# seeds change by a twentieth at most.
_NO_VARIANCE = 1e-2


@dataclass(frozen=True)
class MixedFit:
    """Coefficients, one per predictor: change of the outcome with one standard deviation of the predictor.

    low, high: intervals, and p: two-sided, by Student's t with as many degrees of freedom as there are layers less
    coefficients: a predictor that belongs to layers has no more evidence than there are layers.
    reason: why nothing was fitted; "" where it was.
    """

    coefficients: Float64[np.ndarray, "predictors"]
    low: Float64[np.ndarray, "predictors"]
    high: Float64[np.ndarray, "predictors"]
    p: Float64[np.ndarray, "predictors"]
    reason: str = ""


def mixed_fit(
    outcome: Float64[np.ndarray, "observations"],
    predictors: Float64[np.ndarray, "predictors observations"],
    seeds: Sequence[str],
    layers: Sequence[str],
    level: float = 0.95,
) -> MixedFit:
    """A linear mixed model (REML) of the outcome with seed and layer as crossed random effects.

    Args:
        outcome: one number per observation, all finite.
        predictors: alike.
        seeds, layers: which of each an observation belongs to; a seed or layer of another model is another one.
        level: of the intervals.

    Returns:
        NaN and the reason where there are too few observations, seeds or layers, where something does not vary, or
        where the fit does not converge: a random effect that the data give no variance is left out, and only if the
        fit without it still warns is there no number.

    Source: Laird and Ware (1982); `statsmodels` MixedLM.
    """
    from scipy.stats import t

    number = len(predictors)
    reason = _too_little(outcome, predictors, seeds, layers)
    fitted = None if reason else _fitted(outcome, _scaled(predictors), seeds, layers)
    if fitted is None:
        nothing = np.full(number, math.nan)
        return MixedFit(nothing, nothing, nothing, nothing, reason or "the mixed model did not converge")
    coefficients, errors = fitted
    freedom = len(set(layers)) - number - 1
    half = float(t.ppf((1 + level) / 2, freedom)) * errors
    p = 2 * t.sf(np.abs(coefficients / errors), freedom)
    return MixedFit(coefficients, coefficients - half, coefficients + half, p)


def _too_little(
    outcome: Float64[np.ndarray, "observations"],
    predictors: Float64[np.ndarray, "predictors observations"],
    seeds: Sequence[str],
    layers: Sequence[str],
) -> str:
    counts = (
        (len(outcome), FEWEST_OBSERVATIONS, "observations"),
        (len(set(seeds)), FEWEST_SEEDS, "seeds"),
        (len(set(layers)), max(FEWEST_LAYERS, len(predictors) + 3), "layers"),
    )
    for count, fewest, what in counts:
        if count < fewest:
            return f"too little data for a mixed model: {count} {what}, and {fewest} are needed"
    if np.ptp(outcome) < 1e-12 or bool((np.ptp(predictors, axis=1) < 1e-12).any()):
        return "nothing to explain: the outcome or a predictor is the same everywhere"
    if np.linalg.matrix_rank(np.vstack([np.ones(len(outcome)), _scaled(predictors)])) <= len(predictors):
        return "the predictors cannot be told apart: one follows from the others"
    return ""


def _scaled(
    predictors: Float64[np.ndarray, "predictors observations"],
) -> Float64[np.ndarray, "predictors observations"]:
    scaled: Float64[np.ndarray, "predictors observations"] = (
        predictors - predictors.mean(1, keepdims=True)
    ) / predictors.std(1, keepdims=True)
    return scaled


def _fitted(
    outcome: Float64[np.ndarray, "observations"],
    predictors: Float64[np.ndarray, "predictors observations"],
    seeds: Sequence[str],
    layers: Sequence[str],
) -> tuple[Float64[np.ndarray, "predictors"], Float64[np.ndarray, "predictors"]] | None:
    """Coefficients and standard errors, in the unit of the outcome; None where no fit converges without a warning.

    An effect whose variance is estimated as nothing stands on the edge of what is possible, where the fit warns: the
    model without it is the same model, and least squares where neither effect is left.
    """
    from statsmodels.regression.linear_model import OLS

    fixed = np.vstack([np.ones(len(outcome)), predictors]).T
    plain = OLS(outcome, fixed).fit()
    scale = float(np.sqrt(plain.scale))  # the search for variances needs numbers near 1
    if scale < 1e-9 * float(np.ptp(outcome)):
        return None  # explained without any rest: there is nothing to tell errors from
    effects = {"seed": list(seeds), "layer": list(layers)}
    while effects:
        fit, shares = _fit(outcome / scale, fixed, effects)
        if fit is not None:
            return fit.fe_params[1:] * scale, fit.bse_fe[1:] * scale
        least = min(shares, key=lambda name: shares[name], default="")
        if not least or shares[least] > _NO_VARIANCE:
            return None
        effects.pop(least)
    return plain.params[1:], plain.bse[1:]


def _fit(outcome: Any, fixed: Any, effects: dict[str, list[str]]) -> tuple[Any, dict[str, float]]:
    """The fit, None if anything was wrong with it, and the variance of each effect."""
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    names = sorted(effects)
    if len(names) == 1:
        model = MixedLM(outcome, fixed, groups=effects[names[0]])
    else:
        matrices = [_indicators(effects[name]) for name in names]
        columns = [[[f"{i}" for i in range(matrix.shape[1])]] for matrix in matrices]
        parts = VCSpec(names, columns, [[matrix] for matrix in matrices])
        model = MixedLM(outcome, fixed, groups=np.zeros(len(outcome)), exog_vc=parts)
    shares: dict[str, float] = {}
    for method in ("lbfgs", "bfgs", "powell"):  # one may step onto a singular matrix where another does not
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            try:
                fit = model.fit(reml=True, method=[method])
                variances = fit.vcomp if len(names) > 1 else np.ravel(fit.cov_re)
                sound = bool(fit.converged) and not heard and bool(np.isfinite(fit.bse_fe).all())
            except (np.linalg.LinAlgError, ValueError):
                continue
        shares = dict(zip(names, map(float, variances), strict=True))
        if sound:
            return fit, shares
    return None, shares


def _indicators(names: Sequence[str]) -> Float64[np.ndarray, "observations groups"]:
    groups = sorted(set(names))
    return np.array([[name == group for group in groups] for name in names], dtype=np.float64)
