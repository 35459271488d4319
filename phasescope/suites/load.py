"""Opening a checkpoint: its configuration, its model, or single tensors of it.

Whatever is wrong with the files becomes a `BadCheckpointError` that names the checkpoint, the file and the tensors.
Folders are read without a network; checkpoints on the hub are downloaded first (see `phasescope.suites.download`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError
from phasescope.families import language_config, language_keys, reads_both_sides
from phasescope.stopping import uninterrupted
from phasescope.suites.adapters import ADAPTER_FILES, base_of, is_adapter, merged_into
from phasescope.suites.constants import constants_among
from phasescope.suites.device import dtype_named, resolve_device
from phasescope.suites.download import CONFIG_FILES, PICKLED_FILES, SAFETENSORS_FILES, fetch, files_like_weights
from phasescope.suites.gone import require_family
from phasescope.suites.old_olmo import as_transformers, old_olmo, renamed
from phasescope.suites.reading import blamed_on, quiet_transformers
from phasescope.suites.rope import ONE_FOR_ALL, with_named_base
from phasescope.suites.soundness import require_finite, require_match, warn_if_untied
from phasescope.suites.states import is_state, state_of
from phasescope.suites.suite import Checkpoint
from phasescope.suites.weights import no_weights, read_tensor, weight_files

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel


def load_config(checkpoint: Checkpoint, *, trust_remote_code: bool = False) -> PretrainedConfig:
    """The language model's configuration. Raises `BadCheckpointError` if there is none or it cannot be read."""
    return language_config(_whole_config(checkpoint, trust_remote_code))


def _whole_config(checkpoint: Checkpoint, trust_remote_code: bool) -> PretrainedConfig:
    from transformers import AutoConfig

    if checkpoint.file is not None:
        from phasescope.suites.native import native_config

        with blamed_on(checkpoint):
            return native_config(checkpoint)
    if base := adapted(checkpoint):
        return load_config(base, trust_remote_code=trust_remote_code)
    folder = _folder(checkpoint, CONFIG_FILES)
    if told := old_olmo(folder):
        with blamed_on(checkpoint):
            return as_transformers(told, checkpoint.label)
    require_family(folder, checkpoint.label)
    with blamed_on(checkpoint), quiet_transformers():
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
        return with_named_base(config, folder, checkpoint.label)


