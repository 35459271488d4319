"""Singular values by the cheapest exact route, and the effective rank that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from phasescope.measures._tensors import as_float64, as_tensor, shape_of

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Float64
    from torch import Tensor

    from phasescope.measures._tensors import Array

# The eigenvalues of a Gram matrix carry an error of about 1e-16 of the largest. Down to this ratio of smallest to
# largest, their square roots are therefore the singular values to better than 1e-5, the large ones to 1e-15.
_GRAM_IS_EXACT = 1e-10
# Bound on the squared condition number up to which a factor's Gram matrix determines it to 1e-8.
_CHOLESKY_IS_EXACT = 1e8
# Entries turned into float64 at a time (8 MiB), so that an embedding matrix is never copied whole.
_CHUNK = 2**20


def singular_values(weight: Float[Array, "... rows cols"]) -> Float64[Tensor, "... smaller"]:
    """The singular values of a matrix, descending; `smaller` is min(rows, cols). Unit: that of the weight.

    They are the square roots of the eigenvalues of the Gram matrix of the shorter side, in float64, which takes a
    fraction of the time of an SVD. Where that would lose digits (an ill-conditioned or rank-deficient matrix), they
    come from an SVD in float64. A matrix with NaN or infinite entries has NaN for singular values.

    Raises:
        ValueError: `weight` has fewer than two dimensions.
    """
    weight = as_tensor(weight)
    if weight.ndim < 2:
        raise ValueError(f"a weight must be [..., rows, cols]; this one is {shape_of(weight)}")
    weight = weight.mT if weight.shape[-2] > weight.shape[-1] else weight
    *batch, rows, cols = weight.shape
    if weight.numel() == 0:
        return as_float64(weight.new_zeros(*batch, rows))
    matrices = weight.reshape(-1, rows, cols)
    scale = as_float64(matrices.new_ones(len(matrices)))
    if matrices.dtype == torch.float64:  # The squares of narrower types' numbers are far inside its range as they are.
        scale = _finite_and_scale(matrices)[1]
        matrices = matrices / scale[:, None, None]
    gram = _gram(matrices)
    # What is not finite in a row is not finite in its square.
    finite = gram.diagonal(dim1=1, dim2=2).sum(-1).isfinite()
    gram[~finite] = torch.eye(rows, dtype=gram.dtype, device=gram.device)
    eigenvalues = torch.linalg.eigvalsh(gram).flip(-1)
    values = eigenvalues.clamp(min=0).sqrt()
    lossy = ~(eigenvalues[:, -1] > _GRAM_IS_EXACT * eigenvalues[:, 0])
    if bool(lossy.any()):
        exact = matrices[lossy.to(matrices.device)]
        # Columns of zeros add nothing: of an embedding's gradient, those of all tokens that were not read.
        exact = as_float64(exact[..., (exact != 0).any(-2).any(0)])
        found = torch.linalg.svdvals(exact)
        values[lossy] = torch.nn.functional.pad(found, (0, rows - found.shape[-1]))
    values = torch.where(finite[:, None], values * scale[:, None], torch.nan)
    return values.reshape(*batch, rows)


def _gram(matrices: Float[Tensor, "batch rows cols"]) -> Float64[Tensor, "batch rows rows"]:
    """The Gram matrices of the rows, summed over runs of columns."""
    if matrices.device.type == "cpu":
        return torch.stack([_symmetric_product(matrix) for matrix in matrices])
    batch, rows, _ = matrices.shape
    total = torch.zeros(batch, rows, rows, dtype=torch.float64, device=matrices.device)
    for run in torch.split(matrices, max(1, _CHUNK // (batch * rows)), dim=2):
        part = as_float64(run)
        total.baddbmm_(part, part.mT)
    return total


def _symmetric_product(matrix: Float[Tensor, "rows cols"]) -> Float64[Tensor, "rows rows"]:
    """M Mᵀ by BLAS' `dsyrk`, which makes one half of it, in float64 that is written over run by run."""
    from scipy.linalg.blas import dsyrk

    rows, cols = matrix.shape
    width = max(1, min(_CHUNK // rows, cols))
    buffer = torch.empty(width, rows, dtype=torch.float64)
    half = np.zeros((rows, rows), order="F")
    for run in torch.split(matrix, width, dim=1):
        part = buffer[: run.shape[1]]
        part.copy_(run.mT)
        half = dsyrk(1.0, part.numpy().T, beta=1.0, c=half, lower=1, overwrite_c=1)
    lower = torch.from_numpy(half)
    return lower.tril() + lower.tril(-1).mT


def circuit_singular_values(a: Float[Array, "... m k"], b: Float[Array, "... k n"]) -> Float64[Tensor, "... smallest"]:
    """The singular values of the product a @ b of two thin factors, descending, without forming it.

    With a = Q R and bᵀ = P S (Q and P orthonormal columns), a @ b = Q (R Sᵀ) Pᵀ has the singular values of the small
    R Sᵀ. R and S are the Cholesky factors of aᵀa and bbᵀ in float64, or come from Householder QR where a factor is too
    ill-conditioned for that. Values below the rounding of the product are returned as 0.

    Args:
        a: one factor, such as W_V of every head [heads, d_model, d_head].
        b: the other, such as W_O of every head [heads, d_head, d_model]. Batch dimensions broadcast.

    Returns:
        min(m, k, n) values per circuit, in the unit of a times that of b; NaN where a factor has NaN
        or infinite entries.

    Raises:
        ValueError: the shapes do not fit a product.

    >>> W_V, W_O = torch.randn(12, 768, 64), torch.randn(12, 64, 768)
    >>> circuit_singular_values(W_V, W_O).shape
    torch.Size([12, 64])
    """
    a, b = as_float64(a), as_float64(b)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ValueError(f"factors must be [..., m, k] and [..., k, n]; they are {shape_of(a)} and {shape_of(b)}")
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(f"factors {shape_of(a)} and {shape_of(b)} differ in their batch dimensions") from None
    smallest = min(*a.shape[-2:], b.shape[-1])
    if smallest == 0:
        return a.new_zeros(*batch, smallest)
    # From here on both are tall: [circuits, m, k] and [circuits, n, k].
    a = a.expand(*batch, *a.shape[-2:]).reshape(-1, *a.shape[-2:])
    b = b.mT.expand(*batch, *b.mT.shape[-2:]).reshape(-1, *b.mT.shape[-2:])
    (finite_a, scale_a), (finite_b, scale_b) = _finite_and_scale(a), _finite_and_scale(b)
    finite, scale = finite_a & finite_b, scale_a * scale_b
    values = _core_singular_values(
        torch.where(finite[:, None, None], a / scale_a[:, None, None], 0),
        torch.where(finite[:, None, None], b / scale_b[:, None, None], 0),
    )
    values = torch.where(finite[:, None], values * scale[:, None], torch.nan)
    return values.reshape(*batch, smallest)


def _core_singular_values(
    a: Float64[Tensor, "circuits m k"], b: Float64[Tensor, "circuits n k"]
) -> Float64[Tensor, "circuits smallest"]:
    """The singular values of a bᵀ by way of its factors' triangular parts."""
    tall = min(a.shape[1], b.shape[1]) >= a.shape[2]
    values = a.new_zeros(a.shape[0], min(a.shape[1], b.shape[1], a.shape[2]))
    by_qr = torch.ones(a.shape[0], dtype=torch.bool, device=a.device)
    if tall:
        (R, R_exact), (S, S_exact) = _cholesky(a), _cholesky(b)
        by_qr = ~(R_exact & S_exact)
        values[~by_qr] = singular_values((R.mT @ S)[~by_qr])
    if bool(by_qr.any()):
        R, S = (torch.linalg.qr(factor[by_qr], mode="r").R for factor in (a, b))
        values[by_qr] = singular_values(R @ S.mT)
    rounding = torch.finfo(values.dtype).eps * max(*a.shape[1:], *b.shape[1:])
    largest = torch.linalg.vector_norm(a, dim=(1, 2)) * torch.linalg.vector_norm(b, dim=(1, 2))
    return torch.where(values > rounding * largest[:, None], values, 0)


def _cholesky(
    factor: Float64[Tensor, "circuits long k"],
) -> tuple[Float64[Tensor, "circuits k k"], Bool[Tensor, "circuits"]]:
    """The lower Cholesky factor of each Gram matrix, and whether it is as good as a QR."""
    lower, failed = torch.linalg.cholesky_ex(factor.mT @ factor)
    unit = torch.eye(lower.shape[-1], dtype=lower.dtype, device=lower.device)
    inverse = torch.linalg.solve_triangular(lower, unit, upper=False)
    condition = torch.linalg.vector_norm(lower, dim=(1, 2)) * torch.linalg.vector_norm(inverse, dim=(1, 2))
    return lower, (failed == 0) & (condition.square() < _CHOLESKY_IS_EXACT)


def _finite_and_scale(
    matrices: Float[Tensor, "batch rows cols"],
) -> tuple[Bool[Tensor, "batch"], Float64[Tensor, "batch"]]:
    """Whether every entry is finite, and the largest in size, to divide by (1 where that is 0 or not finite)."""
    largest = as_float64(torch.linalg.vector_norm(matrices, ord=torch.inf, dim=(1, 2)))
    finite = largest.isfinite()
    return finite, torch.where(finite & (largest > 0), largest, 1)


def effective_rank(weight: Float[Array, "... rows cols"]) -> Float64[Tensor, "..."]:
    """The effective rank of a matrix (Roy & Vetterli 2007): the number of dimensions that it uses.

    The exponential of the entropy (nats) of its singular values divided by their sum: r for a matrix with r equal
    singular values and none else, and the closer to 1 the more one of them dominates.

    Returns:
        1 … min(rows, cols); NaN for a matrix of zeros, or with a NaN or infinite entry.

    Raises:
        ValueError: `weight` has fewer than two dimensions.

    >>> round(float(effective_rank(torch.eye(5))), 6)
    5.0
    """
    return effective_rank_of(singular_values(weight))


def proportional_effective_rank(weight: Float[Array, "... rows cols"]) -> Float64[Tensor, "..."]:
    """The effective rank over the largest possible, min(rows, cols): above 0, at most 1. NaN and errors likewise."""
    return proportional_effective_rank_of(singular_values(weight))


def effective_rank_of(singular_values: Float[Array, "... k"]) -> Float64[Tensor, "..."]:
    """The effective rank of matrices whose singular values are known (see `effective_rank`)."""
    values = as_float64(singular_values)
    if values.shape[-1] == 0:
        return values.new_full(values.shape[:-1], torch.nan)
    # Zeros alone become NaN here, by 0 / 0.
    values = values / values.amax(-1, keepdim=True)
    shares = values / values.sum(-1, keepdim=True)
    entropy: Tensor = torch.special.entr(shares).sum(-1)
    return entropy.exp()


def proportional_effective_rank_of(singular_values: Float[Array, "... k"]) -> Float64[Tensor, "..."]:
    """The effective rank over the largest possible, which is the number of singular values.

    For a circuit (`circuit_singular_values`) that is d_head, as in the study of layer stability (arXiv 2410.11451).
    """
    values = as_float64(singular_values)
    return effective_rank_of(values) / values.shape[-1]


def contrasts(values: Float[Array, "samples d"]) -> Float64[Tensor, "contrasts d"]:
    """Activations with their columns centred; or as many rows less one with the same singular values.

    Centring takes one dimension of the rows: its singular value is exactly 0. Where samples are the shorter side, the
    orthonormal Helmert contrasts leave that dimension out, so that the matrix has full rank.

    Raises:
        ValueError: `values` is not a matrix.
    """
    from scipy.linalg import helmert

    values = as_float64(values)
    if values.ndim != 2:
        raise ValueError(f"activations must be [samples, d]; these are {shape_of(values)}")
    shifted = values - values[:1]
    if 1 < len(values) <= values.shape[1]:
        return torch.from_numpy(helmert(len(values))).to(values.device) @ shifted
    return shifted - shifted.mean(0)
