"""The frozen inputs of a run: made at its first capture, read back ever after."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.visits.request import Request, refuse_differences

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

    from phasescope.probes import Probes
    from phasescope.store import RunFolder
    from phasescope.suites import Suite
    from phasescope.texts import Inputs

_LONGEST_BY_DEFAULT = 256


def prepare_inputs(
    suite: Suite, folder: RunFolder, request: Request, before: dict[str, Any] | None
) -> tuple[dict[str, Any], Inputs]:
    """What is asked for as plain values, and the inputs: from the run if it has any, else frozen now.

    Raises `PhasescopeError` when the texts, the tokenizers and the models do not fit together.
    """
    texts = request.texts or _own_texts(suite)
    configs = {size: _first(suite, size, "config") for size in suite.sizes}
    check_probes(request.probes, configs)
    asked = request.as_asked(suite, texts, context_of(request, configs))
    return asked, frozen_inputs(
        suite, folder, request, asked, before, configs, lambda: _shared_tokenizer(suite), lambda: _own_counts(suite)
    )


def frozen_inputs(
    suite: Suite,
    folder: RunFolder,
    request: Request,
    asked: dict[str, Any],
    before: dict[str, Any] | None,
    configs: dict[str, PreTrainedConfig],
    tokenizer: Callable[[], PreTrainedTokenizerFast],
    counts: Callable[[], tuple[NDArray[Any] | None, str]] = lambda: (None, ""),
) -> Inputs:
    """The inputs of a run: read if it has any and was asked for the same, else made with that tokenizer and kept.

    Raises `PhasescopeError` when the run was asked for something else, or texts, tokenizer and models do not fit.
    """
    from phasescope.texts import Inputs, freeze, read_documents

    if before is not None:
        refuse_differences(before["asked"], asked, folder.path)
    if before is not None and folder.inputs.is_file():
        inputs = Inputs.load(folder.inputs)
    else:
        known, counts_source = counts()
        inputs = freeze(
            read_documents(asked["texts"]),
            tokenizer(),
            sequences=request.sequences,
            context=asked["context"],
            output_sequences=request.output_sequences,
            positions=request.positions,
            seed=request.seed,
            source=asked["texts"],
            counts=known,
            counts_source=counts_source,
        )
        if before is not None and before["inputs"]["hash"] != inputs.hash:
            raise PhasescopeError(
                f"{folder.inputs} is gone, and {asked['texts']} no longer gives the same inputs. Restore it, or choose "
                "another --out."
            )
        inputs.save(folder.inputs)
    for size, config in configs.items():
        if config.vocab_size < inputs.vocabulary:
            folder.inputs.unlink(missing_ok=before is None)
            raise PhasescopeError(
                f"The tokenizer has {inputs.vocabulary} entries and the {size} models of {suite.source} have only "
                f"{config.vocab_size} rows: they do not belong together. Use the one that the models were trained with."
            )
    return inputs


def check_probes(probes: Probes, configs: dict[str, PreTrainedConfig]) -> None:
    """Raise `PhasescopeError` now for sites and devices that no visit could use."""
    from phasescope.hooks import select_sites
    from phasescope.hooks.architectures import get_architecture
    from phasescope.suites.load import resolve_device

    resolve_device(probes.device)
    for config in configs.values():
        architecture = get_architecture(config)
        for site in select_sites(probes.sites, config.num_hidden_layers) if probes.sites else []:
            architecture.check_component(site.component, config)
    if not probes.sites and not probes.outputs:
        raise PhasescopeError("Neither sites nor outputs are wanted: there is nothing to record. Choose some --sites.")


def _own_texts(suite: Suite) -> str:
    """The text that a suite from the nursery never trained on; else the built-in prose."""
    held_out = Path(suite.source) / "heldout.jsonl"
    return str(held_out) if held_out.is_file() else "docs"


def _own_counts(suite: Suite) -> tuple[NDArray[Any] | None, str]:
    """Token counts of the training text, which a suite from the nursery keeps."""
    import numpy as np

    path = Path(suite.source) / "token_counts.npy"
    return (np.load(path), "training text") if path.is_file() else (None, "")


def context_of(request: Request, configs: dict[str, PreTrainedConfig]) -> int:
    """How many tokens a window has. Raises `PhasescopeError` for more than the models allow."""
    longest = min(int(getattr(config, "max_position_embeddings", 2**31)) for config in configs.values())
    if request.context is None:
        return min(_LONGEST_BY_DEFAULT, longest)
    if request.context > longest:
        raise PhasescopeError(
            f"A context of {request.context} tokens is longer than the {longest} these models allow. "
            f"Choose --context {longest} or less."
        )
    if request.context < 2:
        raise PhasescopeError(f"A context of {request.context} tokens leaves nothing to predict. Choose 2 or more.")
    return request.context


def _shared_tokenizer(suite: Suite) -> PreTrainedTokenizerFast:
    """The one tokenizer of all sizes: inputs that are frozen once must mean the same to every model."""
    tokenizers = {size: _first(suite, size, "tokenizer") for size in suite.sizes}
    first, *others = tokenizers.items()
    for size, tokenizer in others:
        if tokenizer.get_vocab() != first[1].get_vocab():
            raise PhasescopeError(
                f"{first[0]} and {size} of {suite.source} have different tokenizers ({len(first[1])} and "
                f"{len(tokenizer)} entries). Capture them into two runs: choose with --sizes."
            )
    shared: PreTrainedTokenizerFast = first[1]
    return shared


def _first(suite: Suite, size: str, what: str) -> Any:
    """The configuration or tokenizer of a size, from its first checkpoint that has one."""
    from phasescope.suites.load import load_config, load_tokenizer

    problem: BadCheckpointError | None = None
    for checkpoint in reversed(suite.checkpoints):
        if checkpoint.size != size:
            continue
        try:
            return load_config(checkpoint) if what == "config" else load_tokenizer(checkpoint)
        except BadCheckpointError as error:
            problem = problem or error
    raise PhasescopeError(f"No checkpoint of {size} in {suite.source} has a {what} that can be read: {problem}")
