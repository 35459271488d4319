"""How often each sample was drawn in each resample."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import torch

from phasescope.measures._resampled_hsic import DrawnRun, four_draws, runs_of
from phasescope.measures._tensors import as_float64, shape_of

if TYPE_CHECKING:
    from jaxtyping import Float32, Float64, Num
    from torch import Tensor

    from phasescope.measures._tensors import Array


class Draws:
    """The counts of `bootstrap_weights`, w, for many layers and steps: what depends on nothing else is found once.

    Args:
        counts: [resamples, samples], none negative.
        device: where the activations are; by default where the counts are.

    Raises:
        ValueError: they are no matrix, or a count is negative.
    """

    def __init__(self, counts: Num[Array, "resamples samples"], device: torch.device | None = None) -> None:
        self.counts: Float64[Tensor, "resamples samples"] = as_float64(counts).to(device)
        if self.counts.ndim != 2:
            raise ValueError(f"weights must be [resamples, samples], a count per sample: {shape_of(self.counts)}")
        if not bool((self.counts >= 0).all()):
            raise ValueError("weights count draws: none may be negative or NaN")

    @cached_property
    def alone(self) -> bool:
        """Whether samples are drawn each by itself; False where neighbours share counts, as those of a sequence do."""
        return not bool((self.counts[:, 1:] == self.counts[:, :-1]).all(0).any())

    @cached_property
    def single(self) -> list[DrawnRun]:
        """For products in float32."""
        return runs_of(self.counts.float())

    @cached_property
    def variance(self) -> Float64[Tensor, ""]:
        """Of w around 1: the mean of δ²."""
        return (self.counts - 1).square().mean()

    @cached_property
    def powers(self) -> Float32[Tensor, "5 resamples samples"]:
        """δ = w − 1, w, w², w³, w⁴: what float32 products are made and summed with."""
        w = self.counts
        return torch.stack([w - 1, w, w**2, w**3, w**4]).float()

    def along(self, *vectors: Float64[Tensor, "samples"]) -> Float64[Tensor, "vectors 4 resamples"]:
        """Sums over samples of vectors times w, w², w³ and w⁴."""
        sums = self.powers[1:].flatten(0, 1) @ torch.stack(vectors, 1).float()
        return sums.mT.double().view(len(vectors), 4, -1)

    @cached_property
    def rows(self) -> Float32[Tensor, "resamples 4 samples"]:
        """The first four of these, by resample."""
        return self.powers[:4].transpose(0, 1).contiguous()

    @cached_property
    def sums(self) -> Float64[Tensor, "4 resamples"]:
        """p1, p2, p3, p4: the sums of w, w², w³, w⁴."""
        return torch.stack([self.counts.pow(power).sum(1) for power in (1, 2, 3, 4)])

    @cached_property
    def fours(self) -> Float64[Tensor, "resamples"]:
        """Ways to take four ordered draws of different samples; NaN where there is none."""
        return torch.where((self.counts > 0).sum(1) >= 4, four_draws(*self.sums), torch.nan)

    @cached_property
    def squares(self) -> tuple[Float64[Tensor, "resamples"], Float64[Tensor, "resamples"]]:
        """(α, β): the line through w² over w, in each resample."""
        n = self.counts.shape[1]
        p1, p2, p3, _ = self.sums
        spread = n * p2 - p1**2
        beta = torch.where(spread > 0, (n * p3 - p1 * p2) / spread, 0)
        return (p2 - beta * p1) / n, beta
