"""Translators of a tuned lens, read from a file."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import counted
from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from phasescope.measures import Translator

_NAME = re.compile(r"(?:.*\.)?(\d+)\.(weight|bias)")
_PARAMETERS = "params.pt"


def read_translators(path: Path, layers: int, d_model: int) -> list[Translator]:
    """One translator for what enters each layer, as the library `tuned-lens` keeps them.

    path: its folder (`params.pt` beside `config.json`) or file; or a file of safetensors with the same names,
    `<layer>.weight` `[d_model, d_model]` and `<layer>.bias` `[d_model]`.

    Raises `PhasescopeError` for a file that is gone, damaged or holds more than tensors, and for translators of another
    model.
    """
    import torch

    from phasescope.measures import Translator

    file = path / _PARAMETERS if path.is_dir() else path
    if not file.is_file():
        raise PhasescopeError(f"There are no translators at {file}: put them back, or leave them out of --behaviour.")
    found: dict[int, dict[str, Any]] = {}
    for name, tensor in _tensors(file).items():
        if (match := _NAME.fullmatch(name)) and isinstance(tensor, torch.Tensor):
            found.setdefault(int(match[1]), {})[match[2]] = tensor.float()
    wrong = [
        tuple(tensor.shape)
        for parts in found.values()
        for part, tensor in parts.items()
        if tensor.shape != ((d_model, d_model) if part == "weight" else (d_model,))
    ]
    if sorted(found) != list(range(layers)) or wrong or any("weight" not in parts for parts in found.values()):
        size = f" of {wrong[0][-1]} dimensions" if wrong else ""
        raise PhasescopeError(
            f"{file} has translators for {counted(len(found), 'layer')}{size}, and this model has "
            f"{counted(layers, 'layer')} of {d_model} dimensions: they are of another model. Name its own, and ask "
            "for them in a run of its size alone."
        )
    if not all(tensor.isfinite().all() for parts in found.values() for tensor in parts.values()):
        raise PhasescopeError(f"The translators in {file} are not finite: train them anew, or name another file.")
    none = torch.zeros(d_model)
    return [Translator(found[layer]["weight"], found[layer].get("bias", none)) for layer in range(layers)]


def _tensors(file: Path) -> dict[str, Any]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if file.suffix == ".safetensors":
            return dict(load_file(file))
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        raise PhasescopeError(
            f"{file} cannot be read as translators ({type(error).__name__}): it is damaged, or holds more than tensors."
        ) from error
    if not isinstance(content, dict):
        raise PhasescopeError(f"{file} holds a {type(content).__name__}, not translators: name another file.")
    return content
