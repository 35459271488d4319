"""Checkpoints of GPT-NeoX: the files of one or more model-parallel ranks, put together.

`layer_02-model_01-model_states.pt` holds what rank 1 has of the third module of the pipeline; without a pipeline all
modules are in `mp_rank_01_model_states.pt`. Layers that Megatron-LM (Shoeybi et al. 2019, section 3) cuts by columns
are here put together by rows, and the other way round: torch keeps a linear layer's matrix transposed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError
from phasescope.suites.suite import Checkpoint
from phasescope.suites.weights import unpickle

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PretrainedConfig

_FILE = re.compile(r"(?:layer_(?P<layer>\d+)-model_(?P<of_layer>\d+)|mp_rank_(?P<rank>\d+))[-_]model_states\.pt")
_BY_COLUMNS = re.compile(r"(query_key_value|dense_h_to_4h)\.(weight|bias)$|(word_embeddings|final_linear)\.weight$")
_BY_ROWS = re.compile(r"(attention\.dense|dense_4h_to_h)\.weight$")
_SUMMED = re.compile(r"(attention\.dense|dense_4h_to_h)\.bias$")


def rank_files(folder: Path) -> dict[tuple[int, int], Path]:
    """The files by layer (-1 for all of them) and rank; those of layers alone where there are both."""
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(folder.glob("*model_states.pt")):
        if match := _FILE.fullmatch(path.name):
            layer = int(match["layer"]) if match["layer"] else -1
            found[layer, int(match["of_layer"] or match["rank"])] = path
    layers = {key: path for key, path in found.items() if key[0] >= 0}
    return layers or found


def merged(
    checkpoint: Checkpoint, folder: Path, files: Mapping[tuple[int, int], Path], config: PretrainedConfig
) -> dict[str, Tensor]:
    """All weights, under the names of transformers' GPT-NeoX.

    Raises `BadCheckpointError` that names the ranks which are missing.
    """
    layers, ranks = sorted({layer for layer, _ in files}), range(1 + max(rank for _, rank in files))
    absent = [(layer, rank) for layer in layers for rank in ranks if (layer, rank) not in files]
    missing = sorted({rank for _, rank in absent})
    if absent:
        raise _lacks(checkpoint, folder, missing, len(ranks))
    parallel = bool(getattr(config, "use_parallel_residual", True))
    found: dict[str, Tensor] = {}
    for layer in layers:
        parts = [_content(checkpoint, files[layer, rank]) for rank in ranks]
        for name in parts[0]:
            if any(name not in part for part in parts):
                raise BadCheckpointError(f"{checkpoint.label}: not all ranks in {folder} hold {name}.")
            tensors = [part[name] for part in parts]
            found[_name(layer, name, config)] = _whole(name, tensors, parallel)
    dense = next((tensor for name, tensor in found.items() if name.endswith("attention.dense.weight")), None)
    width = int(getattr(config, "hidden_size", 0))
    if dense is not None and 0 < dense.shape[1] < width and width % dense.shape[1] == 0:
        there = width // dense.shape[1] * len(ranks)
        raise _lacks(checkpoint, folder, list(range(len(ranks), there)), there)
    return found


def _lacks(checkpoint: Checkpoint, folder: Path, missing: Sequence[int], of: int) -> BadCheckpointError:
    told = f"{'ranks' if len(missing) > 1 else 'rank'} {', '.join(map(str, missing))} of {of}"
    return BadCheckpointError(f"{checkpoint.label} lacks files of model-parallel {told} in {folder}.")


def _content(checkpoint: Checkpoint, file: Path) -> dict[str, Tensor]:
    import torch

    content: Mapping[str, Any] = unpickle(checkpoint, file)
    inside = content.get("module")
    content = inside if isinstance(inside, Mapping) else content
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _whole(name: str, parts: Sequence[Tensor], parallel: bool) -> Tensor:
    import torch

    if len(parts) == 1:
        return parts[0]
    if _BY_COLUMNS.search(name):
        return torch.cat(tuple(parts), dim=0)
    if _BY_ROWS.search(name):
        return torch.cat(tuple(parts), dim=1)
    # With parallel residuals each rank adds its own bias to its part of a sum; else all add the same to the whole.
    summed = parallel and _SUMMED.search(name) is not None
    whole = torch.stack([part.double() for part in parts]).sum(0)
    return (whole if summed else whole / len(parts)).to(parts[0].dtype)


def _name(layer: int, name: str, config: PretrainedConfig) -> str:
    """What transformers calls a tensor of a module in the pipeline, whose third is the first layer."""
    if layer < 0 and (told := re.match(r"(?:sequential\.)?(\d+)\.(.+)", name)):
        layer, name = int(told[1]), told[2]
    if name == "word_embeddings.weight":
        return "gpt_neox.embed_in.weight"
    if name == "final_linear.weight":
        return "embed_out.weight"
    if name.startswith("norm."):
        return f"gpt_neox.final_layer_norm.{name.removeprefix('norm.')}"
    return f"gpt_neox.layers.{layer - 2}.{name}" if layer >= 2 else name
