"""CKA in bootstrap resamples to first order in the counts: for so many samples that no Gram matrix can be made.

With columns centred, HSIC(K, L) = ‖XᵀY‖² = Σ_i a_i with a_i = x_i·(XᵀY)y_i. When sample i is drawn w_i times, XᵀY
becomes Σ w_i x_i y_iᵀ, and to first order in w − 1 HSIC becomes Σ a_i + 2 Σ (w_i − 1) a_i; the means move only in
second order.
So ln CKA = ln HSIC(K, L) − ½ ln HSIC(K, K) − ½ ln HSIC(L, L) moves by Σ w_i ψ_i with

    ψ_i = 2 a_i / HSIC(K, L) − b_i / HSIC(K, K) − c_i / HSIC(L, L),   Σ ψ_i = 0

(the infinitesimal jackknife: Efron & Tibshirani 1993, chapter 22). It costs a product or two of features × features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.measures._state import row_products

if TYPE_CHECKING:
    from jaxtyping import Float64
    from torch import Tensor

    from phasescope.measures._state import State


def first_order_factor(
    x: Float64[Tensor, "samples p"], y: Float64[Tensor, "samples q"], counts: Float64[Tensor, "resamples samples"]
) -> Float64[Tensor, "resamples"]:
    """By what CKA is multiplied in each resample; columns of x and y are centred."""
    influence = 2 * _shares(x, y) - _shares(x, x) - _shares(y, y)
    return (counts @ influence).exp()


def row_shares(first: State, second: State) -> Float64[Tensor, "samples"]:
    """Each sample's share of HSIC, from what the two states have already."""
    parts = row_products(first, second)
    return parts / parts.sum()


def _shares(x: Float64[Tensor, "samples p"], y: Float64[Tensor, "samples q"]) -> Float64[Tensor, "samples"]:
    """Each sample's share of HSIC."""
    parts = ((x @ (x.mT @ y)) * y).sum(1)
    return parts / parts.sum()
