"""What is known of one architecture: where its sites and weights are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from phasescope.errors import PhasescopeError
from phasescope.hooks.projections import Half, Heads, linear_matrix, values_of
from phasescope.hooks.sampling import attended, ov_out
from phasescope.hooks.sites import ATTENDING, COMPONENTS
from phasescope.hooks.twins import one_expert_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module
    from transformers import PretrainedConfig, PreTrainedModel

    from phasescope.hooks.projections import Part, Projections
    from phasescope.hooks.sampling import Sampler
    from phasescope.hooks.sites import Site


@dataclass(frozen=True)
class Tap:
    """Where a component can be seen: what goes into a module of the layer, or what comes out of it.

    module: path from the layer; "" is the layer itself.
    item: which item, where that is a tuple; the first unless said otherwise.
    scale: the layer's attribute by which that is multiplied before it is added to the residual stream (Granite's).
    """

    module: str
    side: Literal["input", "output"]
    item: int = 0
    scale: str | None = None

    def of(self, value: Any) -> Any:
        """The tensor in what the module was given or gave."""
        return value[self.item] if isinstance(value, tuple) else value


@dataclass(frozen=True)
class Attention:
    """Where attention is stored.

    projections: queries, keys and values.
    output: the output projection, a path from the layer.
    key_values: how many heads have keys and values of their own, or the setting that says so.
    """

    projections: Projections
    output: str
    key_values: str | int = "num_key_value_heads"


@dataclass(frozen=True)
class Architecture:
    """Where everything is in one family of models. Paths are those of `transformers`' modules.

    model_type: as the configuration says.
    layers: path of the list of layers.
    taps: where each component is seen, **in the order in which a forward pass gets there**; paths from the layer.
    matrices: paths from the layer of the linear modules (or halves of them) that are weight sites, by the end of the
        site's name: `mlp.W_in`.
    attention: where attention is stored, of which W_Q, W_K, W_V, W_O and the components of single heads are made.
    when: settings that a configuration must have for this entry to hold, where a model type has several.
    missing: why a component is not there, for components of which users might think that they are.
    transformer_lens: where TransformerLens' bridge has another name for a component, by component.
    masked: whether it is a masked language model, which sees both sides of a token.
    while_read: what must hold while such a model is read.
    named: the components whose taps a user named by module path: what they show is not taken on trust.
    """

    model_type: str
    layers: str
    taps: Mapping[str, Tap]
    matrices: Mapping[str, str | Half] = field(default_factory=dict)
    attention: Attention | None = None
    when: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    transformer_lens: Mapping[str, str] = field(default_factory=dict)
    masked: bool = False
    while_read: Callable[[PreTrainedModel], AbstractContextManager[None]] = one_expert_at_a_time
    named: frozenset[str] = frozenset()

    def holds_for(self, config: PretrainedConfig) -> bool:
        """Whether this entry is about models of that configuration."""
        return config.model_type == self.model_type and all(
            getattr(config, name, None) == value for name, value in self.when.items()
        )

    @property
    def components(self) -> tuple[str, ...]:
        """The components that models of this architecture have, in the order of the network."""
        return tuple(name for name in COMPONENTS if name in self.taps)

    def reached(self, site: Site) -> tuple[int, int]:
        """A sorting key: sites in the order in which a forward pass gets there, as the taps say."""
        return site.layer, list(self.taps).index(site.component)

    def check_component(self, component: str) -> None:
        """Raise PhasescopeError, saying why, if models of this architecture lack the component."""
        if component not in self.taps:
            reason = self.missing.get(component, "its layers have no such part")
            raise PhasescopeError(
                f"There is no {component} in this {self.model_type} model: {reason}. "
                f"It has: {', '.join(self.components)}."
            )

    def modules(self, model: PreTrainedModel) -> list[Module]:
        """The layers, in order."""
        return list(model.get_submodule(self._layers_in(model)))

    def path(self, model: PreTrainedModel, layer: int, tap: Tap) -> str:
        """The path from the model of the module that a tap is on."""
        return f"{self._layers_in(model)}.{layer}{'.' + tap.module if tap.module else ''}"

    def _layers_in(self, model: PreTrainedModel) -> str:
        # A base model, without a head, is its own root.
        return self.layers.removeprefix(f"{model.base_model_prefix}.") if model.base_model is model else self.layers

    def heads(self, config: PretrainedConfig) -> Heads | None:
        """The heads of attention; None where there is none."""
        return Heads.of(config, self.attention.key_values) if self.attention else None

    def samples(
        self, component: str, shown: Tensor, layer: Module, heads: Heads | None, sampler: Sampler
    ) -> Float[Tensor, "samples ..."]:
        """A component's samples, out of what its tap in that layer shows for the whole batch."""
        from einops import rearrange

        if component in ATTENDING:
            return attended(component, sampler.queries(shown))
        sampled = sampler.at(shown)
        if scale := self.taps[component].scale:
            sampled = sampled * getattr(layer, scale)
        if component == "z" and heads:
            by_head: Tensor = rearrange(sampled, "samples (heads d_head) -> samples heads d_head", heads=heads.count)
            return by_head
        if component == "ov_out" and heads and self.attention:
            values = self.attention.projections.values(sampled, heads)
            return ov_out(values, self.output_matrices(layer, heads))
        return sampled

    def output_matrices(self, layer: Module, heads: Heads, of: Part = values_of) -> Float[Tensor, "heads d_head d"]:
        """W_O of one layer: every head's slice of the output projection, as a view."""
        from einops import rearrange

        assert self.attention is not None
        whole = linear_matrix(layer, self.attention.output, of)
        by_head: Tensor = rearrange(whole, "(heads d_head) d_model -> heads d_head d_model", heads=heads.count)
        return by_head

    def weights(self, model: PreTrainedModel, of: Part = values_of) -> dict[str, Tensor]:
        """Every weight matrix (or its gradient) under its TransformerLens name: see `TappedModel.weights`."""
        heads = self.heads(model.config)
        named = {"embed.W_E": of(model.get_input_embeddings().weight)}
        for number, layer in enumerate(self.modules(model)):
            if self.attention and heads:
                W_Q, W_K, W_V = self.attention.projections.matrices(layer, heads, of)
                named |= {
                    f"blocks.{number}.attn.W_Q": W_Q,
                    f"blocks.{number}.attn.W_K": W_K,
                    f"blocks.{number}.attn.W_V": W_V,
                    f"blocks.{number}.attn.W_O": self.output_matrices(layer, heads, of),
                }
            named |= {f"blocks.{number}.{name}": linear_matrix(layer, path, of) for name, path in self.matrices.items()}
        unembedding = model.get_output_embeddings()
        return named if unembedding is None else {**named, "unembed.W_U": of(unembedding.weight).T}
