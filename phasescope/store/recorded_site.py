"""What a shard recorded of one site, whichever way it is kept: whole, or as what each head multiplies and by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.store.trouble import damaged

if TYPE_CHECKING:
    from jaxtyping import Float
    from numpy.typing import NDArray

    from phasescope.store.container import Container


@dataclass(frozen=True)
class RecordedSite:
    """Samples of a site.

    values: `[samples, …]` as the site has them; with `matrices`, of each head what is multiplied by its matrix,
        `[samples, heads, d_head]`.
    matrices: `[heads, d_head, d_model]`, or None.
    """

    values: Float[NDArray[Any], "samples ..."]
    matrices: Float[NDArray[Any], "heads d_head d_model"] | None = None

    def whole(self) -> Float[NDArray[Any], "samples ..."]:
        """As the site has them: of heads with matrices `[samples, heads, d_model]`."""
        if self.matrices is None:
            return self.values
        by_head = np.matmul(_single(self.values).swapaxes(0, 1), _single(self.matrices))
        return np.ascontiguousarray(by_head.swapaxes(0, 1))

    def head(self, head: int) -> Float[NDArray[Any], "samples d"]:
        """One head."""
        if self.matrices is None:
            return np.ascontiguousarray(self.values[:, head])
        found: NDArray[Any] = _single(self.values[:, head]) @ _single(self.matrices[head])
        return found

    def total(self) -> Float[NDArray[Any], "samples d"]:
        """The sum over heads."""
        if self.matrices is None:
            return np.asarray(self.values.sum(1))
        flat = _single(self.values).reshape(len(self.values), -1)
        found: NDArray[Any] = flat @ _single(self.matrices).reshape(flat.shape[1], -1)
        return found

    def coordinates(self, head: int) -> Float[NDArray[Any], "samples k"]:
        """One head in an orthonormal basis of what it can write, where that has fewer dimensions: the same products.

        With Wᵀ = QR, v W is v Rᵀ in the basis Q.
        """
        if self.matrices is None:
            return self.head(head)
        triangle = np.linalg.qr(self.matrices[head].astype(np.float64).T, mode="r")
        return np.asarray(self.values[:, head] @ triangle.T)


def recorded_site(shard: Container, site: str, rows: slice | None = None) -> RecordedSite:
    """All samples of a site (by its full name), or some rows. Raises `PhasescopeError` where the shard lacks it."""
    name = f"activations/{site}"
    times = shard.attrs_of(name).get("times")
    values = shard.read(name, rows)
    if times is None:
        return RecordedSite(values)
    matrices = shard.read(str(times))
    if matrices.ndim != 3 or values.shape[1:] != matrices.shape[:2]:
        raise damaged(shard.path, f"{times} is {list(matrices.shape)}, and {name} {list(values.shape)}")
    return RecordedSite(values, matrices)


def site_shape(shard: Container, site: str) -> tuple[int, ...]:
    """The shape that a site has as a whole, without reading it."""
    name = f"activations/{site}"
    times, shape = shard.attrs_of(name).get("times"), shard.shape(name)
    return shape if times is None else (*shape[:2], shard.shape(str(times))[-1])


def _single(values: NDArray[Any]) -> NDArray[np.float32]:
    return values.astype(np.float32, copy=False)
