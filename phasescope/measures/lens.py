"""What a model would predict if it stopped after a layer, and which part of it speaks for a token.

The *logit lens* (nostalgebraist 2020, Interpreting GPT: the logit lens) makes logits of the residual stream of any
layer as the model makes them of the last one's. *Direct logit attribution* (Elhage et al. 2021, A Mathematical
Framework for Transformer Circuits) splits a logit into what each part of the residual stream adds to it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import torch

from phasescope.measures._readout import Readout, precision, tokens_at_a_time
from phasescope.measures._tensors import as_tensor, shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Float, Int, Int64
    from torch import Tensor

    from phasescope.measures._tensors import Array
    from phasescope.measures.unembedding import Unembedding


@dataclass(frozen=True)
class Lens:
    """What the lens of each place says of each token, beside what the model says in the end.

    Attributes:
        kl: KL(p ‖ q) of the model's prediction p from the lens' q, nats.
        entropy: of q, nats.
        surprisal: −ln q(target), nats.
        rank: of the target in q: 1 for the likeliest; entries that are as likely do not count before it.
        agrees: 1 where the likeliest entry of p is that of q, or one of several that are, 0 where not.
        kl_shuffled, surprisal_shuffled, rank_shuffled, agrees_shuffled: the same of the p and the target of another
            token: what a lens that knows nothing of this token would show.
    """

    kl: Float[Tensor, "places tokens"]
    entropy: Float[Tensor, "places tokens"]
    surprisal: Float[Tensor, "places tokens"]
    rank: Float[Tensor, "places tokens"]
    agrees: Float[Tensor, "places tokens"]
    kl_shuffled: Float[Tensor, "places tokens"]
    surprisal_shuffled: Float[Tensor, "places tokens"]
    rank_shuffled: Float[Tensor, "places tokens"]
    agrees_shuffled: Float[Tensor, "places tokens"]


_SCORES = tuple(field.name for field in fields(Lens))


def lens_scores(
    hidden: Sequence[Float[Array, "tokens d"]],
    final: Float[Array, "tokens d"],
    unembedding: Unembedding | Float[Array, "d vocab"],
    targets: Int[Array, "tokens"],
    other: Int[Array, "tokens"],
    *,
    vocabulary: int | None = None,
    chunk: int = 128,
) -> Lens:
    """The lens at several places, without holding the logits of more than a few tokens.

    Args:
        hidden: of each place what the unembedding would multiply: its residual stream after the *final* norm.
        final: what it does multiply.
        unembedding: how logits are made of them, with scale, bias and cap; W_U alone where that is all.
        targets: the entries that come next.
        other: for each token another one, whose prediction and target are the shuffled ones.
        vocabulary: only the first so many entries count. All if None.
        chunk: tokens whose logits exist at a time, a few times over.

    Returns:
        In float32 at least. NaN where logits are not finite.

    Raises:
        ValueError: shapes do not match, or there are no places.
    """
    if not len(hidden):
        raise ValueError("there is no place to put the lens at")
    dtype = precision(final, unembedding)
    last = Readout.of(final, unembedding, vocabulary, dtype)
    tokens, device = last.hidden.shape[0], last.hidden.device
    # One unembedding for all: in a wider precision than the model's own it is a copy.
    places = [replace(last, hidden=as_tensor(values).to(device, dtype)) for values in hidden]
    targets, other = (as_tensor(each).to(device, torch.int64) for each in (targets, other))
    if any(place.hidden.shape != last.hidden.shape for place in places) or {targets.shape, other.shape} != {(tokens,)}:
        shapes = ", ".join(shape_of(each) for each in (*(place.hidden for place in places), targets, other))
        raise ValueError(f"every place, target and other must have {tokens} tokens; they are {shapes}")
    found = torch.empty(len(_SCORES), len(places), tokens, dtype=dtype, device=device)
    chunk = max(1, min(chunk, tokens))
    p, elsewhere, q = (torch.empty(chunk, last.vocabulary, dtype=dtype, device=device) for _ in range(3))
    ends = [torch.equal(place.hidden, last.hidden) for place in places]
    for start in range(0, tokens, chunk):
        run = slice(start, min(start + chunk, tokens))
        size = run.stop - start
        last.write(run, p[:size])
        last.write(other[run], elsewhere[:size])  # type: ignore[arg-type]
        own = _Side.of(p[:size], targets[run])
        chance = _Side.of(elsewhere[:size], targets[other[run]])
        for number, place in enumerate(places):
            if ends[number]:
                q[:size] = own.log_p  # the model itself
            else:
                place.write(run, q[:size])
            found[:, number, run] = _scores(q[:size], own, chance)
            if ends[number]:
                found[0, number, run] *= 0  # and no further from itself than rounding, but where it is not finite
    return Lens(*found)


@dataclass(frozen=True)
class _Side:
    """What the model says in the end of some tokens, and what is asked for there."""

    log_p: Float[Tensor, "tokens vocab"]
    p: Float[Tensor, "tokens vocab"]
    entropy: Float[Tensor, "tokens"]
    likeliest: Int64[Tensor, "tokens 1"]
    target: Int64[Tensor, "tokens 1"]

    @classmethod
    def of(cls, logits: Tensor, target: Tensor) -> _Side:
        """Of logits that become the logarithms of probabilities."""
        logits -= logits.logsumexp(-1, keepdim=True)
        p = logits.exp()
        return cls(logits, p, -_mean(p, logits), logits.argmax(-1, keepdim=True), target[:, None])

    def __getitem__(self, run: slice) -> _Side:
        return _Side(*(getattr(self, field.name)[run] for field in fields(self)))


def _scores(logits: Float[Tensor, "tokens vocab"], own: _Side, chance: _Side) -> Float[Tensor, "scores tokens"]:
    """Those of `_SCORES`, of logits that may be changed, as many at a time as stay in a cache."""
    made = logits.new_empty(len(_SCORES), len(logits))
    height = tokens_at_a_time(logits.shape[1], len(logits), logits.device)
    for start in range(0, len(logits), height):
        run = slice(start, start + height)
        x = logits[run]
        x -= x.amax(-1, keepdim=True)
        shares = x.exp()
        total = shares.sum(-1)
        log_total = total.log()
        told, beside = own[run], chance[run]
        # ln q is x less this logarithm, which is the same for all entries.
        kl = (_mean(told.p, told.log_p - x) + log_total).clamp_(min=0)
        far = (log_total - _mean(beside.p, x) - beside.entropy).clamp_(min=0)
        entropy = log_total - _mean(shares, x) / total
        made[:, run] = torch.stack([kl, entropy, *_asked(x, log_total, told), far, *_asked(x, log_total, beside)])
    return made


def _asked(x: Tensor, log_total: Tensor, side: _Side) -> list[Tensor]:
    """Surprisal and rank of the target, and whether the likeliest entry, whose x is 0, is the model's."""
    own = x.gather(1, side.target)
    rank = torch.count_nonzero(x > own, dim=-1).to(x.dtype) + 1
    agrees = (x.gather(1, side.likeliest)[:, 0] == 0).to(x.dtype)
    return [log_total - own[:, 0], torch.where(log_total.isnan(), torch.nan, rank), agrees]


