"""What a model says: surprisal and entropy of the next token, KL to the unigram, and what comparing seeds needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from phasescope.probes.activations import to_storage

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float, Int
    from torch import Tensor

    from phasescope.hooks import TappedModel
    from phasescope.measures import Predictions
    from phasescope.probes.plan import Probes
    from phasescope.store import Scalar, Writer
    from phasescope.texts import Inputs


# Enough tokens to see whether logits are made as they should be.
_CHECKED = 8


class OutputProbe:
    """Writes `/outputs/surprisal`, `/outputs/entropy`, `/outputs/kl_unigram`; if asked for `/outputs/next_byte`; and,
    for comparing seeds, `/outputs/final_hidden`, which is all where it waits for the other seeds of its cohort.

    Column j is about the token at position j + 1: the first token has no context, so it has no surprisal. Logits are
    made chunk by chunk from the final hidden states and are never kept; rows of the vocabulary that no token has
    (padding) do not count.

    Raises PhasescopeError if the model does more to its logits than is known: its surprisal would be wrong.
    """

    def __init__(self, model: TappedModel, inputs: Inputs, probes: Probes, *, waits: bool = False) -> None:
        import torch

        from phasescope.hooks.output import check_unembedding, unembedding_of
        from phasescope.measures import unigram_log_probabilities

        self._unembedding = unembedding_of(model.model)
        self._inputs = inputs
        self._probes = probes
        self._waits = waits
        self._unigram = unigram_log_probabilities(inputs.counts)
        self._bytes = torch.from_numpy(inputs.bytes.first) if probes.next_byte and inputs.bytes else None
        check_unembedding(model, torch_tokens(inputs, 0, 1)[0, :_CHECKED])

    def write(self, writer: Writer, predicting: Float[Tensor, "batch context-1 d_model"], first: int) -> None:
        """Write what final hidden states say of the tokens that they predict; the first sequence is number `first`."""
        if not self._waits:
            self._write_predictions(writer, predicting, first)
        if self._probes.comparing:
            rows = to_storage(predicting, self._probes.storage, "final_hidden")
            attrs: dict[str, Scalar] = {"units": "activation", "axes": "sequences positions d_model"}
            writer.append("outputs/final_hidden", rows, first, self._inputs.output_sequences, attrs)

    def _write_predictions(
        self, writer: Writer, predicting: Float[Tensor, "batch context-1 d_model"], first: int
    ) -> None:
        from phasescope.measures import predictions_from_hidden

        sequences, predicted, d_model = predicting.shape
        found = predictions_from_hidden(
            predicting.reshape(-1, d_model),
            self._unembedding,
            targets_of(self._inputs, slice(first, first + sequences), predicting.device),
            reference=self._unigram,
            classes=self._bytes,
            vocabulary=self._inputs.vocabulary,
        )
        write_predictions(writer, self._inputs, found, first)
        if found.class_log_probs is not None:
            rows = found.class_log_probs.reshape(sequences, predicted, -1).cpu().numpy()
            attrs: dict[str, Scalar] = {"units": "nats", "axes": "sequences positions classes"}
            writer.append("outputs/next_byte", rows, first, self._inputs.output_sequences, attrs)


def targets_of(inputs: Inputs, sequences: slice, device: torch.device | str) -> Int[Tensor, "tokens"]:
    """The tokens that final hidden states of some sequences predict, one sequence after the other."""
    import torch

    return torch.from_numpy(inputs.tokens[sequences, 1:]).to(device, torch.int64).reshape(-1)


def write_predictions(writer: Writer, inputs: Inputs, found: Predictions, first: int) -> None:
    """Write surprisal, entropy and KL to the unigram of some sequences; the first is number `first`."""
    numbers = {"surprisal": found.surprisal, "entropy": found.entropy, "kl_unigram": found.kl_reference}
    shaped = {name: values.reshape(-1, inputs.context - 1) for name, values in numbers.items() if values is not None}
    write_outputs(writer, inputs, shaped, first)


def write_outputs(
    writer: Writer, inputs: Inputs, outputs: Mapping[str, Float[Tensor, "sequences context-1"]], first: int
) -> None:
    """Write each into `/outputs/<its name>`, in nats; the first sequence is number `first`."""
    for name, values in outputs.items():
        attrs: dict[str, Scalar] = {"units": "nats", "axes": "sequences positions"}
        writer.append(f"outputs/{name}", to_storage(values, "float32", name), first, inputs.output_sequences, attrs)


def predicted_by_masking(
    model: TappedModel, inputs: Inputs, sequence: int, batch: int
) -> Float[Tensor, "1 context-1 d_model"]:
    """Final hidden states of a masked language model that predict each token but the first: one masked at a time.

    The logarithms of these predictions add up to the pseudo-log-likelihood of the sequence (Salazar et al. 2020,
    equation 2), so one sequence costs as many forward passes as it has tokens.

    batch: how many of them go through the model at once.
    """
    import torch

    parts = []
    for copies, masked, _ in masked_one_at_a_time(inputs, sequence, batch):
        hidden = model.read(copies, masked, [], final_hidden=True).final_hidden
        assert hidden is not None
        parts.append(hidden[torch.arange(len(masked)), masked[:, 0]])
    return torch.cat(parts)[None]


def masked_one_at_a_time(
    inputs: Inputs, sequence: int, batch: int
) -> Iterator[tuple[Int[Tensor, "n framed"], Int[Tensor, "n 1"], Int[Tensor, "n"]]]:
    """Copies of one sequence in each of which one token but the first is masked; where it is, and which it was."""
    import torch

    assert inputs.framing is not None
    framed = torch_tokens(inputs, sequence, sequence + 1)
    # In the framed sequence token i of the text is at i + 1.
    for first in range(2, inputs.context + 1, batch):
        masked = torch.arange(first, min(first + batch, inputs.context + 1))[:, None]
        copies = framed.repeat(len(masked), 1).scatter(1, masked, inputs.framing.mask)
        yield copies, masked, framed[0, masked[:, 0]]


def torch_tokens(inputs: Inputs, first: int, last: int) -> Tensor:
    """Sequences `first` to `last` (excluded) of the inputs as the model reads them, framed where it is masked."""
    import torch

    tokens = inputs.tokens[first:last]
    return torch.from_numpy(inputs.framing.around(tokens) if inputs.framing else tokens).to(torch.int64)
