"""The map from architecture to sites and weights: one declarative entry per architecture.

To add one, write an `Architecture` and put it into `ARCHITECTURES`. Paths are those of `transformers`' modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.hooks.sampling import ov_out
from phasescope.hooks.sites import COMPONENTS

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module, Parameter
    from transformers import PretrainedConfig, PreTrainedModel

    from phasescope.hooks.sampling import Sampler

    # What is wanted of a parameter: itself or its gradient.
    Part = Callable[[Parameter], Tensor]


@dataclass(frozen=True)
class Tap:
    """Where a component can be seen: what goes into a module of the layer, or what comes out of it.

    module: path from the layer; "" is the layer itself.
    item: which item, where the output is a tuple.
    """

    module: str
    side: Literal["input", "output"]
    item: int | None = None


def values_of(parameter: Parameter) -> Tensor:
    """The weights themselves."""
    return parameter.detach()


def gradient_of(parameter: Parameter) -> Tensor:
    """What has been accumulated in `.grad`; zeros where nothing has."""
    import torch

    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.detach()


class Projections(Protocol):
    """How the query, key and value projections are stored."""

    def matrices(self, layer: Module, heads: int, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        """W_Q, W_K, W_V (or their gradients), each `[heads, d_model, d_head]`, as views of what the layer holds."""
        ...

    def values(self, projected: Float[Tensor, "samples width"], heads: int) -> Float[Tensor, "samples heads d_head"]:
        """Each head's value vector, bias included, out of what the tap of `ov_out` shows."""
        ...


@dataclass(frozen=True)
class InterleavedPerHead:
    """One fused projection whose output is `[head][q, k, v]`, as in GPT-NeoX.

    Its last third is *not* the values: it holds queries, keys and values of the last heads. The study "Tending
    Towards Stability" (arXiv 2410.11451) takes that slice; here, as in TransformerLens' `W_V`, every head has its own.
    """

    module: str

    def matrices(self, layer: Module, heads: int, of: Part) -> tuple[Tensor, Tensor, Tensor]:
        from einops import rearrange

        query, key, value = rearrange(
            of(layer.get_parameter(f"{self.module}.weight")),
            "(heads qkv d_head) d_model -> qkv heads d_model d_head",
            heads=heads,
            qkv=3,
        )
        return query, key, value

    def values(self, projected: Float[Tensor, "samples width"], heads: int) -> Float[Tensor, "samples heads d_head"]:
        from einops import rearrange

        query_key_value: Tensor = rearrange(
            projected, "samples (heads qkv d_head) -> qkv samples heads d_head", heads=heads, qkv=3
        )
        return query_key_value[2]


