"""What is known of one architecture: where its sites and weights are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from phasescope.console import counted
from phasescope.errors import PhasescopeError
from phasescope.hooks.attending import rotary, window
from phasescope.hooks.projections import Half, Heads, linear_matrix, values_of
from phasescope.hooks.routing import Chosen, Experts, by_experts
from phasescope.hooks.sampling import ByHead, attended, ov_out
from phasescope.hooks.sites import ATTENDING, COMPONENTS, select_sites
from phasescope.hooks.tap import Tap
from phasescope.hooks.twins import one_expert_at_a_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from jaxtyping import Float
    from torch import Tensor
    from torch.nn import Module
    from transformers import PretrainedConfig, PreTrainedModel

    from phasescope.hooks.attending import Positions
    from phasescope.hooks.projections import Part, Projections
    from phasescope.hooks.sampling import Sampler
    from phasescope.hooks.sites import Site


@dataclass(frozen=True)
class Attention:
    """Where attention is stored.

    projections: queries, keys and values.
    output: the output projection, a path from the layer.
    key_values: how many heads have keys and values of their own, or the setting that says so.
    size: the setting that says how many dimensions a head's values have.
    """

    projections: Projections
    output: str
    key_values: str | int = "num_key_value_heads"
    size: str = "head_dim"


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
    transformer_lens: where TransformerLens' bridge has another name for a component, by component; None: it shows
        something else.
    masked: whether it is a masked language model, which sees both sides of a token.
    while_read: what must hold while such a model is read.
    named: the components whose taps a user named by module path: what they show is not taken on trust.
    kinds: where layers differ, an entry for each kind of layer; `taps` then has those of all kinds.
    kinds_in: the setting that lists the kind of each layer, or what makes such a list of the configuration.
    of_layers: the entry of each layer of one model, where layers differ: see `bound`.
    positions: how the attention of a layer knows of positions, by configuration and number of the layer.
    """

    model_type: str
    layers: str
    taps: Mapping[str, Tap]
    matrices: Mapping[str, str | Half | Experts] = field(default_factory=dict)
    attention: Attention | None = None
    when: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    transformer_lens: Mapping[str, str | None] = field(default_factory=dict)
    masked: bool = False
    while_read: Callable[[PreTrainedModel], AbstractContextManager[None]] = one_expert_at_a_time
    named: frozenset[str] = frozenset()
    kinds: Mapping[str, Architecture] = field(default_factory=dict)
    kinds_in: str | Callable[[PretrainedConfig], Sequence[str]] = "layer_types"
    of_layers: tuple[Architecture, ...] = ()
    positions: Callable[[PretrainedConfig, int], Positions] = rotary

    def holds_for(self, config: PretrainedConfig) -> bool:
        """Whether this entry is about models of that configuration."""
        return config.model_type == self.model_type and all(
            getattr(config, name, None) == value for name, value in self.when.items()
        )

    def bound(self, config: PretrainedConfig) -> Architecture:
        """The same, knowing of which kind every layer of a model with that configuration is.

        Raises PhasescopeError if the configuration's kinds do not add up to its layers, or are not known.
        """
        if not self.kinds:
            return self
        if callable(self.kinds_in):
            return replace(self, of_layers=tuple(self.kinds[kind] for kind in self.kinds_in(config)))
        kinds = list(getattr(config, self.kinds_in, None) or ())
        if len(kinds) != config.num_hidden_layers:
            raise PhasescopeError(
                f"The configuration of this {self.model_type} model has {counted(config.num_hidden_layers, 'layer')}, "
                f"and {self.kinds_in} names the kinds of {len(kinds)}: put config.json right."
            )
        if unknown := sorted(set(kinds) - self.kinds.keys()):
            raise PhasescopeError(
                f"{self.kinds_in} of this {self.model_type} model names layers of the kind {', '.join(unknown)}, and "
                f"phasescope knows {', '.join(self.kinds)}: name their modules with --module."
            )
        return replace(self, of_layers=tuple(self.kinds[kind] for kind in kinds))

    def in_layer(self, layer: int) -> Architecture:
        """What holds in one layer."""
        return self.of_layers[layer] if self.of_layers else self

    def has(self, site: Site) -> bool:
        """Whether that layer has that component."""
        return site.component in self.in_layer(site.layer).taps

    def select(self, wanted: Sequence[str], layers: int) -> list[Site]:
        """The sites that a selection names, as `select_sites`: of a component those of the layers that have it.

        Raises PhasescopeError for a component that no layer has, or a single site that is not there.
        """
        sites = select_sites(wanted, layers) if wanted else []
        for site in sites:
            self.check_component(site.component)
            if site.component not in wanted:
                self.check_site(site)
        return [site for site in sites if self.has(site)]

    def check_site(self, site: Site) -> None:
        """Raise PhasescopeError, saying where it is, if that layer lacks that component."""
        self.check_component(site.component)
        if not self.has(site):
            there = [str(layer) for layer, entry in enumerate(self.of_layers) if site.component in entry.taps]
            raise PhasescopeError(
                f"There is no {site.short} in this {self.model_type} model, whose layers differ: {site.component} is "
                f"in layer {', '.join(there)}."
            )

    @property
    def components(self) -> tuple[str, ...]:
        """The components that models of this architecture have, in the order of the network."""
        return tuple(name for name in COMPONENTS if name in self.taps)

    def reached(self, site: Site) -> tuple[int, int]:
        """A sorting key: sites in the order in which a forward pass gets there, as the taps say."""
        return site.layer, list(self.in_layer(site.layer).taps).index(site.component)

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

    def heads(self, config: PretrainedConfig, layer: int | None = None) -> Heads | None:
        """The heads of one layer's attention (None: of the first that has some); None where there is none.

        How large heads are, and how many share keys and values, may differ from layer to layer (Gemma 4).
        """
        entries = self.of_layers or (self,)
        if layer is None:
            layer = next((number for number, entry in enumerate(entries) if entry.attention), 0)
        attention = self.in_layer(layer).attention
        own = getattr(config, "per_layer_config", None)
        return Heads.of(own[layer] if own else config, attention.key_values, attention.size) if attention else None

    def attends(self, config: PretrainedConfig, layer: int) -> dict[str, str]:
        """What a shard says of a layer that attends: `attention` (how far) and `positions` (how it knows of them)."""
        if self.in_layer(layer).attention is None:
            return {}
        return {"attention": window(config, layer), "positions": self.positions(config, layer)}

    def axes(self, site: Site) -> tuple[str, ...]:
        """What the axes of one sample of a site are, in this architecture."""
        chosen = isinstance(self.in_layer(site.layer).taps.get(site.component), Chosen)
        return site.shape if "chosen" in site.shape or not chosen else ("chosen", *site.shape)

    def samples(
        self, component: str, shown: Tensor, layer: Module, heads: Heads | None, sampler: Sampler
    ) -> Float[Tensor, "samples ..."] | ByHead:
        """A component's samples, out of what its tap in that layer shows for the whole batch."""
        from einops import rearrange

        if component in ATTENDING:
            return attended(component, sampler.queries(shown))
        tap = self.taps[component]
        if isinstance(tap, Chosen):
            into, out = (self.matrices[f"mlp.experts.W_{part}"] for part in ("in", "out"))
            assert isinstance(into, Experts)
            assert isinstance(out, Experts)
            found = by_experts(layer, into, out, tap.given(shown, layer, sampler), neurons=component == "mlp_post")
            return found * getattr(layer, tap.scale) if tap.scale else found
        sampled = sampler.at(shown)
        if tap.scale:
            sampled = sampled * getattr(layer, tap.scale)
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
        named = {"embed.W_E": of(model.get_input_embeddings().weight)}
        for number, layer in enumerate(self.modules(model)):
            entry, heads = self.in_layer(number), self.heads(model.config, number)
            if entry.attention and heads:
                made = entry.attention.projections.matrices(layer, heads, of) or ()
                named |= {f"blocks.{number}.attn.W_{letter}": W for letter, W in zip("QKV", made, strict=False)}
                named[f"blocks.{number}.attn.W_O"] = entry.output_matrices(layer, heads, of)
            own = {
                name: place.matrices(layer, of) if isinstance(place, Experts) else linear_matrix(layer, place, of)
                for name, place in entry.matrices.items()
            }
            named |= {f"blocks.{number}.{name}": matrix for name, matrix in own.items()}
        unembedding = model.get_output_embeddings()
        return named if unembedding is None else {**named, "unembed.W_U": of(unembedding.weight).T}
