"""Linear CKA of activations that are too many to hold at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from phasescope.measures._hsic import GramPair, ckas
from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array


class StreamingCKA:
    """`linear_cka` of activations that arrive in batches; its memory is (p + q)², however many samples there are.

    >>> x, y = torch.randn(1000, 8), torch.randn(1000, 6)
    >>> stream = StreamingCKA()
    >>> for start in range(0, 1000, 100):
    ...     stream.update(x[start : start + 100], y[start : start + 100])
    >>> stream.samples
    1000
    >>> 0 < float(stream.result()) < 0.1
    True
    """

    def __init__(self) -> None:
        self._sums: _Sums | None = None

    @property
    def samples(self) -> int:
        """How many samples have arrived."""
        return self._sums.samples if self._sums else 0

    def update(self, x: Float[Array, "batch p"], y: Float[Array, "batch q"]) -> None:
        """Take in the activations x and y of a batch of samples.

        Raises:
            ValueError: x or y is not a matrix, their rows differ in number, or their columns from those of the
                batches before.
        """
        x, y = as_float64(x), as_float64(y)
        shapes = f"{shape_of(x)} and {shape_of(y)}"
        if x.ndim != 2 or y.ndim != 2 or x.shape[0] != y.shape[0]:
            raise ValueError(f"a batch must be [batch, p] and [batch, q]; it is {shapes}")
        if self._sums and self._sums.widths != (x.shape[1], y.shape[1]):
            raise ValueError(f"a batch must be as wide as the first, {self._sums.widths}; it is {shapes}")
        if x.shape[0] == 0:
            return
        self._sums = self._sums or _Sums(x, y)
        self._sums.add(x, y)

    def result(self, debiased: bool = False) -> Float64[Tensor, ""]:
        """`linear_cka` of all samples so far; NaN, as there, where it is not defined, and before the first."""
        if not self._sums:
            return torch.tensor(torch.nan, dtype=torch.float64)
        biased, unbiased = ckas(self._sums.samples, *self._sums.pairs())
        return unbiased if debiased else biased


class _Sums:
    """Sums over samples of z = (x, y) less an offset, of its squared lengths |x|² and |y|², and of their products.

    The offset, the mean of the first batch, keeps the digits that a large common mean would cost.
    """

    def __init__(self, x: Float64[Tensor, "batch p"], y: Float64[Tensor, "batch q"]) -> None:
        self.widths = x.shape[1], y.shape[1]
        self.samples = 0
        # By way of the first row, so that constant columns become exact zeros.
        self._offsets = [part[0] + (part - part[0]).mean(0) for part in (x, y)]
        width = sum(self.widths)
        self._z = x.new_zeros(width)
        self._zz = x.new_zeros(width, width)
        self._length = x.new_zeros(2)
        self._length_length = x.new_zeros(2, 2)
        self._length_z = x.new_zeros(2, width)

    def add(self, x: Float64[Tensor, "batch p"], y: Float64[Tensor, "batch q"]) -> None:
        x, y = (part.to(self._z.device) - offset for part, offset in zip((x, y), self._offsets, strict=True))
        z = torch.cat([x, y], 1)
        length = torch.stack([x.square().sum(1), y.square().sum(1)])
        self.samples += z.shape[0]
        self._z += z.sum(0)
        self._zz += z.mT @ z
        self._length += length.sum(1)
        self._length_length += length @ length.mT
        self._length_z += length @ z

    def pairs(self) -> tuple[GramPair, GramPair, GramPair]:
        """What HSIC needs of (K, L), (K, K) and (L, L), the Gram matrices scaled to trace 1."""
        n, p = self.samples, self.widths[0]
        mean = self._z / n
        centred = self._zz - n * torch.outer(mean, mean)
        traces, squares = self._diagonals(mean)
        pairs = []
        for i, j, block in ((0, 1, centred[:p, p:]), (0, 0, centred[:p, :p]), (1, 1, centred[p:, p:])):
            # Without variance a trace is 0 and all of this NaN, as CKA is.
            unit = traces[i] * traces[j]
            product = torch.linalg.vector_norm(block).square()
            pairs.append(GramPair(product / unit, squares[i, j] / unit, unit / unit))
        return pairs[0], pairs[1], pairs[2]

    def _diagonals(self, mean: Float64[Tensor, "width"]) -> tuple[Float64[Tensor, "2"], Float64[Tensor, "2 2"]]:
        """Sums over samples of a = |x − μ|² and b = |y − ν|² (the traces of K and L), and of aa, ab and bb.

        The means μ and ν are known only now, but a = |x|² − 2μ·x + |μ|², so products of a and b are made of sums kept.
        """
        n, p = self.samples, self.widths[0]
        means = torch.stack([mean, mean])
        means[0, p:], means[1, :p] = 0, 0
        level = means.square().sum(1)
        mixed = torch.outer(self._length, level) - 2 * self._length_z @ means.mT
        squares = self._length_length + mixed + mixed.mT + 4 * means @ self._zz @ means.mT
        return self._length - n * level, squares - 3 * n * torch.outer(level, level)
