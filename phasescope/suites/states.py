"""Weights as trainers leave them: named tensors in a file, in the files of several ranks, in a distributed checkpoint.

None of these says of which model: that does a `config.json` beside them, in a folder above, or where `--config` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError
from phasescope.suites.distributed import Distributed, distributed_in
from phasescope.suites.ranks import merged, rank_files
from phasescope.suites.spellings import Spelling, spellings
from phasescope.suites.suite import Checkpoint
from phasescope.suites.weights import has_weights, unpickle

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

STATE_FILES = (".pt", ".pth", ".ckpt")
_OF_TRAINERS = re.compile(r"(optim|scheduler|scaler|rng_state|training_args|random_states)")
# What is saved beside the weights by name: by OLMo-core, accelerate and others, and by torchtitan.
_BESIDE = re.compile(r"(?:\w+\.)?(?:optim(?:izer|s)?|train_state|lr_scheduler|dataloader)\b")
# Where the weights are in what Lightning, nanoGPT and others put into one file.
_INSIDE = ("state_dict", "model_state_dict", "model", "module", "weights")
# GPT-2's matrices, which transformers stores transposed (its Conv1D) and others as a linear layer's.
_CONV1D = re.compile(r"\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight$")


def is_state(path: Path) -> bool:
    """Whether a file or folder holds weights as a trainer leaves them, and no model of transformers."""
    if path.is_file():
        return path.suffix in STATE_FILES and _OF_TRAINERS.match(path.name) is None
    return path.is_dir() and not has_weights(path) and (bool(rank_files(path)) or distributed_in(path) is not None)


def state_of(checkpoint: Checkpoint, path: Path, config: PretrainedConfig, names: Iterable[str]) -> dict[str, Tensor]:
    """The weights there, under the names of the model: without what stands before these, without the optimiser.

    names: those of the model's own tensors.

    Raises `BadCheckpointError` that names the file which is missing, damaged or refused.
    """
    wanted = set(names)
    if path.is_file():
        stored = _inside(unpickle(checkpoint, path))
        prefix, spelling = _read_as(stored, checkpoint.prefix, wanted, config)
        return _as_in_transformers({n.removeprefix(prefix): t for n, t in stored.items()}, spelling, config)
    if found := rank_files(path):
        stored = merged(checkpoint, path, found, config)
        prefix = checkpoint.prefix or _most_common(_before(stored, wanted))
        return {name.removeprefix(prefix): tensor for name, tensor in stored.items()}
    folder = distributed_in(path)
    if folder is None:
        raise BadCheckpointError(f"{checkpoint.label} has no weights that can be read in {checkpoint.place}.")
    opened = Distributed(checkpoint, folder)
    weights = {name for name in opened.sizes if not _BESIDE.match(name)}
    prefix, spelling = _read_as(weights, checkpoint.prefix, wanted, config)
    chosen = {name for name in weights if name.startswith(prefix)}
    return _as_in_transformers({n.removeprefix(prefix): t for n, t in opened.read(chosen).items()}, spelling, config)


def _inside(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The named tensors in what a trainer saved: in one of its entries, or itself."""
    import torch

    for key in _INSIDE:
        if isinstance(content.get(key), Mapping) and any(isinstance(v, torch.Tensor) for v in content[key].values()):
            content = content[key]
            break
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _read_as(
    stored: Iterable[str], prefix: str, names: set[str], config: PretrainedConfig
) -> tuple[str, Spelling | None]:
    """What stands before the names, and whose they are: the model's own (None), or those of another program.

    Those count that most of the names are; the model's own where as many are.
    """
    there = list(stored)
    found: list[tuple[int, str, Spelling | None]] = []
    for spelling in (None, *spellings(config)):
        before = _before(there, names if spelling is None else set(spelling.names(config)))
        most = prefix or _most_common(before)
        found.append((before.get(most, 0), most, spelling))
    _, most, spelling = max(found, key=lambda one: one[0])
    return most, spelling


def _most_common(before: Mapping[str, int]) -> str:
    return max(before, key=lambda one: (before[one], -len(one)), default="")


def _before(stored: Iterable[str], names: set[str]) -> dict[str, int]:
    """What stands before names of the model (`model.`, `_orig_mod.`, or nothing), and before how many.

    >>> _before(["model._orig_mod.h.0.weight", "model._orig_mod.h.0.bias"], {"h.0.weight", "h.0.bias"})
    {'model._orig_mod.': 2}
    """
    found: dict[str, int] = {}
    for name in stored:
        parts = name.split(".")
        for place in range(len(parts)):
            if ".".join(parts[place:]) in names:
                before = name[: len(name) - len(".".join(parts[place:]))]
                found[before] = found.get(before, 0) + 1
                break
    return found


def _as_in_transformers(
    state: dict[str, Tensor], spelling: Spelling | None, config: PretrainedConfig
) -> dict[str, Tensor]:
    """The names of another program as the model's own; and GPT-2 whose layers are linear.

    As nanoGPT's are: matrices are transposed, and biases are of nothing where it has none.
    """
    import torch

    if spelling is not None:
        return spelling.respelled(state, config)
    if config.model_type != "gpt2":
        return state
    first = next((name for name in state if name.endswith(".attn.c_attn.weight")), None)
    if first is None or state[first].ndim != 2 or state[first].shape[0] != 3 * state[first].shape[1]:
        return state
    turned = {name: tensor.T if _CONV1D.search(name) else tensor for name, tensor in state.items()}
    if not any(name.endswith((".c_attn.bias", ".ln_1.bias")) for name in state):
        for name, tensor in list(turned.items()):
            if _CONV1D.search(name) or re.search(r"\.ln_[12f]\.weight$", name):
                turned[name.removesuffix("weight") + "bias"] = torch.zeros(tensor.shape[-1], dtype=tensor.dtype)
    return turned
