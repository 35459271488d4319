"""Places in a network, named as TransformerLens names them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.console import counted
from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean, nearest_number

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Component:
    """One part of every layer: the end of its TransformerLens name, and what one sample of it is."""

    hook: str
    shape: tuple[str, ...]
    meaning: str


# In the order in which a forward pass meets them, which is also the order in which sites are listed.
COMPONENTS: dict[str, Component] = {
    "resid_pre": Component("hook_resid_pre", ("d_model",), "the residual stream entering the layer"),
    "ov_out": Component(
        "attn.hook_ov_out",
        ("heads", "d_model"),
        "each head's own value vector at this position times its slice of W_O, not mixed over positions",
    ),
    "pattern": Component("attn.hook_pattern", ("heads", "context"), "how much this position attends to every position"),
    "sink": Component(
        "attn.hook_sink", ("heads",), "how much this position attends to no position, but to each head's learned sink"
    ),
    "z": Component("attn.hook_z", ("heads", "d_head"), "each head's values mixed over positions, before W_O"),
    "attn_out": Component("hook_attn_out", ("d_model",), "what attention adds to the residual stream"),
    "resid_mid": Component(
        "hook_resid_mid", ("d_model",), "the residual stream between attention and MLP (sequential blocks)"
    ),
    "mixer_out": Component(
        "mixer.hook_out", ("d_model",), "what a state-space mixer adds to the residual stream (Mamba)"
    ),
    "router": Component("mlp.hook_router_probs", ("experts",), "the router's probabilities of all experts"),
    "routed": Component(
        "mlp.hook_router_weights", ("experts",), "the weights with which the chosen experts are used, 0 of the others"
    ),
    "mlp_post": Component(
        "mlp.hook_post",
        ("d_mlp",),
        "the MLP's neurons after the activation function; of a mixture those of the experts chosen [chosen, d_mlp]",
    ),
    "expert_out": Component(
        "mlp.hook_expert_out",
        ("chosen", "d_model"),
        "what each of the experts chosen writes before its weight, in the order of the experts' numbers",
    ),
    "mlp_out": Component("hook_mlp_out", ("d_model",), "what the MLP adds to the residual stream"),
    "resid_post": Component("hook_resid_post", ("d_model",), "the residual stream leaving the layer"),
}

# What is said of experts, not of features.
ROUTING = ("router", "routed")
# What is of experts chosen has an axis of these, which are others from token to token.
CHOSEN = ("mlp_post", "expert_out")
OF_EXPERTS = (
    "is of the experts chosen, which are others from token to token, so nothing compares it along training: read it "
    "with run.layer(…).activations(seed, step), or choose mlp_out."
)
# What the pattern of attention shows.
ATTENDING = ("pattern", "sink")
# Products of two of a head's matrices, which are named beside matrices and are none.
CIRCUITS = ("OV", "QK")
_COMPONENT_OF_HOOK = {component.hook: name for name, component in COMPONENTS.items()}
_LONG = re.compile(r"blocks\.(?P<layer>[0-9]+)\.(?P<part>.+)")
_SHORT = re.compile(r"L(?P<layer>[0-9]+)\.(?P<part>.+)")


@dataclass(frozen=True, order=True)
class Site:
    """One place in a network: a layer (counted from 0) and a component.

    >>> Site(3, "z").name, Site(3, "z").short
    ('blocks.3.attn.hook_z', 'L3.z')
    >>> Site.parse("blocks.3.hook_mlp_out") == Site.parse("L3.mlp_out") == Site(3, "mlp_out")
    True
    """

    layer: int
    component: str

    def __post_init__(self) -> None:
        if self.component not in COMPONENTS:
            raise BadArgumentError(
                f"There is no component {self.component!r}. {did_you_mean(self.component, COMPONENTS)}"
            )
        if self.layer < 0:
            raise BadArgumentError(f"Layers are counted from 0: there is no layer {self.layer}.")

    @property
    def name(self) -> str:
        """The name as TransformerLens writes it: `blocks.3.hook_mlp_out`."""
        return f"blocks.{self.layer}.{COMPONENTS[self.component].hook}"

    @property
    def short(self) -> str:
        """The name as people write it: `L3.mlp_out`."""
        return f"L{self.layer}.{self.component}"

    @property
    def shape(self) -> tuple[str, ...]:
        """What the axes of one sample are, e.g. `("heads", "d_head")`."""
        return COMPONENTS[self.component].shape

    def __str__(self) -> str:
        return self.short

    @classmethod
    def parse(cls, text: str) -> Site:
        """Read a site's name, long (`blocks.3.hook_mlp_out`) or short (`L3.mlp_out`).

        Raises PhasescopeError, with the nearest name there is, if it is neither.
        """
        if match := _LONG.fullmatch(text):
            hook = match["part"]
            if hook not in _COMPONENT_OF_HOOK:
                choices = [f"blocks.{match['layer']}.{known}" for known in _COMPONENT_OF_HOOK]
                raise BadArgumentError(f"There is no site {text!r}. {did_you_mean(text, choices)}")
            return cls(int(match["layer"]), _COMPONENT_OF_HOOK[hook])
        if match := _SHORT.fullmatch(text):
            if match["part"] not in COMPONENTS:
                choices = [f"L{match['layer']}.{known}" for known in COMPONENTS]
                raise BadArgumentError(f"There is no site {text!r}. {did_you_mean(text, choices)}")
            return cls(int(match["layer"]), match["part"])
        raise BadArgumentError(
            f"{text!r} is not a site: write a layer and a component, such as 'L3.mlp_out' or 'blocks.3.hook_mlp_out'."
        )


def parts_of(component: str, values: Tensor) -> list[tuple[int | None, Tensor]]:
    """(head, `[samples, d]`) parts of a component's samples: the whole, and each head where the component has heads.

    The whole of `ov_out` is the sum over heads; of other components with heads it is all heads side by side. What is of
    experts chosen has no parts: the same place is another expert's in another sample.
    """
    if values.ndim == 2:
        return [(None, values)]
    if component in CHOSEN:
        return []
    whole = values.sum(1) if component == "ov_out" else values.flatten(1)
    return [(None, whole), *((head, values[:, head]) for head in range(values.shape[1]))]


def select_sites(wanted: Sequence[str], layers: int) -> list[Site]:
    """The sites that a selection names in a network of so many layers, each once, in the order of the network.

    Every entry is a component (`"mlp_out"`: that component of every layer) or one site, long or short.
    Raises PhasescopeError for a typo (with the nearest name), a layer that is not there, or nothing at all.

    >>> [site.short for site in select_sites(["L1.z", "mlp_out"], layers=2)]
    ['L0.mlp_out', 'L1.z', 'L1.mlp_out']
    """
    chosen: set[Site] = set()
    for text in wanted:
        chosen.update(_sites_named(text, layers))
    if not chosen:
        raise BadArgumentError(f"No sites are selected. Choose components from: {', '.join(COMPONENTS)}.")
    order = list(COMPONENTS)
    return sorted(chosen, key=lambda site: (site.layer, order.index(site.component)))


def _sites_named(text: str, layers: int) -> list[Site]:
    if text in COMPONENTS:
        return [Site(layer, text) for layer in range(layers)]
    if "." not in text:
        raise BadArgumentError(f"There is no component {text!r}. {did_you_mean(text, COMPONENTS)}")
    site = Site.parse(text)
    if site.layer >= layers:
        raise PhasescopeError(
            f"There is no layer {site.layer} (asked for as {text!r}) in a network of {counted(layers, 'layer')}. "
            f"{nearest_number(site.layer, range(layers))}"
        )
    return [site]
