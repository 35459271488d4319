"""Whether the weights of a checkpoint are those of its model: all there, in shape, finite."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError, PhasescopeWarning
from phasescope.suites.suite import Checkpoint

if TYPE_CHECKING:
    from torch import Tensor


# What transformers calls the unembedding.
_HEADS = ("lm_head", "embed_out", "output", "head")


def require_match(checkpoint: Checkpoint, report: dict[str, Any]) -> None:
    """Raise `BadCheckpointError` that names what the file lacks or has too much; report: as transformers makes it."""
    shapes = sorted(
        f"{name} (is {tuple(stored)}, should be {tuple(wanted)})" for name, stored, wanted in report["mismatched_keys"]
    )
    problems = [
        f"{what} {some(names)}"
        for what, names in (
            ("lacks", sorted(report["missing_keys"])),
            ("has unexpected", sorted(report["unexpected_keys"])),
            ("has mis-shaped", shapes),
            ("cannot be converted:", report["error_msgs"]),
        )
        if names
    ]
    if problems:
        heads = {name for name in report["missing_keys"] if name.split(".")[0] in _HEADS}
        tied = (
            " If the model's unembedding is its embedding, set tie_word_embeddings to true in config.json."
            if heads and heads == set(report["missing_keys"])
            else ""
        )
        raise BadCheckpointError(
            f"The weights of {checkpoint.label} in {checkpoint.place} do not fit its config.json: the file "
            f"{'; it '.join(problems)}.{tied}"
        )


def warn_if_untied(checkpoint: Checkpoint, model: Any) -> None:
    """Warn where the configuration ties the unembedding to the embedding and the file holds two different ones.

    transformers then keeps both; whoever ties them by the configuration (another library, an engine) computes another
    model.
    """
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    ties = getattr(model.config, "tie_word_embeddings", False) and getattr(model, "_tied_weights_keys", None)
    if ties and head is not None and embedding is not None and head.weight is not embedding.weight:
        warnings.warn(
            f"config.json of {checkpoint.family} {checkpoint.size} says tie_word_embeddings, and its files hold an "
            "unembedding of their own that differs from the embedding: it is used. Set tie_word_embeddings to false if "
            "that is right; else the files are those of another model.",
            PhasescopeWarning,
            stacklevel=2,
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
        raise BadCheckpointError(f"{checkpoint.label} in {checkpoint.place} has NaN or infinity in {some(names)}.")


def some(names: Sequence[str]) -> str:
    """The first names of several, for a sentence."""
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
