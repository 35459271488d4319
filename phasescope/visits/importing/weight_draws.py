"""Weights drawn around those of a checkpoint, by devinterp, and the losses that they have: kept draw by draw.

What the local learning coefficient is made of (Lau et al. 2023, arXiv 2308.12108).
"""

from __future__ import annotations

import gc
import re
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.console import progress
from phasescope.errors import BadArgumentError, BadCheckpointError, PhasescopeError, require_library
from phasescope.store import RunFolder
from phasescope.store.draws import Traces, keep_draws, read_draws
from phasescope.visits.checkpoint import key_of
from phasescope.visits.importing.evaluating import in_silence

if TYPE_CHECKING:
    from jaxtyping import Float64
    from transformers import PreTrainedModel

    from phasescope.suites import Checkpoint, Suite
    from phasescope.texts import Inputs


@dataclass(frozen=True)
class Sampling:
    """How weights are drawn: stochastic gradient Langevin dynamics, as devinterp's `sample` takes it.

    lr: the size of a step, ε. n_beta: the inverse temperature, nβ. localization: the pull back to the checkpoint, γ.
    """

    chains: int = 4
    draws: int = 48
    batch_size: int = 8
    lr: float = 1e-3
    n_beta: float = 30.0
    localization: float = 300.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("chains", "draws", "batch_size"):
            if getattr(self, name) < (least := 2 if name == "draws" else 1):
                raise BadArgumentError(
                    f"--{name.replace('_', '-')} must be at least {least}, not {getattr(self, name)}."
                )
        for name in ("lr", "n_beta", "localization"):
            value = getattr(self, name)
            if not (value > 0 or (value == 0 and name == "localization")) or value == float("inf"):
                raise BadArgumentError(f"--{name.replace('_', '-')} must be a number above 0, not {value:g}.")


@dataclass
class Drawn:
    """What came of it: checkpoints around which weights were drawn now, how many had all, and those that are bad."""

    drawn: list[str] = field(default_factory=list)
    already: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        """As plain values."""
        failed = [{"checkpoint": label, "reason": reason} for label, reason in self.failed]
        return {"drawn": self.drawn, "already": self.already, "failed": failed}


def draw_into(folder: RunFolder, suite: Suite, at: Sequence[str], asked: Sampling, device: str = "auto") -> Drawn:
    """Draw weights around those checkpoints of `suite` that the run has, and keep the losses of each draw.

    at: which weights are free: `full`, `layers`, `heads`, or what devinterp calls `l0`, `l0h1`, `l0 attn`, `l0 mlp`.

    Kept after every checkpoint; what is there is not drawn again. Raises `PhasescopeError` without devinterp, for
    masked models, for weights that devinterp does not find in these models, where the run has draws of other settings,
    and where the suite and the run have no checkpoint in common. A checkpoint that cannot be loaded is passed over.
    """
    from phasescope.store.index import write_index
    from phasescope.texts import Inputs

    require_library("devinterp", "learning", "The learning coefficient")
    if not at:
        raise BadArgumentError("No weights are named: say --at full, or --at full,layers.")
    present = set(folder.shards())
    chosen = [checkpoint for checkpoint in suite if key_of(checkpoint) in present]
    if not chosen:
        raise PhasescopeError(f"No checkpoint of {suite.source} that was chosen is in the run {folder.path}.")
    inputs = Inputs.load(folder.inputs)
    if inputs.framing is not None:
        raise PhasescopeError(
            f"The models of {folder.path} are masked ones: devinterp draws weights of models that say the next token."
        )
    if inputs.sequences < asked.batch_size:
        raise PhasescopeError(
            f"A batch of {asked.batch_size} is more than the {inputs.sequences} sequences of this run: choose a "
            "smaller --batch-size."
        )
    done = Drawn()
    with folder.writing(), progress(len(chosen), "drawing weights", "checkpoints") as tracker:
        try:
            for checkpoint in chosen:
                tracker.doing(checkpoint.label)
                _checkpoint(checkpoint, at, asked, device, inputs, folder, done)
                tracker.advance(failed=bool(done.failed) and done.failed[-1][0] == checkpoint.label)
        finally:
            write_index(folder)
    return done


def _checkpoint(
    checkpoint: Checkpoint,
    at: Sequence[str],
    asked: Sampling,
    device: str,
    inputs: Inputs,
    folder: RunFolder,
    done: Drawn,
) -> None:
    from phasescope.suites.device import resolve_device
    from phasescope.suites.load import load_config, load_model

    key = key_of(checkpoint)
    there: dict[str, Traces] = {}
    if folder.draws(key).is_file():
        before, there = read_draws(folder, key)
        if before != asdict(asked):
            raise PhasescopeError(
                f"{folder.draws(key)} was drawn in another way ({_difference(before, asked)}), which would be another "
                f"curve. Ask for the same, or remove {folder.path / 'draws'}."
            )
    try:
        wanted = [name for name in named(at, load_config(checkpoint)) if name not in there]
        if not wanted:
            done.already += 1
            return
        # In half precision the steps of the chains would be lost.
        model = load_model(checkpoint, device=resolve_device(device), dtype="float32")
        for name in wanted:
            there[name] = draw(model, inputs.tokens, name, asked)
    except BadCheckpointError as error:
        done.failed.append((checkpoint.label, str(error)))
        return
    finally:
        gc.collect()  # Models hold reference cycles.
    about = {"inputs": inputs.hash, "source": f"devinterp {_version()}"}
    keep_draws(folder, key, asdict(asked), there, about)
    done.drawn.append(checkpoint.label)


