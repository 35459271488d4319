"""One pass over the frozen inputs: every batch is read once, and written before the next is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.probes.activations import ActivationProbe
from phasescope.probes.outputs import OutputProbe, predicted_by_masking, torch_tokens
from phasescope.probes.own import OwnProbes

if TYPE_CHECKING:
    from phasescope.hooks import TappedModel
    from phasescope.probes.plan import Probes
    from phasescope.store import Writer
    from phasescope.texts import Inputs


@dataclass(frozen=True)
class Batch:
    """Sequences `first` to `last` (excluded) of the inputs; `outputs`: whether they feed the outputs."""

    first: int
    last: int
    outputs: bool


def batches(sequences: int, output_sequences: int, size: int) -> Iterator[Batch]:
    """Cut the sequences into batches; none mixes those that feed the outputs with those that do not.

    >>> [(batch.first, batch.last, batch.outputs) for batch in batches(5, 3, 2)]
    [(0, 2, True), (2, 3, True), (3, 5, False)]
    """
    for begin, end, outputs in [(0, output_sequences, True), (output_sequences, sequences, False)]:
        for first in range(begin, end, size):
            yield Batch(first, min(first + size, end), outputs)


def record_forward(model: TappedModel, inputs: Inputs, probes: Probes, writer: Writer, *, waits: bool = False) -> None:
    """Read the sites, surprisal and entropy of one checkpoint and write them into its shard; run users' own probes.

    waits: whether what it says is computed later, with what the other seeds of its cohort say.

    Memory does not depend on the number of sequences. Raises `BadCheckpointError` where activations are not finite.
    """
    import torch

    wanted = probes.sites_among(model.architecture.components)
    sites = model.architecture.select(wanted, model.n_layers)
    activations = ActivationProbe(model, inputs, probes.storage)
    outputs = OutputProbe(model, inputs, probes, waits=waits) if probes.outputs else None
    own = OwnProbes(probes.probe, inputs.sequences)
    feeding = inputs.output_sequences if outputs else 0
    size, masked = probes.on(model.device.type), inputs.framing is not None
    for batch in batches(inputs.sequences, feeding, size):
        predicts = batch.outputs and not masked
        if sites or predicts or probes.probe:
            # In a framed sequence token i of the text is at i + 1.
            positions = torch.from_numpy(inputs.positions[batch.first : batch.last] + int(masked))
            tokens = torch_tokens(inputs, batch.first, batch.last)
            reading = model.read(tokens, positions, sites, final_hidden=predicts, split=True)
            activations.write(writer, reading, batch.first)
            own.write(model, tokens.to(model.device), reading, writer, batch.first)
            if outputs and reading.final_hidden is not None:
                outputs.write(writer, reading.final_hidden[:, :-1], batch.first)
        if outputs and batch.outputs and masked:
            for sequence in range(batch.first, batch.last):
                outputs.write(writer, predicted_by_masking(model, inputs, sequence, size), sequence)
