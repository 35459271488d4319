"""Opening a checkpoint: its configuration, its tokenizer, its model, or single tensors of it.

Whatever is wrong with the files becomes a `BadCheckpointError` that names the checkpoint, the file and the tensors.
Folders are read without a network; checkpoints on the hub are downloaded first (see `phasescope.suites.download`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError, PhasescopeError, did_you_mean
from phasescope.suites.download import (
    CONFIG_FILES,
    PICKLED_FILES,
    SAFETENSORS_FILES,
    TOKENIZER_FILES,
    fetch,
    files_like_weights,
)
from phasescope.suites.suite import Checkpoint
from phasescope.suites.weights import no_weights, weight_files

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

DTYPES = ("float32", "float16", "bfloat16", "float64")
_TOKENIZER_MARKS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "*.model")


def load_config(checkpoint: Checkpoint, *, trust_remote_code: bool = False) -> PretrainedConfig:
    """The model's configuration. Raises `BadCheckpointError` if there is none or it cannot be read."""
    from transformers import AutoConfig

    if checkpoint.file is not None:
        from phasescope.suites.native import native_config

        with _blamed_on(checkpoint):
            return native_config(checkpoint)
    folder = _folder(checkpoint, CONFIG_FILES)
    with _blamed_on(checkpoint), quiet_transformers():
        return AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)


