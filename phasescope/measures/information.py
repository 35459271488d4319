"""How surprising a text was to a model, and how uncertain the model was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._readout import Readout, precision, tokens_at_a_time
from phasescope.measures._tensors import as_float64, as_tensor, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Bool, Float, Float32, Float64, Int, Num
    from torch import Tensor

    from phasescope.measures._tensors import Array
    from phasescope.measures.unembedding import Unembedding

# Logits turned into float64 at a time (64 MiB).
_CHUNK = 2**23


def surprisal(logits: Float[Array, "... vocab"], targets: Int[Array, "..."]) -> Float64[Tensor, "..."]:
    """−ln p(target) under the distribution softmax(logits), in nats.

    A logit of −∞ is an entry of probability 0, of surprisal ∞. A NaN or +∞ among the logits makes the result NaN.

    Raises:
        ValueError: targets are not shaped as the logits less their last dimension, or are no entries of the vocabulary.
    """
    logits, targets = as_tensor(logits), as_tensor(targets)
    if logits.ndim == 0 or targets.shape != logits.shape[:-1]:
        shapes = f"{shape_of(logits)} and {shape_of(targets)}"
        raise ValueError(f"logits must be [..., vocab] and targets [...]; they are {shapes}")
    entries = _checked(targets, logits.shape[-1]).reshape(-1, 1)
    parts = []
    for rows, chosen in zip(_row_runs(logits), torch.split(entries, _run_length(logits)), strict=True):
        log_probs = torch.log_softmax(as_float64(rows), -1)
        parts.append(-log_probs.gather(1, chosen.to(log_probs.device)).squeeze(1))
    return torch.cat(parts).reshape(targets.shape)


def entropy(logits: Float[Array, "... vocab"]) -> Float64[Tensor, "..."]:
    """The entropy of the distribution softmax(logits), in nats: 0 … ln vocab.

    A logit of −∞ is an entry of probability 0. A NaN or +∞ among the logits makes the result NaN.

    Raises:
        ValueError: the logits have no dimension.
    """
    logits = as_tensor(logits)
    if logits.ndim == 0:
        raise ValueError("logits must be [..., vocab]; they are a single number")
    parts = [torch.special.entr(torch.softmax(as_float64(rows), -1)).sum(-1) for rows in _row_runs(logits)]
    return torch.cat(parts).reshape(logits.shape[:-1])


def surprisal_and_entropy_from_hidden(
    hidden: Float[Array, "tokens d"],
    unembedding: Unembedding | Float[Array, "d vocab"],
    targets: Int[Array, "tokens"],
    *,
    vocabulary: int | None = None,
    chunk: int = 256,
) -> tuple[Float32[Tensor, "tokens"], Float32[Tensor, "tokens"]]:
    """Surprisal of the targets and entropy, in nats, from final hidden states, without holding the logits.

    Args:
        hidden: what the unembedding multiplies: the residual stream after the final norm.
        unembedding: how logits are made of them; W_U alone where they are multiplied by it and that is all.
        targets: the entries whose surprisal is wanted, one per token.
        vocabulary: only the first so many entries count: those that the tokenizer has. All if None.
        chunk: tokens whose logits exist at a time, in one buffer that is used again, so that beside the result memory
            does not depend on `tokens`.

    Returns:
        (surprisal, entropy) in float32, within about 1e-5 of float64; NaN for a token whose logits are not finite.

    Raises:
        ValueError: the shapes do not match, the vocabulary does not fit, or a target is not in it.
    """
    readout, targets = _matched(hidden, unembedding, targets, vocabulary)
    tokens, device = len(targets), targets.device
    height = tokens_at_a_time(readout.vocabulary, max(1, min(chunk, tokens)), device)
    probabilities = readout.hidden.new_empty(height, readout.vocabulary)
    surprisals, entropies = (torch.empty(tokens, dtype=torch.float32, device=device) for _ in range(2))
    for part, x in _below_largest(readout, chunk):
        p = torch.softmax(x, -1, out=probabilities[: x.shape[0]])
        # The largest has exp(x) = 1, so its probability is 1 / Σ exp(x).
        log_sum = -p.amax(-1).log()
        surprisals[part] = log_sum - x.gather(1, targets[part]).squeeze(1)
        entropies[part] = log_sum - torch.linalg.vecdot(p, x)
    return surprisals, entropies


def surprisal_and_likeliest_from_hidden(
    hidden: Float[Array, "tokens d"],
    unembedding: Unembedding | Float[Array, "d vocab"],
    targets: Int[Array, "tokens"],
    *,
    vocabulary: int | None = None,
    chunk: int = 256,
) -> tuple[Float32[Tensor, "tokens"], Bool[Tensor, "tokens"]]:
    """Surprisal of the targets, in nats, and whether each is the most likely entry, without holding the logits.

    Arguments, precision and errors as of `surprisal_and_entropy_from_hidden`, which takes longer.

    Returns:
        (surprisal, likeliest): the target's logit is the largest, or one of several that are equally large. A token
        whose logits are not finite has surprisal NaN, and no likeliest target.
    """
    readout, targets = _matched(hidden, unembedding, targets, vocabulary)
    surprisals = torch.empty(len(targets), dtype=torch.float32, device=targets.device)
    likeliest = torch.empty(len(targets), dtype=torch.bool, device=targets.device)
    for part, x in _below_largest(readout, chunk):
        chosen = x.gather(1, targets[part]).squeeze(1)
        likeliest[part] = chosen == 0
        surprisals[part] = x.exp_().sum(-1).log() - chosen
    return surprisals, likeliest


def _matched(
    hidden: Float[Array, "tokens d"],
    unembedding: Unembedding | Float[Array, "d vocab"],
    targets: Int[Array, "tokens"],
    vocabulary: int | None,
) -> tuple[Readout, Int[Tensor, "tokens 1"]]:
    """Hidden states with their unembedding, and the targets beside them."""
    readout = Readout.of(hidden, unembedding, vocabulary, precision(hidden, unembedding))
    tokens, targets = readout.hidden.shape[0], as_tensor(targets)
    if targets.shape != (tokens,):
        raise ValueError(f"targets must be [{tokens}], one per hidden state; they are {shape_of(targets)}")
    return readout, _checked(targets, readout.vocabulary).to(readout.hidden.device)[:, None]


def _below_largest(readout: Readout, chunk: int) -> Iterator[tuple[slice, Float[Tensor, "part vocab"]]]:
    """Logits less the largest, some tokens at a time: sums over them are of terms of one sign, and lose no digits.

    The logits are in one buffer that is used again, so whoever takes them may change them.
    """
    tokens, device = readout.hidden.shape[0], readout.hidden.device
    chunk = max(1, min(chunk, tokens))
    height = tokens_at_a_time(readout.vocabulary, chunk, device)
    logits = readout.hidden.new_empty(chunk, readout.vocabulary)
    for start in range(0, tokens, chunk):
        run = slice(start, min(start + chunk, tokens))
        readout.write(run, logits[: run.stop - start])
        for first in range(start, run.stop, height):
            part = slice(first, min(first + height, run.stop))
            x = logits[first - start : part.stop - start]
            x -= x.amax(-1, keepdim=True)
            yield part, x


def unigram_surprisal(counts: Num[Array, "vocab"], targets: Int[Array, "..."]) -> Float64[Tensor, "..."]:
    """−ln p(target), in nats, where p is how often a corpus has each entry, all counts raised by one.

    Raises:
        ValueError: the counts are not one number, not negative, per entry, or a target is no entry.
    """
    frequencies, targets = as_float64(counts) + 1, as_tensor(targets)
    if frequencies.ndim != 1 or not bool((frequencies >= 1).all()):
        raise ValueError(f"counts must be [vocab], none negative; they are {shape_of(frequencies)}")
    surprisals = frequencies.sum().log() - frequencies.log()
    return surprisals[_checked(targets, len(surprisals)).to(surprisals.device)]


def _checked(targets: Int[Tensor, "..."], vocabulary: int) -> Int[Tensor, "..."]:
    """The targets as indices, all of them entries of the vocabulary."""
    if targets.is_floating_point():
        raise ValueError(f"targets are entries of the vocabulary, so integers; they are {targets.dtype}")
    if targets.numel() and (int(targets.min()) < 0 or int(targets.max()) >= vocabulary):
        found = f"{int(targets.min())} … {int(targets.max())}"
        raise ValueError(f"targets must be entries of the vocabulary, 0 … {vocabulary - 1}; they are {found}")
    return targets.to(torch.int64)


def _run_length(logits: Float[Tensor, "... vocab"]) -> int:
    return max(1, _CHUNK // max(1, logits.shape[-1]))


def _row_runs(logits: Float[Tensor, "... vocab"]) -> Sequence[Float[Tensor, "rows vocab"]]:
    """The distributions as rows, in runs short enough to be held in float64."""
    return torch.split(logits.flatten(0, -2) if logits.ndim > 1 else logits[None], _run_length(logits))
