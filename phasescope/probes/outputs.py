"""What a model says: surprisal and entropy of the next token, and what comparing seeds needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.probes.activations import to_storage

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from phasescope.hooks import TappedModel
    from phasescope.probes.plan import Probes
    from phasescope.store import Writer
    from phasescope.texts import Inputs


class OutputProbe:
    """Writes `/outputs/surprisal`, `/outputs/entropy` and, for comparing seeds, `/outputs/final_hidden`.

    Column j is about the token at position j + 1: the first token has no context, so it has no surprisal. Logits are
    made chunk by chunk from the final hidden states and are never kept; rows of the vocabulary that no token has
    (padding) do not count.
    """

    def __init__(self, model: TappedModel, inputs: Inputs, probes: Probes) -> None:
        self._unembedding = model.weights()["unembed.W_U"]
        self._inputs = inputs
        self._probes = probes

    def write(self, writer: Writer, hidden: Float[Tensor, "batch context d_model"], first: int) -> None:
        """Write what the final hidden states of the batch say; its first sequence is number `first`."""
        import torch

        from phasescope.measures import surprisal_and_entropy_from_hidden

        sequences, context, d_model = hidden.shape
        targets = torch.from_numpy(self._inputs.tokens[first : first + sequences, 1:]).to(hidden.device, torch.int64)
        predicting = hidden[:, :-1]
        surprisal, entropy = surprisal_and_entropy_from_hidden(
            predicting.reshape(-1, d_model),
            self._unembedding,
            targets.reshape(-1),
            vocabulary=self._inputs.vocabulary,
        )
        total = self._inputs.output_sequences
        for name, values in [("surprisal", surprisal), ("entropy", entropy)]:
            rows = to_storage(values.reshape(sequences, context - 1), "float32", name)
            writer.append(f"outputs/{name}", rows, first, total, {"units": "nats", "axes": "sequences positions"})
        if self._probes.comparing:
            rows = to_storage(predicting, self._probes.storage, "final_hidden")
            attrs = {"units": "activation", "axes": "sequences positions d_model"}
            writer.append("outputs/final_hidden", rows, first, total, attrs)
