"""How surprising a text was to a model, and how uncertain the model was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from phasescope.measures._readout import Readout, logits_of_all, precision, tokens_at_a_time
from phasescope.measures._tensors import as_float64, as_tensor, shape_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Bool, Float, Float32, Float64, Int, Int64, Num
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


@dataclass(frozen=True)
class Predictions:
    """What is said of the next-token distributions of a model, in nats; NaN where its logits are not finite.

    Attributes:
        surprisal: of the targets.
        entropy: of the distributions.
        kl_reference: KL(p ‖ r) to a distribution r that is the same for all tokens; None where none was given.
        class_log_probs: logarithms of the probabilities that classes of entries have; −∞ for a class without entries.
            None where no classes were given.
    """

    surprisal: Float32[Tensor, "tokens"]
    entropy: Float32[Tensor, "tokens"]
    kl_reference: Float32[Tensor, "tokens"] | None = None
    class_log_probs: Float32[Tensor, "tokens classes"] | None = None


def surprisal_and_entropy_from_hidden(
    hidden: Float[Array, "tokens d"],
    unembedding: Unembedding | Float[Array, "d vocab"],
    targets: Int[Array, "tokens"],
    *,
    vocabulary: int | None = None,
    chunk: int = 256,
) -> tuple[Float32[Tensor, "tokens"], Float32[Tensor, "tokens"]]:
    """(surprisal, entropy) of `predictions_from_hidden`, which says what the arguments are and what is raised."""
    found = predictions_from_hidden(hidden, unembedding, targets, vocabulary=vocabulary, chunk=chunk)
    return found.surprisal, found.entropy


def predictions_from_hidden(
    hidden: Float[Array, "tokens d"],
    unembedding: Unembedding | Float[Array, "d vocab"],
    targets: Int[Array, "tokens"],
    *,
    reference: Float[Array, "vocabulary"] | None = None,
    classes: Int[Array, "vocabulary"] | None = None,
    vocabulary: int | None = None,
    chunk: int = 256,
) -> Predictions:
    """Surprisal of the targets, entropy and what else is asked for, from final hidden states, without holding logits.

    All of it is made of one softmax.

    Args:
        hidden: what the unembedding multiplies: the residual stream after the final norm.
        unembedding: how logits are made of them; W_U alone where they are multiplied by it and that is all.
        targets: the entries whose surprisal is wanted, one per token.
        reference: logarithms of the probabilities of a distribution r, all finite, for KL(p ‖ r) = −H(p) − Σ p ln r.
        classes: the class, from 0 on, of each entry, for the probabilities of classes.
        vocabulary: only the first so many entries count: those that the tokenizer has. All if None.
        chunk: tokens whose logits exist at a time, in one buffer that is used again, so that beside the result memory
            does not depend on `tokens`.

    Returns:
        In float32: surprisal and entropy within about 1e-5 of float64, KL within 1e-4 for a vocabulary of 50 000. A
        class whose probability float32 cannot hold has e^−87, the smallest that it can.

    Raises:
        ValueError: the shapes do not match, the vocabulary does not fit, a target is not in it, or the reference has
            an entry of probability 0.
    """
    readout, targets = _matched(hidden, unembedding, targets, vocabulary)
    asked = Asked.of(targets, readout, reference, classes)
    height = tokens_at_a_time(readout.vocabulary, max(1, min(chunk, len(targets))), targets.device)
    probabilities = readout.hidden.new_empty(height, readout.vocabulary)
    made = asked.nothing_yet()
    for part, x in _logits(readout, chunk):
        asked.say(made, part, x, probabilities[: x.shape[0]])
    return made


@dataclass(frozen=True)
class Asked:
    """What is asked of next-token distributions: targets, a reference, and the classes of entries with their sizes."""

    targets: Int[Tensor, "tokens 1"]
    reference: Float[Tensor, "vocabulary"] | None
    classes: Int64[Tensor, "vocabulary"] | None
    sizes: Int64[Tensor, "classes"] | None

    @classmethod
    def of(
        cls,
        targets: Int[Tensor, "tokens 1"],
        readout: Readout,
        reference: Float[Array, "vocabulary"] | None,
        classes: Int[Array, "vocabulary"] | None,
    ) -> Asked:
        """Checked against the vocabulary that counts."""
        members = None if classes is None else _classes(classes, readout)
        sizes = None if members is None else torch.bincount(members)
        return cls(targets, None if reference is None else _reference(reference, readout), members, sizes)

    def nothing_yet(self) -> Predictions:
        """Room for what will be said of all tokens."""
        tokens, device = len(self.targets), self.targets.device

        def room(*more: int) -> Float32[Tensor, "..."]:
            return torch.empty(tokens, *more, dtype=torch.float32, device=device)

        reference = None if self.reference is None else room()
        return Predictions(room(), room(), reference, None if self.sizes is None else room(len(self.sizes)))

    def say(
        self, made: Predictions, part: slice, x: Float[Tensor, "part vocab"], p: Float[Tensor, "part vocab"]
    ) -> Float[Tensor, "part"]:
        """Write what is asked of some tokens, from their logits; return Z, by which `p` are to be divided.

        Of the logits the largest is taken off, so that sums are of terms of one sign, and lose no digits; `p` takes
        exp of what is left.
        """
        x -= x.amax(-1, keepdim=True)
        total = torch.exp(x, out=p).sum(-1)
        log_sum = total.log()
        made.surprisal[part] = log_sum - x.gather(1, self.targets[part]).squeeze(1)
        made.entropy[part] = entropies = log_sum - (p * x).sum(-1) / total
        if self.reference is not None and made.kl_reference is not None:
            made.kl_reference[part] = (torch.mv(p, self.reference) / total + entropies).neg_().clamp_(min=0)
        if self.classes is not None and self.sizes is not None and made.class_log_probs is not None:
            sums = p.new_zeros(p.shape[0], len(self.sizes)).index_add_(1, self.classes, p)
            logs = (sums / total[:, None]).clamp(min=torch.finfo(torch.float32).tiny).log()
            logs[:, self.sizes == 0] = -torch.inf
            made.class_log_probs[part] = logs
        return total


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
    for part, x in _logits(readout, chunk):
        # Less the largest: sums are of terms of one sign, and lose no digits.
        x -= x.amax(-1, keepdim=True)
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
    return readout, matched_targets(targets, readout)


def matched_targets(targets: Int[Array, "tokens"], readout: Readout) -> Int[Tensor, "tokens 1"]:
    """The targets, one for each hidden state, in the same place."""
    tokens, targets = readout.hidden.shape[0], as_tensor(targets)
    if targets.shape != (tokens,):
        raise ValueError(f"targets must be [{tokens}], one per hidden state; they are {shape_of(targets)}")
    return _checked(targets, readout.vocabulary).to(readout.hidden.device)[:, None]


def _logits(readout: Readout, chunk: int) -> Iterator[tuple[slice, Float[Tensor, "part vocab"]]]:
    """Logits, some tokens at a time.

    They are in one buffer that is used again, so whoever takes them may change them.
    """
    tokens, device = readout.hidden.shape[0], readout.hidden.device
    chunk = max(1, min(chunk, tokens))
    height = tokens_at_a_time(readout.vocabulary, chunk, device)
    for part, logits in logits_of_all([readout], chunk, height):
        yield part, logits[:, 0]


def _reference(reference: Float[Array, "vocabulary"], readout: Readout) -> Float[Tensor, "vocabulary"]:
    logs = as_tensor(reference)
    if logs.shape != (readout.vocabulary,) or not bool(logs.isfinite().all()):
        raise ValueError(
            f"the reference must be [{readout.vocabulary}], logarithms of probabilities, all finite; it is "
            f"{shape_of(logs)}"
        )
    return logs.to(readout.hidden.device, readout.hidden.dtype)


def _classes(classes: Int[Array, "vocabulary"], readout: Readout) -> Int64[Tensor, "vocabulary"]:
    number = as_tensor(classes)
    if number.shape != (readout.vocabulary,) or number.is_floating_point() or int(number.min()) < 0:
        raise ValueError(
            f"classes must be [{readout.vocabulary}], whole numbers from 0 on; they are {shape_of(number)}"
        )
    return number.to(readout.hidden.device, torch.int64)


def unigram_log_probabilities(counts: Num[Array, "vocab"]) -> Float64[Tensor, "vocab"]:
    """ln p of every entry, where p is how often a corpus has it, all counts raised by one (so that none is 0).

    Raises:
        ValueError: the counts are not one number, not negative, per entry.
    """
    frequencies = as_float64(counts) + 1
    if frequencies.ndim != 1 or not bool((frequencies >= 1).all()):
        raise ValueError(f"counts must be [vocab], none negative; they are {shape_of(frequencies)}")
    return frequencies.log() - frequencies.sum().log()


def unigram_surprisal(counts: Num[Array, "vocab"], targets: Int[Array, "..."]) -> Float64[Tensor, "..."]:
    """−ln p(target), in nats, under `unigram_log_probabilities`.

    Raises:
        ValueError: the counts are not one number, not negative, per entry, or a target is no entry.
    """
    surprisals, targets = -unigram_log_probabilities(counts), as_tensor(targets)
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
