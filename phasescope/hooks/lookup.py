"""Finding the architecture of a model; or making one from the module paths that a user names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from phasescope.console import counted
from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean, nearest_number
from phasescope.families import reads_both_sides
from phasescope.hooks.architecture import Architecture
from phasescope.hooks.registered import added, architectures
from phasescope.hooks.sites import ATTENDING, COMPONENTS, ROUTING
from phasescope.hooks.tap import Tap

if TYPE_CHECKING:
    from torch.nn import Module
    from transformers import PretrainedConfig, PreTrainedModel

# What can be named by a path alone: one vector for every position.
NAMEABLE = tuple(
    name for name, component in COMPONENTS.items() if len(component.shape) == 1 and name not in (*ATTENDING, *ROUTING)
)

_NAMED = re.compile(
    r"(?P<layers>.+?)\.\{layer(?::(?P<only>\d+(?:,\d+)*))?\}(?:\.(?P<module>[^:=]+))?"
    r"(?::(?P<side>input|output))?=(?P<component>\w+)"
)


def get_architecture(
    config: PretrainedConfig, modules: Sequence[str] = (), model: PreTrainedModel | None = None
) -> Architecture:
    """The architecture of models with a configuration.

    Args:
        config: the model's.
        modules: sites by module path, `"model.layers.{layer}.mlp=mlp_out"`; `:input` before the equals sign takes what
            goes into the module instead of what comes out of it. They go before those that are known.
        model: where to look for these modules; None: in one that is made for it, without weights.

    Raises PhasescopeError if phasescope does not know the architecture and no modules are named (the modules that there
    are are listed), or if they cannot be understood.
    """
    _require_one_stack(config)
    fitting = [entry for entry in architectures() if entry.holds_for(config)]
    if _brings_code(config):
        # What is known of a type is of transformers' own code.
        others = [entry for entry in fitting if entry in added()]
        if fitting and not others and not modules:
            raise PhasescopeError(
                f"This checkpoint brings code of its own for {config.model_type!r} models, and what phasescope knows "
                "of them is of transformers' own: name its modules with --module, give it an entry of its own "
                "(ps.register), or leave --trust-remote-code out."
            )
        fitting = others
    # The one that says most of the settings: an entry may be added for one of them.
    known = max(fitting, key=lambda entry: len(entry.when)).bound(config) if fitting else None
    if modules:
        return _with_named(known, config, modules, model or without_weights(config))
    if known is None:
        raise PhasescopeError(
            f"phasescope does not know where the sites of a {config.model_type!r} model are{_other_settings(config)}: "
            f"name them, as in --module 'model.layers.{{layer}}.mlp=mlp_out'. {_listing(config)}"
        )
    return known


def _brings_code(config: PretrainedConfig) -> bool:
    """Whether the configuration is of a class that came with the checkpoint."""
    from transformers.dynamic_module_utils import TRANSFORMERS_DYNAMIC_MODULE_NAME

    return type(config).__module__.startswith(f"{TRANSFORMERS_DYNAMIC_MODULE_NAME}.")


def _require_one_stack(config: PretrainedConfig) -> None:
    """Raise PhasescopeError for a model of several parts, of which none is the language model by itself."""
    if getattr(config, "is_encoder_decoder", False):
        raise PhasescopeError(
            f"A {config.model_type} model has an encoder and a decoder, and phasescope reads models of one stack of "
            "layers: choose another model."
        )
    if not hasattr(config, "num_hidden_layers"):
        raise PhasescopeError(
            f"A {config.model_type} configuration is of several models, and names no number of layers itself: read the "
            "language model alone (phasescope does so with folders and the hub where it is called text_config)."
        )


@dataclass(frozen=True)
class _Named:
    """A site that a user named by module path; only: in which layers, None: in all that have the module."""

    layers: str
    component: str
    tap: Tap
    only: frozenset[int] | None

    @property
    def path(self) -> str:
        return f"{self.layers}.{{layer}}{'.' + self.tap.module if self.tap.module else ''}"

    def in_layer(self, number: int, layer: Module) -> bool:
        """Whether it names something in that layer."""
        return (self.only is None or number in self.only) and _has_module(layer, self.tap.module)


def _with_named(
    known: Architecture | None, config: PretrainedConfig, modules: Sequence[str], model: PreTrainedModel | None
) -> Architecture:
    named = [_parse(text) for text in modules]
    places = {each.layers for each in named} | ({known.layers} if known else set())
    if len(places) > 1:
        raise PhasescopeError(
            f"The modules named are in several lists of layers ({', '.join(sorted(places))}): name those of one."
        )
    taps = {each.component: each.tap for each in named}
    if known:
        # Those that are known keep their place in the order of the forward pass.
        made = replace(known, taps={**known.taps, **taps}, named=frozenset(taps))
    else:
        made = Architecture(
            config.model_type,
            places.pop(),
            {name: taps[name] for name in COMPONENTS if name in taps},
            missing=dict.fromkeys(COMPONENTS, "no module was named"),
            named=frozenset(taps),
            masked=reads_both_sides(config),
        )
    if model is None:
        return made
    there = module_paths(model)
    for each in named:
        if each.path not in there:
            raise PhasescopeError(
                f"There is no module {each.path} in this {config.model_type} model. {did_you_mean(each.path, there)}"
            )
    return _by_layer(made, known, named, model.get_submodule(made.layers))


def _by_layer(made: Architecture, known: Architecture | None, named: Sequence[_Named], layers: Module) -> Architecture:
    """The same, knowing which layers have the modules that are named, where not all have all of them."""
    numbered = dict(enumerate(layers.children()))
    for each in named:
        for number in sorted(each.only or ()):
            if number not in numbered:
                raise PhasescopeError(
                    f"There is no layer {number} (named in {each.path}) in a model of "
                    f"{counted(len(numbered), 'layer')}. {nearest_number(number, numbered)}"
                )
            if not _has_module(numbered[number], each.tap.module):
                raise PhasescopeError(f"Layer {number} has no module {each.tap.module}: name it for others alone.")
    here = {number: [each for each in named if each.in_layer(number, layer)] for number, layer in numbered.items()}
    if not made.of_layers and all(len(each) == len(named) for each in here.values()):
        return made
    order = list(made.taps)
    entries = []
    for number, found in here.items():
        own = known.in_layer(number) if known else replace(made, taps={})
        taps = {**own.taps, **{each.component: each.tap for each in found}}
        entries.append(replace(own, taps=dict(sorted(taps.items(), key=lambda item: order.index(item[0])))))
    return replace(made, of_layers=tuple(entries))


def _has_module(layer: Module, path: str) -> bool:
    return not path or any(name == path for name, _ in layer.named_modules())


def _parse(text: str) -> _Named:
    match = _NAMED.fullmatch(text.replace(" ", ""))
    if match is None:
        raise BadArgumentError(
            f"{text!r} does not name a site: write a module's path with {{layer}} for the layer's number, and the "
            "component, as in 'model.layers.{layer}.mlp=mlp_out' (or '….mlp.down_proj:input=mlp_post')."
        )
    if match["component"] not in NAMEABLE:
        raise BadArgumentError(
            f"{match['component']!r} cannot be named by a module's path. {did_you_mean(match['component'], NAMEABLE)}"
        )
    tap = Tap(match["module"] or "", "input" if match["side"] == "input" else "output")
    only = frozenset(map(int, match["only"].split(","))) if match["only"] else None
    return _Named(match["layers"], match["component"], tap, only)


def _other_settings(config: PretrainedConfig) -> str:
    """Which settings make it one that is not known, where others of its type are."""
    needed = [entry.when for entry in architectures() if entry.model_type == config.model_type]
    names = dict.fromkeys(name for when in needed for name in when)
    if not names:
        return ""
    return f" with {', '.join(f'{name}={getattr(config, name, None)!r}' for name in names)}"


def _listing(config: PretrainedConfig) -> str:
    if model := without_weights(config):
        return f"The modules of its layers: {', '.join(module_paths(model))}."
    return f"Known architectures: {', '.join(dict.fromkeys(entry.model_type for entry in architectures()))}."


def without_weights(config: PretrainedConfig) -> PreTrainedModel | None:
    """A model of a configuration, on no device; None where transformers cannot make one (its code is elsewhere)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    # A configuration of a class that came with the checkpoint is there only because that code was trusted. Said either
    # way, for otherwise transformers asks whoever sits at the terminal.
    trusted = _brings_code(config)
    factories = (AutoModelForCausalLM, AutoModelForMaskedLM)
    for factory in reversed(factories) if reads_both_sides(config) else factories:
        try:
            with torch.device("meta"):
                model: PreTrainedModel = factory.from_config(config, trust_remote_code=trusted)
        except ValueError:
            continue
        return model
    return None


def module_paths(model: Module) -> list[str]:
    """The paths of the modules in a model's layers, with `{layer}` for the number: `model.layers.{layer}.mlp`."""
    from torch.nn import ModuleList

    stacks = {path: module for path, module in model.named_modules() if isinstance(module, ModuleList)}
    if not stacks:
        return [path for path, _ in model.named_modules() if path]
    layers = max(stacks, key=lambda path: (len(stacks[path]), -len(path)))
    # Layers may differ (every other one a mixture of experts): all paths, each once.
    inside = dict.fromkeys(path for layer in stacks[layers] for path, _ in layer.named_modules())
    return [f"{layers}.{{layer}}{'.' + path if path else ''}" for path in inside]
