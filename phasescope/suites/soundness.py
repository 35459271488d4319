"""Whether the weights of a checkpoint are those of its model: all there, in shape, finite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError
from phasescope.suites.suite import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor


def require_match(checkpoint: Checkpoint, report: dict[str, Any]) -> None:
    """Raise `BadCheckpointError` that names what the file lacks or has too much; report: as transformers makes it."""
    shapes = sorted(
        f"{name} (is {tuple(stored)}, should be {tuple(wanted)})" for name, stored, wanted in report["mismatched_keys"]
    )
    problems = [
        f"{what} {_some(names)}"
        for what, names in (
            ("lacks", sorted(report["missing_keys"])),
            ("has unexpected", sorted(report["unexpected_keys"])),
            ("has mis-shaped", shapes),
            ("cannot be converted:", report["error_msgs"]),
        )
        if names
    ]
    if problems:
        raise BadCheckpointError(
            f"The weights of {checkpoint.label} in {checkpoint.place} do not fit its config.json: the file "
            f"{'; it '.join(problems)}."
        )


def require_finite(checkpoint: Checkpoint, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Raise `BadCheckpointError` that names the tensors with NaN or infinity, if there are any."""
    import torch

    # A sum is not finite if a term is not, and costs one pass without a temporary; where it is not finite for
    # another reason (it overflowed), look closely.
    suspects = [
        (name, tensor)
        for name, tensor in tensors
        if tensor.is_floating_point() and not torch.isfinite(tensor.sum(dtype=torch.float32))
    ]
    names = [name for name, tensor in suspects if not torch.isfinite(tensor).all()]
    if names:
        raise BadCheckpointError(f"{checkpoint.label} in {checkpoint.place} has NaN or infinity in {_some(names)}.")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
