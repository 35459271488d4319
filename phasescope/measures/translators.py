"""Translators of the tuned lens: an affine map of each layer's residual stream to the basis of the last one's.

Belrose et al. 2023 (Eliciting Latent Predictions from Transformers with the Tuned Lens, arXiv 2303.08112, equation 8),
as their code has it: the map is added to the stream, h + A h + b, so that A = 0, b = 0 is the logit lens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from phasescope.measures._readout import Readout, precision
from phasescope.measures._tensors import shape_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from phasescope.measures.unembedding import Unembedding

    # What the final norm makes of residual streams.
    Ending = Callable[[Tensor], Tensor]

_STEPS, _BATCH = 100, 64
# Of the tokens, those on which it is seen whether a translator is better than none.
_HELD_OUT = 4
# How far the largest update moves the stream, relative to it.
_RATE = 0.1


@dataclass(frozen=True)
class Translator:
    """Of one place: stream + stream · matrixᵀ + offset."""

    matrix: Float[Tensor, "d d"]
    offset: Float[Tensor, "d"]

    def __call__(self, stream: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens d"]:
        """In float32 at least, given back in the stream's own type."""
        wide = stream.to(precision(stream))
        made: Tensor = wide + torch.addmm(self.offset.to(wide), wide, self.matrix.to(wide).mT)
        return made.to(stream.dtype)

    @classmethod
    def none(cls, d: int) -> Translator:
        """What changes nothing: the logit lens."""
        return cls(torch.zeros(d, d), torch.zeros(d))


def trained_translator(
    stream: Float[Tensor, "tokens d"],
    final: Float[Tensor, "tokens d"],
    ending: Ending,
    unembedding: Unembedding,
    *,
    vocabulary: int | None = None,
    steps: int = _STEPS,
    batch: int = _BATCH,
    seed: int = 0,
) -> Translator:
    """The translator whose lens comes nearest to what the model says of some tokens, in KL(p ‖ q).

    Three quarters of the tokens train it, from the logit lens on, by so many updates (Adam, at a rate that goes to 0)
    of so many tokens each. On the last quarter it is seen whether it is nearer than the logit lens; where it is
    not, it is left out. Memory: the logits of `batch` tokens, a few times.

    Args:
        stream: the residual stream of the place.
        final: what the unembedding multiplies in the end.
        ending: the final norm.
        unembedding: how logits are made.

    Raises:
        ValueError: there are fewer than four tokens, or the shapes do not match.
    """
    if stream.ndim != 2 or len(stream) < _HELD_OUT or len(final) != len(stream):
        raise ValueError(f"a translator needs the same 4 tokens or more: {shape_of(stream)} and {shape_of(final)}")
    readout = Readout.of(final, unembedding, vocabulary, precision(final, unembedding))
    wide = stream.to(readout.hidden.dtype)
    scale = wide.square().mean().sqrt().clamp(min=1e-30)
    tokens, d = wide.shape
    held = torch.arange(tokens, device=wide.device) % _HELD_OUT == _HELD_OUT - 1
    train, test = (mask.nonzero().squeeze(1) for mask in (~held, held))
    generator = torch.Generator().manual_seed(seed)
    matrix = wide.new_zeros(d, d, requires_grad=True)
    offset = wide.new_zeros(d, requires_grad=True)

    def moved(rows: Tensor) -> Tensor:
        made = wide[rows] + scale * torch.addmm(offset, wide[rows] / scale, matrix.mT)
        return _logits(readout, ending(made.to(stream.dtype)))

    with torch.enable_grad():
        optimiser = torch.optim.Adam([matrix, offset], lr=_RATE / d)
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = _RATE / d * (1 - step / steps)
            rows = train[torch.randperm(len(train), generator=generator)[:batch].to(train.device)]
            divergence = _kl(_logits(readout, final[rows]), moved(rows)).mean()
            matrix.grad, offset.grad = torch.autograd.grad(divergence, [matrix, offset])
            optimiser.step()
    with torch.no_grad():
        before = after = 0.0
        for rows in torch.split(test, batch):
            said = _logits(readout, final[rows])
            before += float(_kl(said, _logits(readout, ending(stream[rows]))).sum())
            after += float(_kl(said, moved(rows)).sum())
    if not after < before:
        return Translator.none(d)
    return Translator(matrix.detach(), scale * offset.detach())


def _logits(readout: Readout, hidden: Float[Tensor, "tokens d"]) -> Float[Tensor, "tokens vocab"]:
    """As `Readout.write`, through which gradients flow."""
    logits = readout.scale * (
        hidden.to(readout.weight.dtype) @ readout.weight + (0 if readout.bias is None else readout.bias)
    )
    return logits if readout.softcap is None else readout.softcap * (logits / readout.softcap).tanh()


def _kl(p: Float[Tensor, "tokens vocab"], q: Float[Tensor, "tokens vocab"]) -> Float[Tensor, "tokens"]:
    log_p = p.log_softmax(-1)
    return (log_p.exp() * (log_p - q.log_softmax(-1))).sum(-1)
