"""From final hidden states to logits, a few tokens at a time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_tensor, shape_of
from phasescope.measures.unembedding import Unembedding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jaxtyping import Float
    from torch import Tensor

    from phasescope.measures._tensors import Array

# Logits on which all passes run in turn (4 MiB of float32): few enough to stay in a processor's own cache.
_CACHED = 2**20


def tokens_at_a_time(logits_per_token: int, tokens: int, device: torch.device) -> int:
    """How many tokens' logits to work on at a time: what the cache holds on a CPU, all of them on an accelerator."""
    return max(1, min(tokens, _CACHED // logits_per_token) if device.type == "cpu" else tokens)


def buffered(chunk: int, logits_per_token: int, tokens: int) -> int:
    """How many tokens' logits to hold: as many as asked for, or more where they all fit in a cache.

    With a small vocabulary, making logits of few tokens takes less time than asking for it.
    """
    return max(1, min(max(chunk, _CACHED // logits_per_token), tokens))


def precision(*values: Array | Unembedding) -> torch.dtype:
    """The precision in which to compute with these: float32 at least, whatever a model's own.

    Logits of tens that are rounded to bfloat16 are off by tenths.
    """
    arrays = (each.weight if isinstance(each, Unembedding) else each for each in values)
    return functools.reduce(torch.promote_types, (as_tensor(each).dtype for each in arrays), torch.float32)


@dataclass(frozen=True)
class Readout:
    """Hidden states, and the unembedding cut to the entries that count, in one place and precision."""

    hidden: Float[Tensor, "tokens d"]
    weight: Float[Tensor, "d vocab"]
    bias: Float[Tensor, "vocab"] | None
    scale: float
    softcap: float | None

    @classmethod
    def of(
        cls,
        hidden: Float[Array, "tokens d"],
        unembedding: Unembedding | Float[Array, "d rows"],
        vocabulary: int | None,
        dtype: torch.dtype,
    ) -> Readout:
        """Checked against one another, and cut to the first `vocabulary` entries."""
        made = unembedding if isinstance(unembedding, Unembedding) else Unembedding(unembedding)
        hidden, weight, bias = as_tensor(hidden), as_tensor(made.weight), made.bias
        if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[0]:
            shapes = f"{shape_of(hidden)} and {shape_of(weight)}"
            raise ValueError(f"hidden states must be [tokens, d] and the unembedding [d, vocab]; they are {shapes}")
        rows = weight.shape[1]
        entries = rows if vocabulary is None else vocabulary
        if not 0 < entries <= rows:
            raise ValueError(f"a vocabulary of {entries} entries does not fit an unembedding of {rows}")
        if bias is not None:
            bias = as_tensor(bias)
            if bias.shape != (rows,):
                raise ValueError(f"the bias must be [{rows}] as the unembedding has entries; it is {shape_of(bias)}")
            bias = bias[:entries].to(hidden.device, dtype)
        return cls(hidden.to(dtype), weight[:, :entries].to(hidden.device, dtype), bias, made.scale, made.softcap)

    @property
    def vocabulary(self) -> int:
        """How many entries count."""
        return int(self.weight.shape[1])

    def write(self, run: slice, out: Float[Tensor, "run vocab"]) -> None:
        """Write the logits of a run of tokens."""
        if self.bias is None:
            torch.mm(self.hidden[run], self.weight, out=out)
        else:
            torch.addmm(self.bias, self.hidden[run], self.weight, out=out)
        if self.scale != 1:
            out *= self.scale
        if self.softcap is not None:
            out.div_(self.softcap).tanh_().mul_(self.softcap)


def logits_of_all(
    readouts: Sequence[Readout], chunk: int, height: int
) -> Iterator[tuple[slice, Float[Tensor, "part models vocab"]]]:
    """Logits of the same tokens by all models, made `chunk` tokens at a time and given at most `height` at a time.

    They are in one buffer that is used again, so whoever takes them may change them.
    """
    first = readouts[0]
    tokens = first.hidden.shape[0]
    logits = first.hidden.new_empty(chunk, len(readouts), first.vocabulary)
    for start in range(0, tokens, chunk):
        run = slice(start, min(start + chunk, tokens))
        for place, readout in enumerate(readouts):
            readout.write(run, logits[: run.stop - start, place])
        for top in range(start, run.stop, height):
            part = slice(top, min(top + height, run.stop))
            yield part, logits[top - start : part.stop - start]


def logits_from_hidden(
    hidden: Float[Array, "tokens d"], unembedding: Unembedding | Float[Array, "d vocab"]
) -> Float[Tensor, "tokens vocab"]:
    """The logits of a few tokens, all at once, in float32 at least.

    Raises:
        ValueError: the shapes do not match.
    """
    readout = Readout.of(hidden, unembedding, None, precision(hidden, unembedding))
    logits = readout.hidden.new_empty(readout.hidden.shape[0], readout.vocabulary)
    readout.write(slice(None), logits)
    return logits
