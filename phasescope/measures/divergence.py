"""How far apart are the next-token distributions of models that read the same text?

KL(p_i ‖ p_j) = Σ_v p_i(v) (ln p_i(v) − ln p_j(v)), for all ordered pairs of models at once: Σ_v p_i(v) ln p_j(v) for
all pairs is one product of the models' probabilities for a token with their logarithms. Every ln p is taken relative to
the first model's, which changes no difference, and keeps the digits of small divergences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._readout import Readout, buffered, logits_of_all, precision, tokens_at_a_time
from phasescope.measures._tensors import as_tensor, shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Float32, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array
    from phasescope.measures.unembedding import Unembedding

# How far from 1 the probabilities of a token may sum: bfloat16 rounds log-probabilities by up to 3 %.
_ROUNDED_SUM = 0.1


def pairwise_kl(log_probs: Float[Array, "seeds tokens vocab"]) -> Float64[Tensor, "seeds seeds tokens"]:
    """KL(p_i ‖ p_j) at [i, j] for all ordered pairs of models, per token, in nats.

    Computed in the precision of the log-probabilities, float32 at least: within about 1e-5 for float32.

    Args:
        log_probs: natural logarithms of probabilities, as log_softmax makes them. −∞ is a probability of 0: where p_i
            is 0, it adds nothing (0 ln 0 = 0); where p_i is not, but p_j is, the divergence is ∞.

    Returns:
        0 on the diagonal; NaN for the pairs of a model that has a NaN there.

    Raises:
        ValueError: there are not three dimensions, no models or no vocabulary, or these are no log-probabilities.

    >>> logits = torch.randn(6, 100, 50)
    >>> pairwise_kl(logits.log_softmax(-1)).shape
    torch.Size([6, 6, 100])
    """
    log_probs = as_tensor(log_probs)
    if log_probs.ndim != 3 or 0 in (log_probs.shape[0], log_probs.shape[2]):
        raise ValueError(f"log_probs must be [seeds, tokens, vocab]; they are {shape_of(log_probs)}")
    seeds, tokens, vocabulary = log_probs.shape
    dtype = torch.promote_types(log_probs.dtype, torch.float32)
    height = tokens_at_a_time(max(1, seeds * vocabulary), tokens, log_probs.device)
    block, probabilities = (
        torch.empty(height, seeds, vocabulary, dtype=dtype, device=log_probs.device) for _ in range(2)
    )
    result = torch.empty(seeds, seeds, tokens, dtype=dtype, device=log_probs.device)
    for start in range(0, tokens, height):
        run = slice(start, min(start + height, tokens))
        size = run.stop - start
        block[:size].copy_(log_probs[:, run].transpose(0, 1))
        result[:, :, run] = kl_of_block(block[:size], probabilities[:size])
        sums = probabilities[:size].sum(-1)
        if bool(((sums - 1).abs() > _ROUNDED_SUM).any()):
            worst = float(sums[(sums - 1).abs() > _ROUNDED_SUM].flatten()[0])
            raise ValueError(f"log_probs must be log-probabilities: a token's probabilities sum to {worst:.4g}")
    return (result.cpu() if result.device.type == "mps" else result).to(torch.float64)


def pairwise_kl_from_hidden(
    hidden: Float[Array, "seeds tokens d"] | Sequence[Float[Array, "tokens _d"]],
    unembeddings: Sequence[Unembedding | Float[Array, "d vocab"]],
    *,
    vocabulary: int | None = None,
    chunk: int = 128,
) -> Float32[Tensor, "seeds seeds tokens"]:
    """KL(p_i ‖ p_j) for all ordered pairs of models, per token, in nats, from their final hidden states.

    Args:
        hidden: what the unembeddings multiply: the residual streams after the final norm, one matrix per model. A
            sequence of matrices may differ in width, so that models of different sizes can be compared.
        unembeddings: how each model makes logits of them; W_U alone where they are multiplied by it and that is all.
        vocabulary: only the first so many entries count: those that the tokenizer has. All if None.
        chunk: tokens whose logits, of all models, exist at a time, in one buffer that is used again (more where all of
            them fit in 4 MiB). Beside the result, memory does not depend on `tokens`.

    Returns:
        [seeds, seeds, tokens] in float32, within about 1e-5 of float64; 0 on the diagonal; NaN for the pairs of a model
        whose logits are not finite there.

    Raises:
        ValueError: the shapes do not match, the models differ in their tokens or vocabulary, or it does not fit.
    """
    readouts = readouts_of(hidden, unembeddings, vocabulary)
    seeds, (tokens, _), first = len(readouts), readouts[0].hidden.shape, readouts[0].hidden
    width = readouts[0].vocabulary
    chunk = buffered(chunk, seeds * width, tokens)
    height = tokens_at_a_time(seeds * width, chunk, first.device)
    block = first.new_empty(height, seeds, width)
    result = torch.empty(seeds, seeds, tokens, dtype=torch.float32, device=first.device)
    for part, x in logits_of_all(readouts, chunk, height):
        log_probs = torch.log_softmax(x, -1, out=block[: x.shape[0]])
        # The logits are no longer needed: their place takes the probabilities.
        result[:, :, part] = kl_of_block(log_probs, probabilities=x)
    return result


def readouts_of(
    hidden: Float[Array, "seeds tokens d"] | Sequence[Float[Array, "tokens _d"]],
    unembeddings: Sequence[Unembedding | Float[Array, "d vocab"]],
    vocabulary: int | None,
) -> list[Readout]:
    """One readout per model, alike in precision, place, tokens and vocabulary."""
    if len(hidden) != len(unembeddings) or not len(hidden):
        raise ValueError(
            f"one unembedding per model: {len(hidden)} models' hidden states came with {len(unembeddings)}"
        )
    dtype = precision(*hidden, *unembeddings)
    readouts = [
        Readout.of(states, unembedding, vocabulary, dtype)
        for states, unembedding in zip(hidden, unembeddings, strict=True)
    ]
    if len({(readout.hidden.shape[0], readout.vocabulary) for readout in readouts}) > 1:
        found = ", ".join(f"{readout.hidden.shape[0]} × {readout.vocabulary}" for readout in readouts)
        raise ValueError(f"models must be compared on the same tokens and vocabulary; they have {found}")
    return readouts


def kl_of_block(
    log_probs: Float[Tensor, "tokens seeds vocab"], probabilities: Float[Tensor, "tokens seeds vocab"]
) -> Float[Tensor, "seeds seeds tokens"]:
    """KL of all pairs; writes the probabilities where they are wanted, and over the log-probabilities."""
    torch.exp(log_probs, out=probabilities)
    infinite = None
    # False where there is a NaN, too.
    if not bool(log_probs.amin() > -torch.inf):
        absent = log_probs.isneginf()
        infinite = torch.bmm((~absent).to(log_probs.dtype), absent.to(log_probs.dtype).mT) > 0
        # Any finite number will do: it only meets probabilities of 0, or makes a pair that is known to be infinite.
        log_probs.masked_fill_(absent, 0)
    reference = log_probs[:, :1].nan_to_num(nan=0)
    log_probs -= reference
    products = torch.bmm(probabilities, log_probs.mT)
    divergence = (products.diagonal(dim1=1, dim2=2)[:, :, None] - products).clamp(min=0)
    if infinite is not None:
        divergence.masked_fill_(infinite & ~divergence.isnan(), torch.inf)
    return divergence.permute(1, 2, 0)