def _mean(p: Float[Tensor, "tokens vocab"], x: Float[Tensor, "tokens vocab"]) -> Float[Tensor, "tokens"]:
    """Σ p x, where 0 · ∞ is 0."""
    mean: Tensor = torch.linalg.vecdot(p, x)
    return torch.linalg.vecdot(p, torch.where(p > 0, x, 0)) if bool(mean.isnan().any()) else mean


def settled_depth(agrees: Float[Array, "places tokens"]) -> Float[Tensor, "tokens"]:
    """The first place from which on the likeliest entry is the model's own, at it and at every later place.

    No unit: a number of places, from 0 to `places` (where even the last is another).

    Raises:
        ValueError: it is no matrix of places and tokens.

    >>> settled_depth(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])).tolist()
    [2.0, 1.0]
    """
    agrees = as_tensor(agrees)
    if agrees.ndim != 2:
        raise ValueError(f"what agrees must be [places, tokens]; it is {shape_of(agrees)}")
    unbroken = (agrees > 0).flip(0).to(torch.int64).cumprod(0).sum(0)
    return (len(agrees) - unbroken).to(torch.float64)


@dataclass(frozen=True)
class FrozenNorm:
    """A norm whose divisor is held: f(x) = gain · (x − mean, where centred) / divisor + offset.

    What it makes of a sum is then the sum of what it makes of the parts, and an offset.
    """

    gain: Float[Tensor, "d"]
    offset: Float[Tensor, "d"]
    centred: bool

    def direction(self, towards: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens d"]:
        """What to multiply parts of the stream by, beside the divisor, to tell how far they point there."""
        gained = towards * self.gain
        return gained - gained.mean(-1, keepdim=True) if self.centred else gained

    def divisor(self, stream: Float[Tensor, "tokens d"], normed: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens"]:
        """By what the norm divided each token's stream, from what came of it: the best in least squares."""
        own = self._gained(stream)
        divisor: Tensor = torch.linalg.vecdot(own, own) / torch.linalg.vecdot(own, normed - self.offset)
        return divisor

    def misfit(self, stream: Float[Tensor, "tokens d"], normed: Float[Tensor, "tokens d"]) -> float:
        """How far the form is from what the norm makes, relative to the largest number."""
        made = self._gained(stream) / self.divisor(stream, normed)[:, None] + self.offset
        return float((made - normed).abs().max() / normed.abs().max().clamp(min=1e-30))

    def _gained(self, stream: Tensor) -> Tensor:
        gained: Tensor = self.gain * (stream - stream.mean(-1, keepdim=True) if self.centred else stream)
        return gained


def logit_attribution(
    parts: Sequence[Float[Array, "tokens d"]],
    directions: Float[Array, "tokens d"],
    divisor: Float[Array, "tokens"],
) -> Float[Tensor, "parts tokens"]:
    """What each part of the final residual stream adds to a logit: part · direction / divisor, in float32 at least.

    Args:
        parts: what is added up to the final residual stream.
        directions: the unembedding's column of each token's entry, times the final norm's gain (`FrozenNorm`).
        divisor: of the final norm, of each token.

    Raises:
        ValueError: shapes do not match.
    """
    dtype = precision(directions, *parts)
    directions, divisor = as_tensor(directions).to(dtype), as_tensor(divisor).to(dtype)
    made = []
    for part in parts:
        part = as_tensor(part).to(dtype)
        if part.shape != directions.shape or divisor.shape != part.shape[:1]:
            raise ValueError(
                f"parts, directions and divisor must be of the same tokens; they are {shape_of(part)}, "
                f"{shape_of(directions)} and {shape_of(divisor)}"
            )
        made.append(torch.linalg.vecdot(part, directions) / divisor)
    return torch.stack(made)
