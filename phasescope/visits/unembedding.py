"""How a model makes logits, kept in its shard: for comparing seeds whose checkpoints are nowhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from phasescope.store import Entry

if TYPE_CHECKING:
    from phasescope.measures import Unembedding
    from phasescope.store import Container, Scalar, Writer
    from phasescope.suites import Checkpoint

_WEIGHT, _BIAS = "unembedding/W_U", "unembedding/b_U"


def write_unembedding(made: Unembedding, vocabulary: int, writer: Writer) -> None:
    """Write `/unembedding/W_U` `[d_model, vocabulary]` and, where there is one, `/unembedding/b_U`, in float32.

    Scale and soft-cap are attributes of the matrix. Rows of the vocabulary that no token has are left out.
    """
    import torch

    attrs: dict[str, Scalar] = {"axes": "d_model vocabulary", "scale": made.scale}
    if made.softcap is not None:
        attrs["softcap"] = made.softcap
    weight = torch.as_tensor(made.weight)[:, :vocabulary].detach().float().cpu()
    writer.put(_WEIGHT, Entry(weight.numpy(), attrs))
    if made.bias is not None:
        bias = torch.as_tensor(made.bias)[:vocabulary].detach().float().cpu()
        writer.put(_BIAS, Entry(bias.numpy(), {"axes": "vocabulary"}))


def read_unembedding(shard: Container) -> Unembedding | None:
    """What a shard says of it; None if it says nothing."""
    from phasescope.measures import Unembedding

    names = shard.names("unembedding")
    if _WEIGHT not in names:
        return None
    attrs = shard.attrs_of(_WEIGHT)
    return Unembedding(
        shard.read(_WEIGHT),
        bias=shard.read(_BIAS) if _BIAS in names else None,
        scale=float(attrs["scale"]),
        softcap=float(attrs["softcap"]) if "softcap" in attrs else None,
    )


def unembedding_on(device: str, shard: Container, checkpoint: Checkpoint, trust_remote_code: bool) -> Unembedding:
    """How a checkpoint makes logits, on a device, in float32: as its shard says, or else as its weights do.

    Of the weights nothing else is read.
    """
    import torch

    from phasescope.hooks.output import unembedding_of
    from phasescope.suites.load import open_model

    made = read_unembedding(shard) or unembedding_of(open_model(checkpoint, trust_remote_code=trust_remote_code))
    bias = None if made.bias is None else torch.as_tensor(made.bias, dtype=torch.float32, device=device)
    return replace(made, weight=torch.as_tensor(made.weight, dtype=torch.float32, device=device), bias=bias)
