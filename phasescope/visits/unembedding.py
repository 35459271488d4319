"""How a model makes logits, kept in its shard: for comparing seeds whose checkpoints are nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.store import Entry

if TYPE_CHECKING:
    from phasescope.measures import Unembedding
    from phasescope.store import Container, Scalar, Writer

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
