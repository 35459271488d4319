"""An entry for a family that is not known: found by what its modules give, and by the shapes of their weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.families import reads_both_sides
from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.attending import learned, rotary
from phasescope.hooks.lookup import module_paths
from phasescope.hooks.projections import Concatenated, Half, Interleaved, Separate
from phasescope.hooks.tap import Tap
from phasescope.hooks.twins import one_expert_at_a_time

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from transformers import PretrainedConfig, PreTrainedModel

    from phasescope.hooks.attending import Positions

_ROUNDING = 1e-6
"""Relative: sums in float64, of what may have been added in float32 (Mamba)."""


@dataclass
class _Seen:
    """What went into and came out of the modules of the last layer, in the order in which they were reached."""

    given: dict[str, Tensor] = field(default_factory=dict)
    gave: dict[str, Tensor] = field(default_factory=dict)


def propose(model: PreTrainedModel, tokens: Tensor) -> list[Architecture]:
    """Entries to try, best first: they differ in how one projection holds queries, keys and values.

    What is added to the residual stream is found by trying which modules' outputs add up to what the layer adds.

    Raises PhasescopeError where no two modules do, or where layers differ in the modules that would be tapped.
    """
    return [_of_every_layer(entry, model) for entry in _of_last_layer(model, tokens)]


def _of_every_layer(entry: Architecture, model: PreTrainedModel) -> Architecture:
    """The same without matrices that some layers lack: the MLP may be another one there."""
    layers = entry.modules(model)

    def lacking(path: str) -> list[int]:
        return [number for number, layer in enumerate(layers) if path not in dict(layer.named_modules())]

    used = {name: place if isinstance(place, str) else place.module for name, place in entry.matrices.items()}
    if any(map(lacking, used.values())):
        taps = {name: tap for name, tap in entry.taps.items() if name != "mlp_post"}
        entry = replace(entry, matrices={}, taps=taps)
    for tap in entry.taps.values():
        if without := lacking(tap.module):
            raise PhasescopeError(
                f"The layers of a {entry.model_type} model differ: there is no {tap.module} in layer "
                f"{', '.join(map(str, without))}. Write an entry for each kind of layer (`kinds`, docs/extending.md)."
            )
    return entry


def experts_in(model: PreTrainedModel) -> str:
    """What layers hold of experts, which no proposal has; "" where there are none."""
    _, last = _layers(model)
    for path, module in last.named_modules():
        stacks = [name for name, value in module.named_parameters(recurse=False) if value.ndim == 3]
        if len(stacks) > 1:
            count = len(module.get_parameter(stacks[0]))
            return (
                f"{path} holds matrices of {count} experts ({', '.join(stacks)}), and the entry has none of them: "
                "which module routes and how they are stored is for you to say (`mixture`, docs/extending.md)"
            )
    return ""


def _of_last_layer(model: PreTrainedModel, tokens: Tensor) -> list[Architecture]:
    """The entries as one layer has them."""
    layers, last = _layers(model)
    seen = _watched(model, last, tokens)
    if "" not in seen.given or "" not in seen.gave:
        raise PhasescopeError(f"The layers of a {model.config.model_type} model give no one vector a position.")
    before, after = seen.given[""], seen.gave[""]
    added = _added(seen, after - before)
    if not added:
        raise PhasescopeError(
            f"No module, and no two, of a {model.config.model_type} model's layers add up to what a layer adds to the "
            f"residual stream: write its entry by hand (docs/extending.md). Its modules: {', '.join(seen.gave)}."
        )
    first = added[0]
    taps = {"resid_pre": Tap("", "input"), "attn_out": Tap(first, "output")}
    if len(added) > 1:
        middle = _first_given(seen, before + seen.gave[first])
        if middle is not None:
            taps["resid_mid"] = Tap(middle, "input")
        taps |= {"mlp_out": Tap(added[1], "output")}
    taps["resid_post"] = Tap("", "output")
    matrices = _of_mlp(last, added[1], taps) if len(added) > 1 else {}
    masked, positions = reads_both_sides(model.config), _positions(model)
    whole = Architecture(model.config.model_type, layers, taps, matrices, masked=masked, positions=positions)
    with_heads = list(_attending(whole, last, first, seen))
    if len(added) == 1:
        # All that a layer adds: a mixer, unless it is seen to attend.
        taps = {"mixer_out" if name == "attn_out" else name: tap for name, tap in taps.items()}
        whole = replace(whole, taps=taps)
    return [*with_heads, whole]


def _positions(model: PreTrainedModel) -> Callable[[PretrainedConfig, int], Positions]:
    """Learned where there is an embedding beside that of the tokens with a row for each position."""
    from torch.nn import Embedding

    rows = getattr(model.config, "max_position_embeddings", 0) or 0
    tokens = model.get_input_embeddings()
    others = (module for module in model.modules() if isinstance(module, Embedding) and module is not tokens)
    return learned if any(module.num_embeddings >= rows > 0 for module in others) else rotary


def _layers(model: PreTrainedModel) -> tuple[str, Module]:
    path = module_paths(model)[0].removesuffix(".{layer}")
    layers = list(model.get_submodule(path))
    return path, layers[-1]


def _watched(model: PreTrainedModel, layer: Module, tokens: Tensor) -> _Seen:
    import torch

    seen, batch, handles = _Seen(), tokens.shape, []

    def rows(value: Any) -> Tensor | None:
        value = value[0] if isinstance(value, tuple) and value else value
        if not isinstance(value, torch.Tensor) or value.ndim < 2:
            return None
        if value.ndim == 2 and len(value) == tokens.numel():
            value = value.reshape(*batch, -1)
        return value.detach() if value.ndim == 3 and value.shape[:2] == batch else None

    for path, module in layer.named_modules():

        def watch(_: Module, inputs: Any, named: dict[str, Any], output: Any, path: str = path) -> None:
            for kept, value in ((seen.given, rows(inputs or tuple(named.values()))), (seen.gave, rows(output))):
                if value is not None:
                    kept[path] = value

        handles.append(module.register_forward_hook(watch, with_kwargs=True))
    try:
        with torch.no_grad(), one_expert_at_a_time(model):
            model(tokens, **({} if reads_both_sides(model.config) else {"use_cache": False}))
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _added(seen: _Seen, wanted: Tensor) -> list[str]:
    """The module, or the two, whose outputs are what the layer adds; of several that give the same the outermost."""
    same = {path: value for path, value in seen.gave.items() if path and value.shape == wanted.shape}
    largest = float(wanted.abs().max())
    for count in (1, 2):
        found = [
            pair
            for pair in combinations(same, count)
            if float((sum(same[path] for path in pair) - wanted).abs().max()) <= _ROUNDING * largest
        ]
        if found:
            return list(min(found, key=lambda pair: sum(path.count(".") for path in pair)))
    return []


def _first_given(seen: _Seen, wanted: Tensor) -> str | None:
    largest = float(wanted.abs().max())
    for path, value in seen.given.items():
        if path and value.shape == wanted.shape and float((value - wanted).abs().max()) <= _ROUNDING * largest:
            return path
    return None


def _linear(layer: Module, inside: str) -> dict[str, tuple[int, int]]:
    """The linear modules in one of a layer's, by path: what goes in, what comes out."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    found = {}
    for path, module in layer.named_modules():
        if path == inside or path.startswith(f"{inside}.") or not inside:
            if isinstance(module, Linear):
                found[path] = module.in_features, module.out_features
            elif isinstance(module, Conv1D):
                found[path] = tuple(module.weight.shape)
    return found


