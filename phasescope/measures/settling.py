"""When has a layer arrived at its final state?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.errors import PhasescopeError
from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64, Num
    from torch import Tensor

    from phasescope.measures._tensors import Array


def settling_step(
    steps: Num[Array, "checkpoints"], cka: Float[Array, "... checkpoints"], tau: float
) -> Float64[Tensor, "..."]:
    """The first step from which CKA to the final state is at least tau, there and at every later checkpoint.

    Args:
        steps: of the checkpoints, ascending.
        cka: CKA to the final state at each; leading dimensions may be layers or bootstrap resamples. NaN is below tau.
        tau: between 0 and 1.

    Returns:
        The step; NaN means never: CKA is below tau at the last checkpoint. Where that checkpoint is the final state
        itself, a layer that settles only there did not settle before the end.

    Raises:
        PhasescopeError: tau is not between 0 and 1.
        ValueError: the shapes do not match, or the steps do not ascend.

    >>> float(settling_step(torch.tensor([0, 1, 2, 4]), torch.tensor([0.9, 0.2, 0.95, 1.0]), tau=0.9))
    2.0
    """
    if not 0 < tau < 1:
        raise PhasescopeError(f"The settling threshold τ must lie between 0 and 1, but is {tau}: try 0.9.")
    steps, cka = as_float64(steps), as_float64(cka)
    if steps.ndim != 1 or cka.ndim == 0 or cka.shape[-1] != len(steps):
        shapes = f"{shape_of(steps)} and {shape_of(cka)}"
        raise ValueError(f"steps must be [checkpoints] and CKA [..., checkpoints]; they are {shapes}")
    if not bool((steps.diff() > 0).all()):
        raise ValueError("steps must ascend")
    # Counted from the end: how many checkpoints in a row are at least tau.
    settled = (cka >= tau).flip(-1).to(torch.int64).cumprod(-1).sum(-1)
    # One place beyond the last stands for never.
    with_never = torch.cat([steps, steps.new_full((1,), torch.nan)]).to(cka.device)
    return with_never[len(steps) - settled]
