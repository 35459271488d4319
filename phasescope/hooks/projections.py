"""How families of models store the queries, keys and values of attention."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module, Parameter
    from transformers import PretrainedConfig

    # What is wanted of a parameter: itself or its gradient.
    Part = Callable[[Parameter], Tensor]


@dataclass(frozen=True)
class Heads:
    """The heads of one model's attention.

    count: query heads.
    key_values: heads that have keys and values of their own; fewer than `count` where groups of queries share them.
    size: d_head.
    clip: the largest value that a query, key or value may have, where the model clips them (OLMo).
    """

    count: int
    key_values: int
    size: int
    clip: float | None = None

    @classmethod
    def of(cls, config: PretrainedConfig) -> Heads:
        """As a configuration says."""
        count: int = config.num_attention_heads
        return cls(
            count,
            getattr(config, "num_key_value_heads", None) or count,
            getattr(config, "head_dim", None) or config.hidden_size // count,
            getattr(config, "clip_qkv", None),
        )

    def per_query(self, of_key_values: Float[Tensor, "key_values ..."], dim: int = 0) -> Float[Tensor, "count ..."]:
        """What belongs to heads of keys and values, repeated for every query head that shares them."""
        if self.key_values == self.count:
            return of_key_values
        return of_key_values.repeat_interleave(self.count // self.key_values, dim)

    def clipped(self, projected: Tensor) -> Tensor:
        """Queries, keys or values as attention uses them."""
        return projected if self.clip is None else projected.clamp(-self.clip, self.clip)


class Projections(Protocol):
    """How the query, key and value projections are stored."""

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        """W_Q, W_K, W_V (or their gradients), each `[heads, d_model, d_head]`; views where no head is shared."""
        ...

    def values(self, projected: Float[Tensor, "samples width"], heads: Heads) -> Float[Tensor, "samples heads d_head"]:
        """Each query head's value vector, bias included, out of what the tap of `ov_out` shows."""
        ...


@dataclass(frozen=True)
class Separate:
    """Three linear projections, `[head][d_head]` each; keys and values may have fewer heads (Ainslie et al. 2023).

    Shared keys and values are repeated for every query head, as TransformerLens' `W_K` and `W_V` are.
    """

    query: str
    key: str
    value: str

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        from einops import rearrange

        query, key, value = (
            rearrange(linear_matrix(layer, path, of), "d_model (head d_head) -> head d_model d_head", d_head=heads.size)
            for path in (self.query, self.key, self.value)
        )
        return query, heads.per_query(key), heads.per_query(value)

    def values(self, projected: Float[Tensor, "samples width"], heads: Heads) -> Float[Tensor, "samples heads d_head"]:
        return heads.per_query(_values(projected, "samples (head d_head) -> samples head d_head", heads), dim=1)


@dataclass(frozen=True)
class Thirds:
    """One fused projection whose output is `[q, k, v][head]`, as in GPT-2."""

    module: str

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        from einops import rearrange

        query, key, value = rearrange(
            linear_matrix(layer, self.module, of),
            "d_model (qkv heads d_head) -> qkv heads d_model d_head",
            qkv=3,
            heads=heads.count,
        )
        return query, key, value

    def values(self, projected: Float[Tensor, "samples width"], heads: Heads) -> Float[Tensor, "samples heads d_head"]:
        third = projected[:, -heads.count * heads.size :]
        return _values(third, "samples (head d_head) -> samples head d_head", heads)


@dataclass(frozen=True)
class InterleavedPerHead:
    """One fused projection whose output is `[head][q, k, v]`, as in GPT-NeoX.

    Its last third is *not* the values: it holds queries, keys and values of the last heads. The study "Tending
    Towards Stability" (arXiv 2410.11451) takes that slice; here, as in TransformerLens' `W_V`, every head has its own.
    """

    module: str

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        from einops import rearrange

        query, key, value = rearrange(
            linear_matrix(layer, self.module, of),
            "d_model (heads qkv d_head) -> qkv heads d_model d_head",
            heads=heads.count,
            qkv=3,
        )
        return query, key, value

    def values(self, projected: Float[Tensor, "samples width"], heads: Heads) -> Float[Tensor, "samples heads d_head"]:
        query_key_value = _values(projected, "samples (head qkv_d_head) -> samples head qkv_d_head", heads, parts=3)
        return query_key_value[..., -heads.size :]


def _values(projected: Tensor, pattern: str, heads: Heads, parts: int = 1) -> Tensor:
    from einops import rearrange

    axis = "d_head" if parts == 1 else "qkv_d_head"
    values: Tensor = rearrange(projected, pattern, **{axis: parts * heads.size})
    return heads.clipped(values)


def linear_matrix(layer: Module, path: str, of: Part) -> Float[Tensor, "input output"]:
    """The matrix that a linear module multiplies by from the right, whichever way round it is stored."""
    from transformers.pytorch_utils import Conv1D

    module = layer.get_submodule(path)
    stored = of(module.get_parameter("weight"))
    return stored if isinstance(module, Conv1D) else stored.T


def values_of(parameter: Parameter) -> Tensor:
    """The weights themselves."""
    return parameter.detach()
