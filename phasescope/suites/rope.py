"""The base of rotary positions, where each kind of layer has its own and a configuration names one for all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError

if TYPE_CHECKING:
    from transformers import PretrainedConfig

ONE_FOR_ALL = ("olmo3",)
"""Whose `rope_theta` was that of all layers before transformers 5, which takes it for those that attend to all."""


def with_named_base(config: PretrainedConfig, folder: Path, label: str) -> PretrainedConfig:
    """The configuration with the base that its file names, which transformers 5 leaves out for some kinds of layer.

    Raises `BadCheckpointError` where the file names one base and no kind of layer would have it.
    """
    positions: dict[str, Any] = getattr(config, "rope_parameters", None) or {}
    kinds = {name: one for name, one in positions.items() if isinstance(one, dict)}
    if not kinds:  # As of nearly all models: the file is not read again.
        return config
    told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if told.get("model_type") != config.model_type:
        return config
    named = (told.get("rope_parameters") or {}).get("rope_theta")
    if named is not None and any(one.get("rope_theta") != named for one in kinds.values()):
        raise BadCheckpointError(
            f"{label}: rope_parameters in config.json name one rope_theta, {named:g}, which transformers uses for no "
            f"layer of {config.model_type}. Name it for each kind of layer: {', '.join(kinds)}."
        )
    base = told.get("rope_theta")
    if config.model_type in ONE_FOR_ALL and base is not None and "rope_parameters" not in told:
        for one in kinds.values():
            one["rope_theta"] = float(base)
    return config