def _block_of(layer: Module, path: str) -> str:
    """The module that holds a module and what is beside it: itself where it has linear modules."""
    return path if len(_linear(layer, path)) > 1 else path.rpartition(".")[0]


def _of_mlp(layer: Module, path: str, taps: dict[str, Tap]) -> dict[str, Any]:
    """The matrices of an MLP; `mlp_post` is put before what it adds."""
    block = _block_of(layer, path)
    # Where they are beside the norms, not in a module of their own: OPT.
    linear = {name: at for name, at in _linear(layer, block).items() if block or "." not in name}
    width = max((out for _, out in linear.values()), default=0)
    out = [name for name, (goes_in, gives) in linear.items() if gives < max(width, goes_in) and goes_in != gives]
    into = [name for name in linear if name not in out]
    if len(out) != 1 or not 1 <= len(into) <= 2:
        return {}
    goes_in = linear[out[0]][0]
    added, after = taps.pop("mlp_out"), taps.pop("resid_post", None)
    taps |= {"mlp_post": Tap(out[0], "input"), "mlp_out": added}
    if after is not None:
        taps["resid_post"] = after
    if len(into) == 1:
        half = linear[into[0]][1] == 2 * goes_in
        first = {"mlp.W_gate": Half(into[0], 0), "mlp.W_in": Half(into[0], 1)} if half else {"mlp.W_in": into[0]}
    else:
        gate = next((name for name in into if "gate" in name), into[0])
        first = {"mlp.W_gate": gate, "mlp.W_in": next(name for name in into if name != gate)}
    return {**first, "mlp.W_out": out[0]}


def _attending(whole: Architecture, layer: Module, path: str, seen: _Seen) -> Iterator[Architecture]:
    """The entry with heads, in each way in which its projections may be stored."""
    block = _block_of(layer, path) if _linear(layer, path) else _attention_before(layer, path)
    # In the order in which they are reached, the output projection last.
    linear = [name for name in seen.gave if name in _linear(layer, block)] if block else []
    if len(linear) not in (2, 4):
        return
    *made, output = linear
    letters = [name.rpartition(".")[2][0] for name in made]
    if sorted(letters) == ["k", "q", "v"]:
        made = [made[letters.index(letter)] for letter in "qkv"]
    value = made[-1]
    kinds: list[Any] = [Separate(*made)] if len(made) == 3 else [Interleaved(made[0]), Concatenated(made[0])]
    owner = block if block in seen.gave else path
    heads = {
        "ov_out": Tap(value, "output"),
        "z": Tap(output, "input"),
        "pattern": Tap(owner, "output", item=1),
    }
    # A norm after attention comes after its pattern; an output projection before.
    inside = path.startswith(f"{owner}.")
    pattern = heads.pop("pattern")
    order = {**heads, **({} if inside else {"pattern": pattern}), "attn_out": whole.taps["attn_out"]}
    if inside:
        order["pattern"] = pattern
    rest = {name: tap for name, tap in whole.taps.items() if name not in ("resid_pre", "attn_out")}
    taps = {"resid_pre": whole.taps["resid_pre"], **order, **rest}
    for kind in kinds:
        yield replace(whole, taps=taps, attention=Attention(kind, output))


def _attention_before(layer: Module, path: str) -> str:
    """Where a norm gives what is added: the attention whose output it is given."""
    return next((name for name, module in layer.named_children() if len(_linear(layer, name)) in (2, 4)), "")
