"""Adapters of PEFT, as a Trainer leaves them in `checkpoint-N`: merged into the model that they adapt."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.suites.soundness import some
from phasescope.suites.suite import Checkpoint
from phasescope.suites.weights import has_weights, tensor_names

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no model."""
    return (folder / ADAPTER_FILES[0]).is_file() and not has_weights(folder) and not (folder / "config.json").exists()


def base_named(folder: Path) -> str:
    """The model that an adapter's configuration names, with its revision; empty where it names none."""
    with suppress(OSError, ValueError, AttributeError):
        config = json.loads((folder / ADAPTER_FILES[0]).read_text(encoding="utf-8"))
        name, revision = config.get("base_model_name_or_path"), config.get("revision")
        return f"{name or ''}{f'@{revision}' if revision else ''}"
    return ""


def base_of(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """The model that an adapter adapts, as its configuration names it: a folder, or a repository on the hub.

    Raises `BadCheckpointError` where it names none.
    """
    try:
        config = json.loads((folder / ADAPTER_FILES[0]).read_text(encoding="utf-8"))
        name, revision = config["base_model_name_or_path"], config.get("revision")
        if not isinstance(name, str) or not name:
            raise KeyError("base_model_name_or_path")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadCheckpointError(
            f"The adapter of {checkpoint.label} in {checkpoint.place} does not say which model it adapts ({error!r})."
        ) from error
    about = checkpoint.family, checkpoint.size, checkpoint.seed, checkpoint.step
    place = Path(name).expanduser()
    if place.is_dir():
        return Checkpoint(*about, str(place.absolute()))
    if place.is_absolute() or name.count("/") > 1 or name.startswith("."):
        raise BadCheckpointError(
            f"The model that {checkpoint.label} adapts, {name}, is no folder here: put it there, or write its place as "
            f"base_model_name_or_path into {folder / ADAPTER_FILES[0]}."
        )
    return Checkpoint(*about, name, revision or "main")


def merged_into(base: PreTrainedModel, checkpoint: Checkpoint, folder: Path) -> PreTrainedModel:
    """The base with the adapter's changes in its weights.

    Raises `BadCheckpointError` where the adapter is not one of this model, with the names that are left over.
    """
    try:
        import peft  # type: ignore[import-not-found, unused-ignore]
    except ImportError as error:
        raise PhasescopeError(
            f"{checkpoint.label} is an adapter, which needs PEFT: pip install 'phasescope[peft]'"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What is missing is asked below.
            model: Any = peft.PeftModel.from_pretrained(base, str(folder))
    except Exception as error:  # It raises RuntimeError for shapes, ValueError for modules that are not there.
        raise _misfit(checkpoint, base, " ".join(str(error).split())[:300]) from error
    stored, own = set(_stored(checkpoint, folder)), set(peft.get_peft_model_state_dict(model))
    if stored != own:
        parts = [
            f"{what} {some(sorted(names))}"
            for what, names in (("it lacks", own - stored), ("it has unexpected", stored - own))
            if names
        ]
        raise _misfit(checkpoint, base, f"{'; '.join(parts)}.")
    whole: PreTrainedModel = model.merge_and_unload()
    return whole


def _misfit(checkpoint: Checkpoint, base: PreTrainedModel, why: str) -> BadCheckpointError:
    model = base.config.name_or_path
    return BadCheckpointError(
        f"The adapter of {checkpoint.label} in {checkpoint.place} does not fit the model that it names, {model}: {why}"
    )


def _stored(checkpoint: Checkpoint, folder: Path) -> set[str]:
    for name in ADAPTER_FILES[1:]:
        if (folder / name).is_file():
            return tensor_names(checkpoint, folder / name)
    raise BadCheckpointError(
        f"{checkpoint.label} has an adapter_config.json and no weights in {checkpoint.place}: neither "
        f"{' nor '.join(ADAPTER_FILES[1:])}."
    )