@dataclass(frozen=True)
class Architecture:
    """Where everything is in one family of models.

    layers: path of the list of layers, from the base model (the model without its head).
    taps: where each component is seen, **in the order in which a forward pass gets there**.
    projections: how queries, keys and values are stored.
    output_projection, mlp_in, mlp_out: paths from the layer, of linear modules (weight `[out, in]`).
    parallel_flag: the setting that says that attention and MLP read the same residual stream, so that there is no
        residual stream between them.
    """

    model_type: str
    layers: str
    taps: Mapping[str, Tap]
    projections: Projections
    output_projection: str
    mlp_in: str
    mlp_out: str
    parallel_flag: str | None = None

    def components(self, config: PretrainedConfig) -> tuple[str, ...]:
        """The components that a model of this architecture has under this configuration."""
        return tuple(name for name in COMPONENTS if self._why_missing(name, config) is None)

    def check_component(self, component: str, config: PretrainedConfig) -> None:
        """Raise PhasescopeError, saying why, if a model with this configuration lacks the component."""
        if reason := self._why_missing(component, config):
            raise PhasescopeError(
                f"There is no {component} in this {self.model_type} model: {reason}. "
                f"It has: {', '.join(self.components(config))}."
            )

    def _why_missing(self, component: str, config: PretrainedConfig) -> str | None:
        if component not in self.taps:
            return "its layers have no such part"
        if component == "resid_mid" and self.parallel_flag and getattr(config, self.parallel_flag):
            return "its attention and MLP work in parallel on the same residual stream, so nothing lies between them"
        return None

    def modules(self, model: PreTrainedModel) -> list[Module]:
        """The layers, in order."""
        return list(model.base_model.get_submodule(self.layers))

    def samples(
        self, component: str, shown: Tensor, layer: Module, heads: int, sampler: Sampler
    ) -> Float[Tensor, "samples ..."]:
        """A component's samples, out of what its tap in that layer shows for the whole batch."""
        from einops import rearrange

        if component == "pattern":
            return sampler.queries(shown)
        sampled = sampler.at(shown)
        if component == "z":
            by_head: Tensor = rearrange(sampled, "samples (heads d_head) -> samples heads d_head", heads=heads)
            return by_head
        if component == "ov_out":
            return ov_out(self.projections.values(sampled, heads), self.output_matrices(layer, heads))
        return sampled

    def output_matrices(self, layer: Module, heads: int, of: Part = values_of) -> Float[Tensor, "heads d_head d_model"]:
        """W_O of one layer: every head's slice of the output projection, as a view."""
        from einops import rearrange

        by_head: Tensor = rearrange(
            _matrix(layer, self.output_projection, of), "(heads d_head) d_model -> heads d_head d_model", heads=heads
        )
        return by_head

    def weights(self, model: PreTrainedModel, of: Part = values_of) -> dict[str, Tensor]:
        """Every weight matrix (or its gradient) under its TransformerLens name: see `TappedModel.weights`."""
        heads = model.config.num_attention_heads
        named = {"embed.W_E": of(model.get_input_embeddings().weight)}
        for number, layer in enumerate(self.modules(model)):
            W_Q, W_K, W_V = self.projections.matrices(layer, heads, of)
            named |= {
                f"blocks.{number}.attn.W_Q": W_Q,
                f"blocks.{number}.attn.W_K": W_K,
                f"blocks.{number}.attn.W_V": W_V,
                f"blocks.{number}.attn.W_O": self.output_matrices(layer, heads, of),
                f"blocks.{number}.mlp.W_in": _matrix(layer, self.mlp_in, of),
                f"blocks.{number}.mlp.W_out": _matrix(layer, self.mlp_out, of),
            }
        unembedding = model.get_output_embeddings()
        return named if unembedding is None else {**named, "unembed.W_U": of(unembedding.weight).T}


def _matrix(layer: Module, path: str, of: Part) -> Float[Tensor, "input output"]:
    return of(layer.get_parameter(f"{path}.weight")).T


GPT_NEOX = Architecture(
    model_type="gpt_neox",
    layers="layers",
    taps={
        "resid_pre": Tap("", "input"),
        "ov_out": Tap("attention.query_key_value", "output"),
        "z": Tap("attention.dense", "input"),
        "pattern": Tap("attention", "output", item=1),
        "attn_out": Tap("attention", "output", item=0),
        "resid_mid": Tap("post_attention_layernorm", "input"),
        "mlp_post": Tap("mlp.dense_4h_to_h", "input"),
        "mlp_out": Tap("mlp", "output"),
        "resid_post": Tap("", "output"),
    },
    projections=InterleavedPerHead("attention.query_key_value"),
    output_projection="attention.dense",
    mlp_in="mlp.dense_h_to_4h",
    mlp_out="mlp.dense_4h_to_h",
    parallel_flag="use_parallel_residual",
)

ARCHITECTURES: dict[str, Architecture] = {entry.model_type: entry for entry in (GPT_NEOX,)}


def get_architecture(config: PretrainedConfig) -> Architecture:
    """The entry for a model's configuration. Raises PhasescopeError if phasescope does not know the architecture."""
    if config.model_type not in ARCHITECTURES:
        raise PhasescopeError(
            f"phasescope does not know where the sites of a {config.model_type!r} model are. "
            f"{did_you_mean(config.model_type, ARCHITECTURES)}"
        )
    return ARCHITECTURES[config.model_type]
