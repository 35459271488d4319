"""One visit to one checkpoint: open it, record it. The unit of work of a capture."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.store import RunFolder, Scalar, ShardKey, new_container, waiting_container
from phasescope.visits.behaviour.scoring import record_scores, unscored
from phasescope.visits.remote import open_remote
from phasescope.visits.unembedding import write_unembedding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phasescope.hooks import TappedModel
    from phasescope.probes import Probes
    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs, Items


# Bytes of models at which what is left of them is collected, which takes as long as to read the smallest of them.
_COLLECTED_AT = 1 << 26


@dataclass(frozen=True)
class Summary:
    """What came of one visit. `reason` says why there is no shard, or no scores; it is empty when all is there."""

    key: ShardKey
    reason: str = ""
    seconds_loading: float = 0.0
    seconds_forward: float = 0.0
    seconds_weights: float = 0.0
    seconds_scoring: float = 0.0
    seconds: float = 0.0
    tokens: int = 0
    bytes: int = 0


def key_of(checkpoint: Checkpoint) -> ShardKey:
    return ShardKey(checkpoint.size, checkpoint.seed, checkpoint.step)


def visit(
    checkpoint: Checkpoint,
    inputs: Inputs,
    probes: Probes,
    run: RunFolder,
    behaviour: Sequence[Items] = (),
    *,
    waits: bool = False,
) -> Summary:
    """Load one checkpoint, record what it lacks: the shard that `probes` ask for, scores of items.

    waits: leave what the model says to the visit of its cohort, which completes the shard.

    Picklable in and out, and shares nothing with other visits but the file system. A checkpoint that cannot be used
    gives a summary with the reason; anything else that goes wrong (a full disk, no memory) raises.
    """
    begun = time.perf_counter()
    try:
        return _open_and_record(checkpoint, inputs, probes, run, behaviour, waits)
    except BadCheckpointError as error:
        there = _is_there(key_of(checkpoint), run, waits)
        reason = f"It is captured, but could not be asked for behaviour: {error}" if there else str(error)
        return Summary(key_of(checkpoint), reason=reason, seconds=time.perf_counter() - begun)
    finally:
        _forget_models()


class _Uncollected:
    """Bytes of the models that were opened since the last collection."""

    bytes = 0


def _forget_models() -> None:
    """Models hold reference cycles: without this, two of them are in memory at times. Small ones wait for more."""
    if _Uncollected.bytes > _COLLECTED_AT:
        gc.collect()
        _Uncollected.bytes = 0


def _open_and_record(
    checkpoint: Checkpoint, inputs: Inputs, probes: Probes, run: RunFolder, behaviour: Sequence[Items], waits: bool
) -> Summary:
    begun, key = time.perf_counter(), key_of(checkpoint)
    lacking, there = unscored(key, behaviour, run), _is_there(key, run, waits)
    if there and not lacking:
        return Summary(key)
    model = open_checkpoint(checkpoint, inputs.vocabulary, probes)
    _Uncollected.bytes += sum(parameter.nbytes for parameter in model.model.parameters())
    loading, summary = time.perf_counter() - begun, Summary(key)
    if not there:
        summary = record(model, checkpoint, inputs, probes, run, waits=waits)
    before_scores = time.perf_counter()
    try:
        record_scores(model, key, lacking, inputs, probes, run)
    except (MemoryError, RuntimeError) as error:
        raise _explained(error, checkpoint, probes) from error
    now = time.perf_counter()
    return replace(summary, seconds_loading=loading, seconds_scoring=now - before_scores, seconds=now - begun)


def _is_there(key: ShardKey, run: RunFolder, waits: bool) -> bool:
    return run.shard(key).is_file() or (waits and run.waiting(key).is_file())


def open_checkpoint(checkpoint: Checkpoint, vocabulary: int, probes: Probes) -> TappedModel:
    """Load one checkpoint and put taps on it. Raises `BadCheckpointError` if it cannot be used.

    vocabulary: entries of the tokenizer that makes what it will read.
    """
    from phasescope.hooks import get_engine
    from phasescope.suites.device import resolve_device
    from phasescope.suites.load import load_model

    if probes.remote:
        return open_remote(checkpoint, probes)
    model = load_model(
        checkpoint,
        device=resolve_device(probes.device),
        dtype=probes.dtype,
        trust_remote_code=probes.trust_remote_code,
    )
    rows = model.config.vocab_size
    if vocabulary > rows:
        raise BadCheckpointError(
            f"{checkpoint.label} has {rows} rows of vocabulary, fewer than the {vocabulary} entries of the "
            "tokenizer that made the inputs: the tokenizer does not fit the model."
        )
    return get_engine(probes.engine).open(model, probes.modules)


def record(
    model: TappedModel,
    checkpoint: Checkpoint,
    inputs: Inputs,
    probes: Probes,
    run: RunFolder,
    *,
    keep_unembedding: bool = False,
    waits: bool = False,
) -> Summary:
    """Record what `probes` asks for of a model that is open, and write the shard of the checkpoint that it is.

    keep_unembedding: keep it too, for comparing seeds whose checkpoints are nowhere.
    waits: leave what the model says to the visit of its cohort, which completes the shard.

    Raises `BadCheckpointError` where the model is not finite, `PhasescopeError` where memory or disk are not enough.
    """
    from phasescope.hooks.nnsight_remote import RemoteModel
    from phasescope.hooks.output import unembedding_of
    from phasescope.probes import record_forward, record_gradients, record_remote, record_weights

    key, marks = key_of(checkpoint), [time.perf_counter()]
    attrs = _attrs(checkpoint, model, inputs, probes)
    path = run.waiting(key) if waits else run.shard(key)
    with (waiting_container if waits else new_container)(path, "shard", attrs) as writer:
        try:
            if isinstance(model, RemoteModel):
                record_remote(model, inputs, probes, writer)
                marks.append(time.perf_counter())
            else:
                record_forward(model, inputs, probes, writer, waits=waits)
                marks.append(time.perf_counter())
                record_weights(model, inputs.vocabulary, probes.keep_weights, writer)
                record_gradients(model, checkpoint, inputs, probes, writer)
            if keep_unembedding:
                write_unembedding(unembedding_of(model.model), inputs.vocabulary, writer)
        except (MemoryError, RuntimeError) as error:
            raise _explained(error, checkpoint, probes) from error
    marks.append(time.perf_counter())
    return Summary(
        key,
        seconds_forward=marks[1] - marks[0],
        seconds_weights=marks[2] - marks[1],
        seconds=marks[2] - marks[0],
        tokens=inputs.tokens.size,
        bytes=path.stat().st_size,
    )


def _attrs(checkpoint: Checkpoint, model: TappedModel, inputs: Inputs, probes: Probes) -> dict[str, Scalar]:
    from phasescope.suites.load import commit_of

    return {
        "family": checkpoint.family,
        "size": checkpoint.size,
        "seed": checkpoint.seed,
        "step": checkpoint.step,
        "revision": checkpoint.revision or "",
        "commit": commit_of(checkpoint) or "",
        "engine": probes.reader,
        "dtype": str(model.model.dtype).removeprefix("torch."),
        "layers": model.n_layers,
        "heads": model.heads.count if model.heads else 0,
        "d_model": model.d_model,
        "inputs": inputs.hash,
    }


def _explained(error: MemoryError | RuntimeError, checkpoint: Checkpoint, probes: Probes) -> Exception:
    text = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
        return PhasescopeError(
            f"Not enough memory to read {checkpoint.label}: {error}. Choose a smaller --batch, fewer --workers or "
            "--sites, or another --device, and run the same command again: nothing already captured is lost."
        )
    return error
