"""How far apart are two sets of activations, once one has been rotated onto the other?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._pairs import centred_pair, has_answer

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array


def angular_procrustes(x: Float[Array, "samples p"], y: Float[Array, "samples q"]) -> Float64[Tensor, ""]:
    """The angular shape metric: the angle between two sets of activations after the best rotation of one.

    arccos(‖XᵀY‖_* / (‖X‖ ‖Y‖)), columns centred, with the nuclear norm above and Frobenius norms below (Williams et al.
    2021, arXiv 2110.14739, equation 5). Where widths differ, the narrower is taken as lying in the wider space. A true
    metric: it does not change under rotation, scaling or shift, and keeps the triangle inequality, as CKA does not.

    Returns:
        Radians, 0 (the same shape) … π/2 (nothing in common); NaN where x or y has no variance, or a value is NaN or
        infinite. Near 0 the arc cosine leaves half of the digits: to about 1e-7.

    Raises:
        ValueError: x or y is not a matrix, or they differ in their number of rows.

    >>> x, turn = torch.randn(100, 8), torch.linalg.qr(torch.randn(8, 8)).Q
    >>> round(float(angular_procrustes(x, 3 * x @ turn + 1)), 3)
    0.0
    """
    x, y = centred_pair(x, y)
    if not has_answer(x, y):
        return x.new_tensor(torch.nan)
    if len(x) < min(x.shape[1], y.shape[1]):
        # XᵀY = Q_x (R_x R_yᵀ) Q_yᵀ has the singular values of the small product.
        x, y = (torch.linalg.qr(side.mT, mode="r").R.mT for side in (x, y))
    found: Tensor = torch.linalg.svdvals(x.mT @ y).sum().clamp(max=1).arccos()
    return found
