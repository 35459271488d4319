"""How far apart are two sets of activations, once one has been rotated onto the other?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._pairs import centred_unit, is_sound, same_samples
from phasescope.measures._side import Chance, Side, Told

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
    x, y = same_samples(x, y)
    return ProcrustesSide(x).to(ProcrustesSide(y))


class ProcrustesSide(Side):
    """Activations as `angular_procrustes` sees them: centred, of size 1, in no more dimensions than samples."""

    def __init__(self, x: Float[Array, "samples p"]) -> None:
        unit = centred_unit(x)
        self.samples, self.sound = len(unit), is_sound(unit)
        # X = RᵀQᵀ: a rotation of R has the same angles.
        narrow = self.sound and self.samples < unit.shape[1]
        self._unit: Float64[Tensor, "samples d"] = torch.linalg.qr(unit.mT, mode="r").R.mT if narrow else unit

    def _value(self, other: ProcrustesSide) -> Float64[Tensor, ""]:
        return _angle(torch.linalg.svdvals(self._unit.mT @ other._unit).sum())

    def _told(self, other: ProcrustesSide, chance: Chance) -> Told:
        """Replicates to first order in how often each sample is drawn: the rotation stays that of all samples."""
        x, y, counts = self._unit, other._unit, chance.draws.counts
        turn, values, back = torch.linalg.svd(x.mT @ y, full_matrices=False)
        each = ((x @ turn) * (y @ back.mT)).sum(1)
        sizes = [counts @ side.square().sum(1) for side in (x, y)]
        replicates = _angle(counts @ each / (sizes[0] * sizes[1]).sqrt())
        shuffled = _angle(torch.linalg.svdvals(x.mT @ y[chance.order]).sum())
        return Told(_angle(values.sum()), replicates, shuffled)


def _angle(cosine: Float64[Tensor, "..."]) -> Float64[Tensor, "..."]:
    found: Tensor = cosine.clamp(-1, 1).arccos()
    return found
