"""A run that is written while a model trains: begun, recorded step by step, finished."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey, write_index
from phasescope.suites import Checkpoint, Suite
from phasescope.visits.checkpoint import Summary, record
from phasescope.visits.cohort import is_current, visit_cohort
from phasescope.visits.inputs import Readers, inputs_for
from phasescope.visits.manifest import describe, manifest_before, note_outcomes
from phasescope.visits.request import Request

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

    from phasescope.texts import Inputs

SOURCE = "training"
# Seconds for which one training waits while another writes into the same run.
PATIENCE = 120.0


@dataclass(frozen=True)
class LiveRun:
    """One training's part of a run: the shards of one size and seed.

    Attributes:
        asked: what decides the contents of the run, the tokenizer's vocabulary included.
        earlier: what the manifest says of this training from before it was resumed.
    """

    folder: RunFolder
    request: Request
    family: str
    size: str
    seed: int
    asked: dict[str, Any]
    inputs: Inputs
    earlier: dict[str, Any]

    @classmethod
    def begin(
        cls,
        folder: RunFolder,
        request: Request,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        *,
        family: str | None,
        size: str | None,
        seed: int,
    ) -> LiveRun:
        """Freeze the inputs and write the manifest, or read both where a training has begun before.

        Raises `PhasescopeError` when run, texts, tokenizer and model do not fit together.
        """
        size = size or size_of(model)
        device = model.get_input_embeddings().weight.device
        place = str(device) if device.type == "cuda" else device.type
        request = replace(request, probes=replace(request.probes, device=place))
        suite = Suite(family or model.config.model_type, SOURCE, ())
        readers = Readers({size: model.config}, lambda: tokenizer, asked={"tokenizer": _digest(tokenizer)})
        with folder.writing(PATIENCE, new=True):
            before = manifest_before(folder)
            asked, inputs = inputs_for(readers, suite, str(request.texts), folder, request, before)
            manifest = describe(suite, request, asked, inputs, before)
            folder.write_manifest(manifest)
        earlier = [t for t in manifest.get("trainings", []) if (t["size"], t["seed"]) == (size, seed)]
        return cls(folder, request, suite.family, size, seed, asked, inputs, earlier[0] if earlier else {})

    def key(self, step: int) -> ShardKey:
        return ShardKey(self.size, self.seed, step)

    def has(self, step: int) -> bool:
        return self.folder.shard(self.key(step)).is_file()

    def record(self, model: PreTrainedModel, step: int) -> None:
        """Write the shard of a step, as a visit to a checkpoint that was saved now would; and note it in run.json.

        Raises `PhasescopeError` where the model is not finite, or memory or disk are not enough.
        """
        from phasescope.hooks import get_engine
        from phasescope.suites.reading import quiet_transformers
        from phasescope.suites.soundness import require_finite

        probes = self.request.probes
        checkpoint = self._checkpoint(self.seed, step)
        with self.folder.writing(PATIENCE), quiet_transformers():
            require_finite(checkpoint, model.state_dict().items())
            tapped = get_engine(probes.engine).open(model, probes.modules)
            self._note(
                record(
                    tapped,
                    checkpoint,
                    self.inputs,
                    probes,
                    self.folder,
                    keep_unembedding=probes.comparing,
                )
            )

    def record_failure(self, step: int, reason: str) -> None:
        """Note in run.json why a step has no shard."""
        with self.folder.writing(PATIENCE):
            self._note(Summary(self.key(step), reason=reason))

    def finish(self, spent: dict[str, Any]) -> None:
        """Compare the seeds if that is asked, note the time `spent`, write the index."""
        with self.folder.writing(PATIENCE):
            if self.request.probes.comparing:
                self._compare()
            manifest = self.folder.read_manifest()
            others = [t for t in manifest.get("trainings", []) if (t["size"], t["seed"]) != (self.size, self.seed)]
            manifest["trainings"] = [*others, {"size": self.size, "seed": self.seed, **spent}]
            self.folder.write_manifest(manifest)
            write_index(self.folder)

    def _checkpoint(self, seed: int, step: int) -> Checkpoint:
        return Checkpoint(self.family, self.size, seed, step, location=SOURCE)

    def _note(self, summary: Summary) -> None:
        """Keep in run.json what came of a step, beside what other trainings have written there meanwhile."""
        suite = Suite(self.family, SOURCE, (self._checkpoint(self.seed, summary.key.step),))
        manifest = describe(suite, self.request, self.asked, self.inputs, self.folder.read_manifest())
        note_outcomes(manifest, [summary], summary.seconds)
        self.folder.write_manifest(manifest)

    def _compare(self) -> None:
        """The cohorts of this size: the KL of the seeds that have a shard, where it is not there or of other shards."""
        keys = sorted((key for key in self.folder.shards() if key.size == self.size), key=lambda key: key.step)
        for step, of_step in groupby(keys, key=lambda key: key.step):
            cohort = [self._checkpoint(key.seed, step) for key in of_step]
            if len(cohort) > 1 and not is_current(cohort, self.folder):
                visit_cohort(cohort, self.inputs, self.request.probes, self.folder)


def size_of(model: PreTrainedModel) -> str:
    """A name for a size of model: its number of parameters."""
    return name_of_number(sum(parameter.numel() for parameter in model.parameters()))


def name_of_number(number: int) -> str:
    """A number in thousands, millions or billions, to three digits at most.

    >>> [name_of_number(number) for number in (156_544, 1_317_632, 6_900_000_000)]
    ['157k', '1.3m', '6.9b']
    """
    for unit, scale in (("b", 10**9), ("m", 10**6), ("k", 10**3)):
        if number >= scale:
            amount = number / scale
            return f"{amount:.0f}{unit}" if amount >= 10 else f"{amount:.1f}{unit}"
    return str(number)


def _digest(tokenizer: PreTrainedTokenizerFast) -> str:
    """Of the vocabulary: inputs that are frozen once must mean the same to every model."""
    vocabulary = getattr(tokenizer, "get_vocab", None)
    if vocabulary is None:
        raise PhasescopeError(f"A {type(tokenizer).__name__} is no tokenizer: it has no vocabulary.")
    entries = json.dumps(sorted(vocabulary().items()), ensure_ascii=True)
    return hashlib.blake2b(entries.encode(), digest_size=16).hexdigest()
