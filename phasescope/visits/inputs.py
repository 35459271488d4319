"""The frozen inputs of a run: made at its first capture, read back ever after."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import counted
from phasescope.errors import BadCheckpointError, PhasescopeError, PhasescopeWarning
from phasescope.suites.positions import most_positions
from phasescope.visits.remote import require_remote
from phasescope.visits.request import Request, refuse_differences

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

    from phasescope.hooks import Architecture
    from phasescope.probes import Probes
    from phasescope.store import RunFolder
    from phasescope.suites import Suite
    from phasescope.texts import Framing, Inputs

_LONGEST_BY_DEFAULT = 256


def prepare_inputs(
    suite: Suite, folder: RunFolder, request: Request, before: dict[str, Any] | None
) -> tuple[dict[str, Any], Inputs]:
    """What is asked for as plain values, and the inputs: from the run if it has any, else frozen now.

    Raises `PhasescopeError` when the texts, the tokenizers and the models do not fit together.
    """
    if request.probes.remote:
        require_remote(suite)
    trust = request.probes.trust_remote_code
    readers = Readers(
        configs=read_configs(suite, trust),
        tokenizer=lambda: shared_tokenizer(suite, trust),
        counts=lambda: _own_counts(suite),
    )
    return inputs_for(readers, suite, request.texts or _own_texts(suite), folder, request, before)


@dataclass(frozen=True)
class Readers:
    """The models that will read the inputs: by size their configurations, their tokenizer, what they learnt from.

    asked: what else of them decides the contents of the run.
    """

    configs: dict[str, PreTrainedConfig]
    tokenizer: Callable[[], PreTrainedTokenizerFast]
    counts: Callable[[], tuple[NDArray[Any] | None, str]] = lambda: (None, "")
    asked: dict[str, str] = field(default_factory=dict)


def inputs_for(
    readers: Readers, suite: Suite, texts: str, folder: RunFolder, request: Request, before: dict[str, Any] | None
) -> tuple[dict[str, Any], Inputs]:
    """What is asked for as plain values, and the inputs that these models read of `texts`: see `prepare_inputs`."""
    from phasescope.hooks import get_architecture
    from phasescope.texts import Inputs

    configs = readers.configs
    architectures = {size: get_architecture(config, request.probes.modules) for size, config in configs.items()}
    masked = _masked(architectures, suite)
    sites = _checked_sites(request.probes, architectures, configs)
    _check_gradients(request.probes, architectures, suite)
    context = _context(request, configs, beside=2 if masked else 0)
    asked = {**request.as_asked(suite, texts, context, sites), **readers.asked}
    bos = request.bos
    if before is not None:
        there = before["asked"].get("bos")
        asked["bos"], bos = request.bos_asked(there), "always" if there else "never"
        refuse_differences(before["asked"], asked, folder.path)
    if before is not None and folder.inputs.is_file():
        inputs = Inputs.load(folder.inputs)
    else:
        inputs = _frozen(readers, texts, replace(request, bos=bos), context, suite, masked)
        inputs = _within_rows(inputs, configs, suite)
        asked["bos"] = inputs.begin.text if inputs.begin else None
        if before is not None and before["inputs"]["hash"] != inputs.hash:
            raise PhasescopeError(
                f"{folder.inputs} is gone, and {texts} no longer gives the same inputs. Restore it, or choose another "
                "--out."
            )
        inputs.save(folder.inputs)
    if request.probes.next_byte:
        _require_bytes(inputs, readers, folder, new=before is None)
    for size, config in configs.items():
        if config.vocab_size < inputs.vocabulary:
            raise PhasescopeError(
                f"The inputs of this run may hold {inputs.vocabulary} entries of the tokenizer, and the {size} models "
                f"of {suite.source} have only {config.vocab_size} rows: they do not belong together. Capture them into "
                "a run of their own."
            )
    return asked, inputs


def _within_rows(inputs: Inputs, configs: dict[str, PreTrainedConfig], suite: Suite) -> Inputs:
    """The inputs without entries of the tokenizer that no model has a row for: padding that was added later, say.

    Raises `PhasescopeError` where the inputs hold one of them.
    """
    size, rows = min(((size, int(config.vocab_size)) for size, config in configs.items()), key=lambda known: known[1])
    beyond = inputs.vocabulary - rows
    if beyond <= 0:
        return inputs
    highest = max([int(inputs.tokens.max()), *(astuple(inputs.framing) if inputs.framing else ())])
    if highest >= rows:
        raise PhasescopeError(
            f"The tokenizer has {inputs.vocabulary} entries and the {size} models of {suite.source} have only {rows} "
            f"rows, but the inputs hold entry {highest}: they do not belong together. Use the tokenizer that the "
            "models were trained with."
        )
    warnings.warn(
        f"The tokenizer has {beyond} {'entry' if beyond == 1 else 'entries'} more than the {rows} rows of the {size} "
        "models; the inputs hold none of them, and they are left out.",
        PhasescopeWarning,
        stacklevel=2,
    )
    places = inputs.bytes and replace(inputs.bytes, first=inputs.bytes.first[:rows])
    return replace(inputs, vocabulary=rows, counts=inputs.counts[:rows], bytes=places)


def _frozen(readers: Readers, texts: str, request: Request, context: int, suite: Suite, masked: bool) -> Inputs:
    """The inputs, made now; masked: whether the suite is of masked language models."""
    from phasescope.suites.presets import PRESETS
    from phasescope.texts import freeze, read_documents

    counts, counts_source = readers.counts()
    tokenizer = readers.tokenizer()
    return freeze(
        read_documents(texts),
        tokenizer,
        sequences=request.sequences,
        context=context,
        output_sequences=request.outputs_of,
        positions=request.positions,
        seed=request.seed,
        source=texts,
        counts=counts,
        counts_source=counts_source,
        framing=framing_of(tokenizer, suite) if masked else None,
        bos=request.bos,
        trained_with_bos=suite.source in PRESETS and PRESETS[suite.source].begins,
    )


def _checked_sites(probes: Probes, architectures: dict[str, Architecture], configs: dict[str, Any]) -> list[str]:
    """The sites wanted; raises `PhasescopeError` now for sites and devices that no visit could use."""
    from phasescope.hooks.nnsight_remote import check_remote
    from phasescope.suites.device import resolve_device

    resolve_device(probes.device)
    all_wanted: dict[str, None] = {}
    for size, architecture in architectures.items():
        if probes.remote:
            check_remote(architecture)
        wanted = probes.sites_among(architecture.components)
        all_wanted |= dict.fromkeys(wanted)
        architecture.select(wanted, configs[size].num_hidden_layers)
    if not all_wanted and not probes.outputs:
        raise PhasescopeError("Neither sites nor outputs are wanted: there is nothing to record. Choose some --sites.")
    return sorted(all_wanted)


def _check_gradients(probes: Probes, architectures: dict[str, Architecture], suite: Suite) -> None:
    """Raise `PhasescopeError` now for models that have no such loss, and for batches that nobody knows."""
    from phasescope.probes.backward import require_causal
    from phasescope.suites.batches import training_batches

    for architecture in architectures.values() if probes.gradients else ():
        require_causal(architecture)
    if probes.gradients == "training":
        training_batches(suite.checkpoints[0], around=0)


def _require_bytes(inputs: Inputs, readers: Readers, folder: RunFolder, *, new: bool) -> None:
    """Raise `PhasescopeError` where nobody can say what the next byte is."""
    from phasescope.texts import Encoder, token_bytes

    try:
        if inputs.framing is not None:
            raise PhasescopeError(
                "A masked language model reads what comes after a token too, so it has no next byte: leave --next-byte "
                "out."
            )
        if inputs.bytes is None:
            token_bytes(Encoder(readers.tokenizer()).backend)
    except PhasescopeError:
        if new:
            folder.inputs.unlink()
        raise


def _own_texts(suite: Suite) -> str:
    """The text that a suite from the nursery never trained on; else the built-in prose."""
    held_out = Path(suite.source) / "heldout.jsonl"
    return str(held_out) if held_out.is_file() else "docs"


def _own_counts(suite: Suite) -> tuple[NDArray[Any] | None, str]:
    """Token counts of the training text, which a suite from the nursery keeps."""
    import numpy as np

    path = Path(suite.source) / "token_counts.npy"
    return (np.load(path), "training text") if path.is_file() else (None, "")


def _masked(architectures: dict[str, Architecture], suite: Suite) -> bool:
    """Whether the models are masked language models."""
    kinds = {architecture.masked for architecture in architectures.values()}
    if len(kinds) > 1:
        raise PhasescopeError(
            f"{suite.source} has masked language models beside others: capture them into two runs, with --sizes."
        )
    return kinds.pop()


def framing_of(tokenizer: PreTrainedTokenizerFast, suite: Suite) -> Framing:
    """What masked language models read beside the text."""
    from phasescope.texts import Framing

    found = {
        "cls_token": tokenizer.cls_token_id,
        "sep_token": tokenizer.sep_token_id,
        "mask_token": tokenizer.mask_token_id,
    }
    if absent := [name for name, token in found.items() if token is None]:
        raise PhasescopeError(
            f"The tokenizer of {suite.source} has no {', '.join(absent)}, which masked language models read: add a "
            "tokenizer_config.json that names them."
        )
    return Framing(found["cls_token"], found["sep_token"], found["mask_token"])


def _context(request: Request, configs: dict[str, PreTrainedConfig], beside: int) -> int:
    """Tokens in a sequence, so that `beside` more can be read around it."""
    longest = min(map(most_positions, configs.values())) - beside
    if request.context is None:
        return min(_LONGEST_BY_DEFAULT, longest)
    if request.context > longest:
        raise PhasescopeError(
            f"A context of {counted(request.context, 'token')} is longer than the {longest} these models allow. "
            f"Choose --context {longest} or less."
        )
    if request.context < 2:
        raise PhasescopeError(
            f"A context of {counted(request.context, 'token')} leaves nothing to predict. Choose 2 or more."
        )
    return request.context


def read_configs(suite: Suite, trust_remote_code: bool) -> dict[str, PreTrainedConfig]:
    """The configuration of each size, from its last checkpoint that has one."""
    return {size: first_readable(suite, size, "config", trust_remote_code) for size in suite.sizes}


def shared_tokenizer(suite: Suite, trust_remote_code: bool) -> PreTrainedTokenizerFast:
    """The one tokenizer of all sizes: inputs that are frozen once must mean the same to every model."""
    tokenizers = {size: first_readable(suite, size, "tokenizer", trust_remote_code) for size in suite.sizes}
    first, *others = tokenizers.items()
    for size, tokenizer in others:
        if tokenizer.get_vocab() != first[1].get_vocab():
            raise PhasescopeError(
                f"{first[0]} and {size} of {suite.source} have different tokenizers ({len(first[1])} and "
                f"{len(tokenizer)} entries). Capture them into two runs: choose with --sizes."
            )
    shared: PreTrainedTokenizerFast = first[1]
    return shared


def first_readable(suite: Suite, size: str, what: str, trust_remote_code: bool) -> Any:
    """The configuration or tokenizer of a size, from its first checkpoint that has one."""
    from phasescope.suites.load import load_config
    from phasescope.suites.tokenizer import load_tokenizer

    problem: BadCheckpointError | None = None
    for checkpoint in reversed(suite.checkpoints):
        if checkpoint.size != size:
            continue
        try:
            load = load_config if what == "config" else load_tokenizer
            return load(checkpoint, trust_remote_code=trust_remote_code)
        except BadCheckpointError as error:
            problem = problem or error
    raise PhasescopeError(f"No checkpoint of {size} in {suite.source} has a {what} that can be read: {problem}")