def named(at: Sequence[str], config: Any) -> list[str]:
    """What is to be free, one by one: `layers` and `heads` stand for each of them.

    >>> from transformers import GPTNeoXConfig
    >>> named(["full", "layers"], GPTNeoXConfig(num_hidden_layers=2))
    ['full', 'l0', 'l1']
    """
    layers, heads = range(config.num_hidden_layers), range(getattr(config, "num_attention_heads", 0))
    each = {
        "layers": [f"l{layer}" for layer in layers],
        "heads": [f"l{layer}h{head}" for layer in layers for head in heads],
    }
    return list(dict.fromkeys(name for one in at for name in each.get(one.strip(), [one.strip().lower()])))


def draw(model: PreTrainedModel, tokens: Any, at: str, asked: Sampling) -> Traces:
    """Chains of weights around those of a model, by devinterp's `sample`, each with batches of its own.

    tokens: `[sequences, context]`, what the loss is of. at: which weights are free, as devinterp calls them.

    The model is as it was afterwards. Raises `PhasescopeError` for weights that devinterp does not find.
    """
    with in_silence():
        from datasets import Dataset
        from devinterp.slt.sampling import sample
        from devinterp.slt.weight_restrictions import create_param_masks

    try:
        masks = create_param_masks(model, at)
    except ValueError as error:
        # Of a layer or head it depends on the model whether it is there.
        kind = PhasescopeError if re.match(r"l\d", at) else BadArgumentError
        raise kind(f"devinterp finds no weights {at!r} in {model.config.model_type}: {error}") from error
    if not masks:
        raise PhasescopeError(f"devinterp finds no weights {at!r} in {model.config.model_type}: leave it out of --at.")
    texts = Dataset.from_dict({"input_ids": np.asarray(tokens, dtype=np.int64)}).with_format("torch")
    # devinterp calls it, and dropout is no part of the loss whose basin is asked for.
    model.train = lambda mode=True: model
    try:
        with tempfile.TemporaryDirectory() as folder, in_silence(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a chain failed is seen in its losses
            found = sample(
                model,
                texts,
                {},
                param_masks=masks,
                lr=asked.lr,
                n_beta=asked.n_beta,
                localization=asked.localization,
                num_chains=asked.chains,
                num_draws=asked.draws,
                batch_size=asked.batch_size,
                num_init_loss_batches=len(texts) // asked.batch_size,
                init_seed=asked.seed,
                match_sampling_input_ids_across_chains=False,
                device=str(model.device),
                output_path=Path(folder) / "draws.zarr",
            ).dataset
            losses = found["sampling_loss_micro"].values.astype(np.float64).mean((2, 3))
            starts = _own_losses(model, tokens, found["sampling_input_ids_micro"].values, asked.batch_size)
            starts = np.where(np.isfinite(losses), starts, np.nan)
            return Traces(float(found["init_loss"].values.astype(np.float64).mean()), starts, losses)
    finally:
        del model.train


def _own_losses(model: PreTrainedModel, tokens: Any, read: Any, batch_size: int) -> Float64[np.ndarray, "chains draws"]:
    """The model's own loss on each batch that was read.

    read: `[chains, draws, batch, context]`, sequences of `tokens`; of a chain that diverged the last are none.
    """
    import torch
    from devinterp.slt.lm_loss import compute_per_token_loss

    own: dict[bytes, float] = {}
    every = np.asarray(tokens, dtype=np.int64)
    with torch.no_grad():
        for first in range(0, len(every), batch_size):
            part = every[first : first + batch_size]
            losses = compute_per_token_loss(model, torch.from_numpy(part).to(model.device)).double().mean(1).tolist()
            own |= {row.tobytes(): loss for row, loss in zip(part, losses, strict=True)}
    rows = np.ascontiguousarray(read.reshape(-1, read.shape[-1]), dtype=np.int64)
    found = np.array([own.get(row.tobytes(), np.nan) for row in rows])
    starts: Float64[np.ndarray, "chains draws"] = found.reshape(read.shape[:-1]).mean(-1)
    return starts


def _difference(before: Mapping[str, Any], asked: Sampling) -> str:
    now = asdict(asked)
    return ", ".join(
        f"{name} {before.get(name)} instead of {now[name]}" for name in now if before.get(name) != now[name]
    )


def _version() -> str:
    from importlib.metadata import version

    return version("devinterp")