def load_tokenizer(checkpoint: Checkpoint, *, trust_remote_code: bool = False) -> PreTrainedTokenizerFast:
    """The fast tokenizer that lies with the checkpoint.

    On disk it may also lie in a folder above, up to the suite's; on the hub, in the default branch. Raises
    `BadCheckpointError` if there is none, or only a slow one (which cannot tell where in the text a token is).
    """
    from transformers import AutoTokenizer

    if checkpoint.file is not None:
        from phasescope.suites.native import native_tokenizer

        with _blamed_on(checkpoint):
            checkpoint = native_tokenizer(checkpoint)
    folder = _tokenizer_folder(checkpoint)
    with _blamed_on(checkpoint), quiet_transformers():
        if (folder / "tokenizer.json").is_file() and not (folder / "tokenizer_config.json").is_file():
            return _bare_tokenizer(checkpoint, folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
    if not tokenizer.is_fast:
        raise BadCheckpointError(
            f"The tokenizer of {checkpoint.label} in {folder} is a slow one, which does not tell where in the text a "
            "token is: save a fast one (tokenizer.json) there."
        )
    return tokenizer


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
    weight_files(checkpoint, _weights_folder(checkpoint))


def commit_of(checkpoint: Checkpoint) -> str | None:
    """The commit that a hub checkpoint's revision points to (it is downloaded if need be); None for a folder."""
    if checkpoint.is_local:
        return None
    return fetch(checkpoint, CONFIG_FILES).name


def resolve_device(name: str | torch.device = "auto") -> str:
    """The device that is meant: `auto` is the first of cuda, mps and cpu that this machine has.

    Raises `PhasescopeError` for a device that does not exist here.
    """
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there = ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count())), *there]
    if str(name) == "auto":
        return there[0]
    if str(name) not in there:
        raise PhasescopeError(f"There is no device {str(name)!r} here. {did_you_mean(name, ['auto', *there])}")
    return str(name)


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep transformers' progress bars and reports off the terminal, where ours are."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def open_model(
    checkpoint: Checkpoint,
    dtype: str | torch.dtype = "auto",
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The model of a checkpoint on the CPU, its weights still in the file's pages: none is read before it is used.

    As transformers makes it, which knows how names in files became names in modules; but strictly: transformers
    itself goes on with random values where tensors are missing or do not fit.
    """
    folder = _weights_folder(checkpoint)
    weight_files(checkpoint, folder)
    if checkpoint.file is not None:
        from phasescope.suites.native import open_native

        with _blamed_on(checkpoint):
            own, fit = open_native(checkpoint, folder / checkpoint.file, _dtype(dtype))
        _require_match(checkpoint, fit)
        return own
    config = load_config(checkpoint, trust_remote_code=trust_remote_code)
    with _blamed_on(checkpoint), quiet_transformers():
        model, report = model_factory(config).from_pretrained(
            folder,
            dtype=_dtype(dtype),
            local_files_only=True,
            trust_remote_code=trust_remote_code,
            weights_only=True,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
        )
    if report["unexpected_keys"]:
        report["unexpected_keys"] = set(report["unexpected_keys"]) - _of_other_heads(config)
    _require_match(checkpoint, report)
    return model


def model_factory(config: PretrainedConfig) -> Any:
    """What makes a model with a head: a masked one for families that are only ever that, else a causal one."""
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
    from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

    masked = config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not getattr(config, "is_decoder", False)
    return AutoModelForMaskedLM if masked else AutoModelForCausalLM


def _of_other_heads(config: PretrainedConfig) -> set[str]:
    """The tensors of the class that saved the weights: one with more heads (BERT's next sentence) may have been."""
    import torch
    import transformers

    saved_by = getattr(transformers, (getattr(config, "architectures", None) or [""])[0], None)
    if saved_by is None:
        return set()
    with torch.device("meta"):
        return set(saved_by(config).state_dict())


def _require_match(checkpoint: Checkpoint, report: dict[str, Any]) -> None:
    shapes = sorted(
        f"{name} (is {tuple(stored)}, should be {tuple(wanted)})" for name, stored, wanted in report["mismatched_keys"]
    )
    problems = [
        f"{what} {_some(names)}"
        for what, names in (
            ("lacks", sorted(report["missing_keys"])),
            ("has unexpected", sorted(report["unexpected_keys"])),
            ("has mis-shaped", shapes),
            ("cannot be converted:", report["error_msgs"]),
        )
        if names
    ]
    if problems:
        raise BadCheckpointError(
            f"The weights of {checkpoint.label} in {checkpoint.place} do not fit its config.json: the file "
            f"{'; it '.join(problems)}."
        )


def require_finite(checkpoint: Checkpoint, tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Raise `BadCheckpointError` that names the tensors with NaN or infinity, if there are any."""
    import torch

    # A sum is not finite if a term is not, and costs one pass without a temporary; where it is not finite for
    # another reason (it overflowed), look closely.
    suspects = [
        (name, tensor)
        for name, tensor in tensors
        if tensor.is_floating_point() and not torch.isfinite(tensor.sum(dtype=torch.float32))
    ]
    names = [name for name, tensor in suspects if not torch.isfinite(tensor).all()]
    if names:
        raise BadCheckpointError(f"{checkpoint.label} in {checkpoint.place} has NaN or infinity in {_some(names)}.")


def _folder(checkpoint: Checkpoint, files: tuple[str, ...]) -> Path:
    """The folder with those files of the checkpoint, which must have a configuration."""
    folder = Path(checkpoint.location) if checkpoint.is_local else fetch(checkpoint, files)
    if checkpoint.is_local and not folder.is_dir():
        raise BadCheckpointError(f"The folder of {checkpoint.label}, {folder}, is gone.")
    if not (folder / "config.json").is_file():
        raise BadCheckpointError(f"{checkpoint.label} has no config.json in {checkpoint.place}.")
    return folder


def _weights_folder(checkpoint: Checkpoint) -> Path:
    if checkpoint.file is not None:
        return fetch(checkpoint, (checkpoint.file,))
    folder = _folder(checkpoint, SAFETENSORS_FILES)
    if not checkpoint.is_local and not any(folder.glob("*.safetensors*")):
        folder = fetch(checkpoint, (*SAFETENSORS_FILES, *PICKLED_FILES))
        if not any(folder.glob("pytorch_model*.bin*")):
            raise no_weights(checkpoint, files_like_weights(checkpoint))
    return folder


def _tokenizer_folder(checkpoint: Checkpoint) -> Path:
    if checkpoint.is_local:
        folder = Path(checkpoint.location)
        # The layouts put at most a seed, a size and the suite above a step.
        places: Iterable[Path] = [folder, *itertools.islice(folder.parents, 3)]
        searched = f"{folder} or a folder above it"
    else:
        places = (fetch(checkpoint, TOKENIZER_FILES, revision) for revision in (checkpoint.revision, "main"))
        searched = f"{checkpoint.place} or the branch main"
    for place in places:
        if any(any(place.glob(mark)) for mark in _TOKENIZER_MARKS):
            return place
    raise BadCheckpointError(f"{checkpoint.label} has no tokenizer: put a tokenizer.json into {searched}.")


def _bare_tokenizer(checkpoint: Checkpoint, folder: Path) -> PreTrainedTokenizerFast:
    """A tokenizer.json as it is. transformers would guess a class from the model, which adds entries of its own."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = {index: str(token) for index, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    end = load_config(checkpoint).eos_token_id
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=special.get(end) if isinstance(end, int) else None
    )


def _dtype(name: str | torch.dtype) -> str | torch.dtype:
    import torch

    if not isinstance(name, str) or name == "auto":
        return name
    if name not in DTYPES:
        raise PhasescopeError(f"{name!r} is no dtype to compute in. {did_you_mean(name, DTYPES)}")
    chosen: torch.dtype = getattr(torch, name)
    return chosen


@contextmanager
def _blamed_on(checkpoint: Checkpoint) -> Iterator[None]:
    """Name the checkpoint in whatever a library raises while it reads the files.

    The libraries have no common error: a damaged file shows as any of OSError, ValueError, RuntimeError, KeyError,
    pickle's, safetensors' and huggingface_hub's own.
    """
    try:
        yield
    except (PhasescopeError, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        if "trust_remote_code" in text:
            text = (
                "it needs Python code of its own, which is not run unless you trust it and ask for it: "
                "--trust-remote-code (in Python, trust_remote_code=True)."
            )
        reason = text if len(text) <= 300 else f"{text[:300]}…"
        raise BadCheckpointError(f"{checkpoint.label} in {checkpoint.place} cannot be loaded: {reason}") from error


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
