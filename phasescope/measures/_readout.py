"""From final hidden states to logits, a few tokens at a time."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from phasescope.measures._tensors import as_tensor, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from phasescope.measures._tensors import Array

# Logits on which all passes run in turn (4 MiB of float32): few enough to stay in a processor's own cache.
_CACHED = 2**20


def tokens_at_a_time(logits_per_token: int, tokens: int, device: torch.device) -> int:
    """How many tokens' logits to work on at a time: what the cache holds on a CPU, all of them on an accelerator."""
    return max(1, min(tokens, _CACHED // logits_per_token) if device.type == "cpu" else tokens)


def precision(*values: Array) -> torch.dtype:
    """The precision in which to compute with these: float32 at least, whatever a model's own.

    Logits of tens that are rounded to bfloat16 are off by tenths.
    """
    return functools.reduce(torch.promote_types, (as_tensor(each).dtype for each in values), torch.float32)


@dataclass(frozen=True)
class Readout:
    """Hidden states, and the unembedding cut to the entries that count, in one place and precision."""

    hidden: Float[Tensor, "tokens d"]
    weight: Float[Tensor, "d vocab"]
    bias: Float[Tensor, "vocab"] | None

    @classmethod
    def of(
        cls,
        hidden: Float[Array, "tokens d"],
        unembedding: Float[Array, "d rows"],
        bias: Float[Array, "rows"] | None,
        vocabulary: int | None,
        dtype: torch.dtype,
    ) -> Readout:
        """Checked against one another, and cut to the first `vocabulary` entries."""
        hidden, unembedding = as_tensor(hidden), as_tensor(unembedding)
        if hidden.ndim != 2 or unembedding.ndim != 2 or hidden.shape[1] != unembedding.shape[0]:
            shapes = f"{shape_of(hidden)} and {shape_of(unembedding)}"
            raise ValueError(f"hidden states must be [tokens, d] and the unembedding [d, vocab]; they are {shapes}")
        rows = unembedding.shape[1]
        entries = rows if vocabulary is None else vocabulary
        if not 0 < entries <= rows:
            raise ValueError(f"a vocabulary of {entries} entries does not fit an unembedding of {rows}")
        if bias is not None:
            bias = as_tensor(bias)
            if bias.shape != (rows,):
                raise ValueError(f"the bias must be [{rows}] as the unembedding has entries; it is {shape_of(bias)}")
            bias = bias[:entries].to(hidden.device, dtype)
        return cls(hidden.to(dtype), unembedding[:, :entries].to(hidden.device, dtype), bias)

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
