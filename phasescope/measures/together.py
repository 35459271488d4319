"""What models that read the same text say, and how far apart they are, from one unembedding of each.

Logits are most of the cost of both: where they are made once, surprisal, entropy and the divergences come of the same
softmax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._readout import logits_of_all, tokens_at_a_time
from phasescope.measures.divergence import kl_of_block, readouts_of
from phasescope.measures.information import Asked, Predictions, matched_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Float32, Float64, Int
    from torch import Tensor

    from phasescope.measures._tensors import Array
    from phasescope.measures.unembedding import Unembedding

# Tokens times models whose logits exist at a time: of more, products of matrices are hardly faster.
_ROWS = 1152


def predictions_and_kl_from_hidden(
    hidden: Float[Array, "seeds tokens d"] | Sequence[Float[Array, "tokens _d"]],
    unembeddings: Sequence[Unembedding | Float[Array, "d vocab"]],
    targets: Int[Array, "tokens"],
    *,
    reference: Float[Array, "vocabulary"] | None = None,
    classes: Int[Array, "vocabulary"] | None = None,
    vocabulary: int | None = None,
    chunk: int = 256,
) -> tuple[list[Predictions], Float32[Tensor, "seeds seeds tokens"]]:
    """`predictions_from_hidden` of each model and `pairwise_kl_from_hidden` of all, from logits that are made once.

    Arguments, precision and errors are those of the two. chunk: tokens whose logits, of all models, exist at a time;
    fewer where there are many models, so that memory grows neither with tokens nor with models beyond eight.

    >>> hidden, W_U = torch.randn(3, 20, 8), torch.randn(8, 50)
    >>> said, kl = predictions_and_kl_from_hidden(hidden, [W_U] * 3, torch.arange(20))
    >>> said[0].surprisal.shape, kl.shape
    (torch.Size([20]), torch.Size([3, 3, 20]))
    """
    readouts = readouts_of(hidden, unembeddings, vocabulary)
    seeds, (tokens, _), first = len(readouts), readouts[0].hidden.shape, readouts[0].hidden
    width = readouts[0].vocabulary
    # What is asked of a token is asked of all models in turn: rows are those of models within those of tokens.
    asked = Asked.of(matched_targets(targets, readouts[0]).repeat_interleave(seeds, 0), readouts[0], reference, classes)
    made = asked.nothing_yet()
    chunk = max(1, min(chunk, max(_ROWS // seeds, 1), tokens))
    height = tokens_at_a_time(seeds * width, chunk, first.device)
    probabilities = first.new_empty(height, seeds, width)
    kl = torch.empty(seeds, seeds, tokens, dtype=torch.float32, device=first.device)
    for part, x in logits_of_all(readouts, chunk, height):
        p, rows = probabilities[: len(x)], slice(part.start * seeds, part.stop * seeds)
        totals = asked.say(made, rows, x.flatten(0, 1), p.flatten(0, 1)).reshape(-1, seeds)
        if bool(made.entropy[rows].isfinite().all()):
            kl[:, :, part] = _kl_of_logits(x, p, totals)
        else:
            kl[:, :, part] = kl_of_block(torch.log_softmax(x, -1), p)
    return [_of_one(made, seed, seeds) for seed in range(seeds)], kl


def _kl_of_logits(
    x: Float[Tensor, "tokens seeds vocab"],
    p: Float[Tensor, "tokens seeds vocab"],
    totals: Float[Tensor, "tokens seeds"],
) -> Float64[Tensor, "seeds seeds tokens"]:
    """KL of all pairs: Σ p_i (x_i − x_j) / Z_i − ln Z_i + ln Z_j, for logits x and p = exp(x) of sum Z.

    Logits are taken relative to the first model's, which changes no difference and keeps the digits of small ones; they
    are written over.
    """
    others = x[:, 1:]
    others -= x[:, :1]
    products = torch.nn.functional.pad(torch.bmm(p, others.mT), (1, 0)).double() / totals[:, :, None]
    logs = totals.double().log()
    own = products.diagonal(dim1=1, dim2=2)[:, :, None]
    divergence = own - products - (logs[:, :, None] - logs[:, None, :])
    return divergence.clamp_(min=0).permute(1, 2, 0)


def _of_one(made: Predictions, seed: int, seeds: int) -> Predictions:
    """What was said of one model, where every row is followed by those of the others."""
    reference, classes = made.kl_reference, made.class_log_probs
    return Predictions(
        made.surprisal[seed::seeds],
        made.entropy[seed::seeds],
        None if reference is None else reference[seed::seeds],
        None if classes is None else classes[seed::seeds],
    )
