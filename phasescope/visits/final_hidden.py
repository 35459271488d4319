"""Final hidden states in shards, and how far apart the models are that have them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Float32
    from torch import Tensor

    from phasescope.measures import Predictions, Unembedding
    from phasescope.store import Container
    from phasescope.texts import Inputs

# Read at a time: fewer, and reading takes longer than what is computed of them; all, and memory would grow with them.
_TOKENS = 4096


def runs_of(inputs: Inputs) -> Iterator[slice]:
    """The output sequences, some at a time."""
    sequences = max(1, _TOKENS // inputs.context)
    for first in range(0, inputs.output_sequences, sequences):
        yield slice(first, min(first + sequences, inputs.output_sequences))


def hidden_of(shard: Container, sequences: slice, device: str) -> Float32[Tensor, "sequences positions d_model"]:
    """The final hidden states of some sequences."""
    import torch

    return torch.from_numpy(shard.read("outputs/final_hidden", sequences)).to(device).float()


def predictions_and_kl_of(
    shards: Sequence[Container], unembeddings: Sequence[Unembedding], inputs: Inputs, device: str
) -> tuple[list[list[Predictions]], Float32[Tensor, "models models sequences positions"]]:
    """As `pairwise_kl_of`; and what each model says, some sequences after the other: of the same logits."""
    import torch

    from phasescope.measures import predictions_and_kl_from_hidden, unigram_log_probabilities
    from phasescope.probes.outputs import targets_of

    unigram, said, blocks = unigram_log_probabilities(inputs.counts), [], []
    for run, hidden in _hidden_of_all(shards, inputs, device):
        found, kl = predictions_and_kl_from_hidden(
            hidden,
            unembeddings,
            targets_of(inputs, run, device),
            reference=unigram,
            vocabulary=inputs.vocabulary,
        )
        said.append(found)
        blocks.append(_by_sequence(kl, run))
    return [list(one) for one in zip(*said, strict=True)], torch.cat(blocks, dim=2)


def pairwise_kl_of(
    shards: Sequence[Container], unembeddings: Sequence[Unembedding], inputs: Inputs, device: str
) -> Float32[Tensor, "models models sequences positions"]:
    """KL(p_i ‖ p_j) of all ordered pairs of models, for every token, in nats."""
    import torch

    from phasescope.measures import pairwise_kl_from_hidden

    blocks = [
        _by_sequence(pairwise_kl_from_hidden(hidden, unembeddings, vocabulary=inputs.vocabulary), run)
        for run, hidden in _hidden_of_all(shards, inputs, device)
    ]
    return torch.cat(blocks, dim=2)


def _hidden_of_all(
    shards: Sequence[Container], inputs: Inputs, device: str
) -> Iterator[tuple[slice, list[Float32[Tensor, "tokens d_model"]]]]:
    """Some sequences after the other, and the final hidden states of each model in them."""
    for run in runs_of(inputs):
        yield run, [hidden_of(shard, run, device).flatten(0, 1) for shard in shards]


def _by_sequence(
    kl: Float32[Tensor, "models models tokens"], run: slice
) -> Float32[Tensor, "models models sequences positions"]:
    return kl.cpu().reshape(*kl.shape[:2], run.stop - run.start, -1)
