"""One pass over the frozen inputs of a model on a server: sites, surprisal and entropy come back, no weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.probes.activations import ActivationProbe
from phasescope.probes.forward import batches
from phasescope.probes.outputs import masked_one_at_a_time, torch_tokens, write_outputs

if TYPE_CHECKING:
    from phasescope.hooks.nnsight_remote import RemoteModel
    from phasescope.probes.plan import Probes
    from phasescope.store import Writer
    from phasescope.texts import Inputs


def record_remote(model: RemoteModel, inputs: Inputs, probes: Probes, writer: Writer) -> None:
    """As `record_forward`: the same batches, one job on the server for each, into the same places of the shard.

    No final hidden states are kept: without the unembedding, which stays on the server, they compare no seeds.
    """
    import torch

    from phasescope.hooks.nnsight_remote import Asked

    wanted = probes.sites_among(model.architecture.components)
    sites = model.architecture.select(wanted, model.n_layers)
    activations = ActivationProbe(model, inputs, probes.storage)
    feeding = inputs.output_sequences if probes.outputs else 0
    size, masked = probes.on("cuda"), inputs.framing is not None
    for batch in batches(inputs.sequences, feeding, size):
        tokens = torch_tokens(inputs, batch.first, batch.last)
        predicts = batch.outputs and not masked
        if sites or predicts:
            positions = torch.from_numpy(inputs.positions[batch.first : batch.last] + int(masked))
            asked = None
            if predicts:
                rows = torch.arange(tokens.numel()).view(tokens.shape)[:, :-1]
                asked = Asked(rows.flatten(), tokens[:, 1:].flatten(), inputs.vocabulary)
            reading, predicted = model.read_predicting(tokens, positions, sites, asked)
            activations.write(writer, reading, batch.first)
            if predicted is not None:
                shape = len(tokens), inputs.context - 1
                made = {"surprisal": predicted.surprisal.view(shape), "entropy": predicted.entropy.view(shape)}
                write_outputs(writer, inputs, made, batch.first)
        if batch.outputs and masked:
            for sequence in range(batch.first, batch.last):
                _write_masked(model, inputs, sequence, size, writer)


def _write_masked(model: RemoteModel, inputs: Inputs, sequence: int, size: int, writer: Writer) -> None:
    """Surprisal and entropy of one sequence of a masked language model."""
    import torch

    from phasescope.hooks.nnsight_remote import Asked

    surprisal, entropy = [], []
    for copies, masked, tokens in masked_one_at_a_time(inputs, sequence, size):
        rows = torch.arange(len(copies)) * copies.shape[1] + masked[:, 0]
        _, predicted = model.read_predicting(copies, masked, [], Asked(rows, tokens, inputs.vocabulary))
        assert predicted is not None
        surprisal.append(predicted.surprisal)
        entropy.append(predicted.entropy)
    made = {"surprisal": torch.cat(surprisal)[None], "entropy": torch.cat(entropy)[None]}
    write_outputs(writer, inputs, made, sequence)