def load_model(
    checkpoint: Checkpoint,
    *,
    device: str | torch.device = "cpu",
    dtype: str | torch.dtype | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The language model of a checkpoint, checked and in evaluation mode.

    Args:
        checkpoint: what to load.
        device: where to put it; `auto` as in `resolve_device`.
        dtype: as torch names it (`"float16"`); None keeps the checkpoint's own.
        trust_remote_code: whether to run Python code that came with the checkpoint.

    On a CPU the weights stay in the file's pages (memory-mapped), so opening costs milliseconds.

    Raises `BadCheckpointError` that names what is missing, unexpected, mis-shaped, truncated or not finite.
    """
    model = open_model(checkpoint, dtype or "auto", trust_remote_code)
    require_finite(checkpoint, model.state_dict().items())
    model.to(resolve_device(device))
    return model.eval()


def prepare(checkpoint: Checkpoint) -> None:
    """Fetch a checkpoint's configuration and weights, and see that its files are whole; nothing is loaded.

    Raises `BadCheckpointError` as loading it would, and `PhasescopeError` where no other would do better.
    """
    if base := adapted(checkpoint, SAFETENSORS_FILES):
        prepare(base)
        _folder(checkpoint, ADAPTER_FILES)
    elif not _is_state(checkpoint):
        weight_files(checkpoint, _weights_folder(checkpoint))


def commit_of(checkpoint: Checkpoint) -> str | None:
    """The commit that a hub checkpoint's revision points to (it is downloaded if need be); None for a folder."""
    if checkpoint.is_local:
        return None
    return fetch(checkpoint, CONFIG_FILES).name


def open_model(
    checkpoint: Checkpoint,
    dtype: str | torch.dtype = "auto",
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The model of a checkpoint on the CPU, its weights still in the file's pages: none is read before it is used.

    As transformers makes it, which knows how names in files became names in modules; but strictly: transformers
    itself goes on with random values where tensors are missing or do not fit.
    """
    if base := adapted(checkpoint, SAFETENSORS_FILES):
        return merged_into(open_model(base, dtype, trust_remote_code), checkpoint, _folder(checkpoint, ADAPTER_FILES))
    if checkpoint.file is not None:
        from phasescope.suites.native import open_native

        (file,) = weight_files(checkpoint, _weights_folder(checkpoint))
        with blamed_on(checkpoint):
            own, fit = open_native(checkpoint, file, dtype_named(dtype))
        require_match(checkpoint, fit)
        return own
    whole = _whole_config(checkpoint, trust_remote_code)
    config, keys = language_config(whole), language_keys(whole)
    settings: dict[str, Any] = {
        "dtype": dtype_named(dtype),
        "ignore_mismatched_sizes": True,
        "output_loading_info": True,
    }
    if _is_state(checkpoint):
        names = set(_empty(checkpoint, config, trust_remote_code).state_dict())
        state = state_of(checkpoint, Path(checkpoint.location), config, names)
        return _from_state(checkpoint, config, state, settings, trust_remote_code)
    folder = _weights_folder(checkpoint)
    files = {name: file for file, names in weight_files(checkpoint, folder).items() for name in names}
    if told := old_olmo(folder):
        state = renamed(files, lambda name: read_tensor(checkpoint, files[name], name), told)
        return _from_state(checkpoint, config, state, settings)
    if keys is not None:  # Of a model of several parts only the language model is made, and its tensors are read.
        settings |= {"config": config, "key_mapping": keys}
    elif config.model_type in ONE_FOR_ALL:
        settings["config"] = config
    with blamed_on(checkpoint), quiet_transformers(), uninterrupted():
        model, report = model_factory(config).from_pretrained(
            folder, trust_remote_code=trust_remote_code, local_files_only=True, weights_only=True, **settings
        )
    if keys is not None:
        parts = tuple(f"{name}." for name, _ in model.named_children())
        report["unexpected_keys"] = {name for name in report["unexpected_keys"] if name.startswith(parts)}
    return _matched(checkpoint, model, report, files, lambda name: read_tensor(checkpoint, files[name], name))


def _matched(
    checkpoint: Checkpoint, model: Any, report: dict[str, Any], stored: Iterable[str], read: Callable[[str], Tensor]
) -> PreTrainedModel:
    """The model, if all of its weights were there and nothing else was.

    stored: the names of the checkpoint's tensors; read: gives one of them.
    """
    if report["unexpected_keys"]:
        unexpected = set(report["unexpected_keys"]) - _of_other_heads(model.config)
        report["unexpected_keys"] = unexpected - constants_among(unexpected, stored, read)
    require_match(checkpoint, report)
    warn_if_untied(checkpoint, model)
    matched: PreTrainedModel = model
    return matched


def _from_state(
    checkpoint: Checkpoint,
    config: PretrainedConfig,
    state: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The model of tensors that have been read."""
    kind = type(_empty(checkpoint, config, trust_remote_code))
    with blamed_on(checkpoint), quiet_transformers(), uninterrupted():
        model, report = kind.from_pretrained(None, config=config, state_dict=dict(state), **settings)
    return _matched(checkpoint, model, report, state, state.__getitem__)


def _empty(checkpoint: Checkpoint, config: PretrainedConfig, trust_remote_code: bool) -> Any:
    """The model of a configuration, without weights."""
    import torch

    with blamed_on(checkpoint), quiet_transformers(), torch.device("meta"):
        return model_factory(config).from_config(config, trust_remote_code=trust_remote_code)


def model_factory(config: PretrainedConfig) -> Any:
    """What makes a model with a head: a masked one for families that are only ever that, else a causal one."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM

    return AutoModelForMaskedLM if reads_both_sides(config) else AutoModelForCausalLM


def _of_other_heads(config: PretrainedConfig) -> set[str]:
    """The tensors of the class that saved the weights: one with more heads (BERT's next sentence) may have been."""
    import torch
    import transformers

    saved_by = getattr(transformers, (getattr(config, "architectures", None) or [""])[0], None)
    if saved_by is None:
        return set()
    with torch.device("meta"):
        return set(saved_by(config).state_dict())


def _is_state(checkpoint: Checkpoint) -> bool:
    return checkpoint.is_local and is_state(Path(checkpoint.location))


def adapted(checkpoint: Checkpoint, files: tuple[str, ...] = CONFIG_FILES) -> Checkpoint | None:
    """The model that a checkpoint adapts; None if it is no adapter. files: what is fetched with what tells it."""
    if checkpoint.file is not None or _is_state(checkpoint):
        return None
    folder = Path(checkpoint.location) if checkpoint.is_local else fetch(checkpoint, files) / checkpoint.folder
    return base_of(checkpoint, folder) if is_adapter(folder) else None


def _folder(checkpoint: Checkpoint, files: tuple[str, ...]) -> Path:
    """The folder with those files of the checkpoint, which must have a configuration."""
    folder = Path(checkpoint.location) if checkpoint.is_local else fetch(checkpoint, files) / checkpoint.folder
    if _is_state(checkpoint):
        return _config_folder(checkpoint)
    if checkpoint.is_local and not folder.is_dir():
        raise BadCheckpointError(f"The folder of {checkpoint.label}, {folder}, is gone.")
    if not (folder / "config.json").is_file() and not is_adapter(folder):
        raise BadCheckpointError(f"{checkpoint.label} has no config.json in {checkpoint.place}.")
    return folder


def _config_folder(checkpoint: Checkpoint) -> Path:
    """Where the configuration of weights is that lie without one."""
    place = Path(checkpoint.location)
    places = (
        [Path(checkpoint.config).expanduser()] if checkpoint.config else [place, *itertools.islice(place.parents, 4)]
    )
    found = next((folder for folder in places if _tells_a_model(folder)), None)
    if found is None:
        where = f"in {checkpoint.config}" if checkpoint.config else f"with {place} or in a folder above it"
        raise BadCheckpointError(
            f"{checkpoint.label} has weights and no config.json that says of which model: there is none {where}. Put "
            "one there, or name its folder with --config (in Python, open_suite(…, config=…))."
        )
    return found


def _tells_a_model(folder: Path) -> bool:
    """Whether there is a configuration of a model: OLMo-core's, beside its weights, is of a training."""
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError):
        return True  # whoever opens it says what is wrong with it
    return not isinstance(told, dict) or "model_type" in told


def _weights_folder(checkpoint: Checkpoint) -> Path:
    if checkpoint.file is not None:
        return fetch(checkpoint, (checkpoint.file,))
    folder = _folder(checkpoint, SAFETENSORS_FILES)
    if not checkpoint.is_local and not any(folder.glob("*.safetensors*")):
        folder = fetch(checkpoint, (*SAFETENSORS_FILES, *PICKLED_FILES)) / checkpoint.folder
        if not any(folder.glob("pytorch_model*.bin*")):
            raise no_weights(checkpoint, files_like_weights(checkpoint))
    return folder
