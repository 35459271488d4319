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
    def of(
        cls, config: PretrainedConfig, key_values: str | int = "num_key_value_heads", size: str = "head_dim"
    ) -> Heads:
        """As a configuration says.

        key_values: how many heads have their own, or the setting that says it. size: the setting that says d_head.
        """
        count: int = config.num_attention_heads
        own = getattr(config, key_values, None) if isinstance(key_values, str) else key_values
        return cls(
            count,
            own or count,
            getattr(config, size, None) or config.hidden_size // count,
            # MPT has its settings of attention apart.
            getattr(getattr(config, "attn_config", config), "clip_qkv", None),
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

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, ...] | None:
        """W_Q, W_K, W_V (or their gradients), each `[heads, d_model, d_head]`; views where no head is shared.

        W_Q alone where there are no others. None where they are no parameters and so have no gradients.
        """
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
class Gated(Separate):
    """The query projection gives `[head][query, gate]`: what attention gives is multiplied by the gate's sigmoid.

    `z` and `pattern` have that multiplication between them (Qwen3-Next; Qiu et al. 2025, arXiv 2505.06708).
    """

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        both, key, value = super().matrices(layer, heads, of)
        return both[::2], key, value


@dataclass(frozen=True)
class Queries:
    """A layer that makes queries, and uses the keys and values of one before it (Gemma 4)."""

    query: str

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, ...]:
        from einops import rearrange

        whole = linear_matrix(layer, self.query, of)
        return (rearrange(whole, "d_model (head d_head) -> head d_model d_head", d_head=heads.size),)

    def values(self, projected: Float[Tensor, "samples width"], heads: Heads) -> Float[Tensor, "samples heads d_head"]:
        raise NotImplementedError("such a layer has no tap of ov_out")


@dataclass(frozen=True)
class Concatenated:
    """One fused projection whose output is `[q][head], [k][head], [v][head]`, as in GPT-2.

    Keys and values may have fewer heads than queries, as in Phi-3.
    """

    module: str

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        from einops import rearrange

        whole = rearrange(
            linear_matrix(layer, self.module, of), "d_model (head d_head) -> head d_model d_head", d_head=heads.size
        )
        query, key = heads.count, heads.count + heads.key_values
        return whole[:query], heads.per_query(whole[query:key]), heads.per_query(whole[key:])

    def values(self, projected: Float[Tensor, "samples width"], heads: Heads) -> Float[Tensor, "samples heads d_head"]:
        last = projected[:, -heads.key_values * heads.size :]
        return heads.per_query(_values(last, "samples (head d_head) -> samples head d_head", heads), dim=1)


@dataclass(frozen=True)
class Interleaved:
    """One fused projection whose output is `[head][q, k, v]`, as in GPT-NeoX.

    Where queries share keys and values it is `[group][q, …, q, k, v]`, as in Falcon 40B. Its last third is *not* the
    values: it holds queries, keys and values of the last heads. The study "Tending Towards Stability"
    (arXiv 2410.11451) takes that slice; here, as in TransformerLens' `W_V`, every head has its own.
    """

    module: str

    def matrices(self, layer: Module, heads: Heads, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        from einops import rearrange

        whole = rearrange(
            linear_matrix(layer, self.module, of),
            "d_model (group qkv d_head) -> group qkv d_model d_head",
            group=heads.key_values,
            d_head=heads.size,
        )
        return whole[:, :-2].flatten(0, 1), heads.per_query(whole[:, -2]), heads.per_query(whole[:, -1])

    def values(self, projected: Float[Tensor, "samples width"], heads: Heads) -> Float[Tensor, "samples heads d_head"]:
        parts = heads.count // heads.key_values + 2
        grouped = _values(projected, "samples (head qkv_d_head) -> samples head qkv_d_head", heads, parts)
        return heads.per_query(grouped[..., -heads.size :], dim=1)


@dataclass(frozen=True)
class Half:
    """The first (0) or second (1) half of what a linear module gives: the fused gate and up projections of an MLP."""

    module: str
    number: int


def _values(projected: Tensor, pattern: str, heads: Heads, parts: int = 1) -> Tensor:
    from einops import rearrange

    axis = "d_head" if parts == 1 else "qkv_d_head"
    values: Tensor = rearrange(projected, pattern, **{axis: parts * heads.size})
    return heads.clipped(values)


def linear_matrix(layer: Module, place: str | Half, of: Part) -> Float[Tensor, "input output"]:
    """The matrix that a linear module multiplies by from the right, whichever way round it is stored; or half of it."""
    from transformers.pytorch_utils import Conv1D

    if isinstance(place, Half):
        return linear_matrix(layer, place.module, of).chunk(2, dim=1)[place.number]
    module = layer.get_submodule(place)
    stored = of(module.get_parameter("weight"))
    return stored if isinstance(module, Conv1D) else stored.T


def values_of(parameter: Parameter) -> Tensor:
    """The weights themselves."""
    return parameter.detach()
