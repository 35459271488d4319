"""Latent attention: queries, keys and values are made of a few latent dimensions (DeepSeek-V2, arXiv 2405.04434)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phasescope.hooks.projections import linear_matrix, values_of
from phasescope.hooks.tap import Tap

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module

    from phasescope.hooks.projections import Heads, Part


@dataclass(frozen=True)
class OneHead(Tap):
    """Where what is shown has an axis of one head between sequences and positions."""

    def of(self, value: Any) -> Tensor:
        shown: Tensor = super().of(value)
        return shown[:, 0] if shown.ndim == 4 else shown


@dataclass(frozen=True)
class Latent:
    """Queries and keys-and-values each go down to latent dimensions, through a norm, and up to the heads.

    attention: path of the attention module, whose parts are named as DeepSeek's. The part of a key that is turned by
    its position is made without the norm, and shared by all heads.
    """

    attention: str

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, Tensor, Tensor] | None:
        """The products that the latent matrices stand for, the norm's weights between them; None of gradients.

        What a norm divides by depends on the token and is left out.
        """
        import torch

        if of is not values_of:
            return None
        own = layer.get_submodule(self.attention)
        down = linear_matrix(own, "kv_a_proj_with_mqa", of)
        rank = own.get_submodule("kv_b_proj").get_parameter("weight").shape[1]
        up = _by_head(linear_matrix(own, "kv_b_proj", of), heads)
        made = down[:, :rank] * of(own.get_submodule("kv_a_layernorm").get_parameter("weight")) @ up
        turned = down[:, rank:].expand(heads.count, -1, -1)
        plain = made.shape[-1] - heads.size
        return self._queries(own, heads, of), torch.cat([made[..., :plain], turned], dim=-1), made[..., plain:]

    def _queries(self, own: Module, heads: Heads, of: Part) -> Float[Tensor, "heads d_model d_head"]:
        if getattr(own, "q_a_proj", None) is None:
            return _by_head(linear_matrix(own, "q_proj", of), heads)
        down = linear_matrix(own, "q_a_proj", of) * of(own.get_submodule("q_a_layernorm").get_parameter("weight"))
        return down @ _by_head(linear_matrix(own, "q_b_proj", of), heads)

    def values(self, projected: Float[Tensor, "samples width"], heads: Heads) -> Float[Tensor, "samples heads d_head"]:
        """The last part of what each head is given beside its key."""
        by_head: Tensor = _by_head(projected, heads).transpose(0, 1)
        return by_head[..., -heads.size :]


def _by_head(matrix: Float[Tensor, "input width"], heads: Heads) -> Float[Tensor, "heads input d_head"]:
    from einops import rearrange

    by_head: Tensor = rearrange(matrix, "input (head d_head) -> head input d_head", head=heads.count)
    return by_head
