"""What all engines share: taking samples where a site is reached, and ending the forward pass once all are taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from phasescope.hooks.sites import Site


class Sampler:
    """Takes the sampled positions out of a whole batch, on the device where the batch is."""

    def __init__(self, positions: Int[Tensor, "batch k"], context: int) -> None:
        import torch

        batch, k = positions.shape
        sequences = torch.arange(batch, device=positions.device)
        self._rows = (sequences[:, None] * context + positions).flatten()
        self._sequences = sequences.repeat_interleave(k)
        self._positions = positions.flatten()

    def at(self, value: Float[Tensor, "batch context ..."]) -> Float[Tensor, "samples ..."]:
        """The samples of a tensor that has one vector (or one per head) for every position."""
        # One gather of whole rows. Indexing with two tensors would do the same several times slower.
        return value.flatten(0, 1).index_select(0, self._rows)

    def queries(self, pattern: Float[Tensor, "batch heads query key"]) -> Float[Tensor, "samples heads key"]:
        """The samples of an attention pattern: the rows of the sampled queries."""
        return pattern[self._sequences, :, self._positions]


def ov_out(
    values: Float[Tensor, "samples heads d_head"], W_O: Float[Tensor, "heads d_head d_model"]
) -> Float[Tensor, "samples heads d_model"]:
    """What each head would write if it attended to its own position only: `v_h · W_O,h`.

    The values contain their bias (they are TransformerLens' `hook_v`); the bias of W_O belongs to no head and is
    left out. Nothing is mixed over positions.
    """
    import torch

    return torch.einsum("shd,hdm->shm", values, W_O)


class EverythingSeen(Exception):  # noqa: N818 - not an error: it ends a forward pass that has nothing left to show
    """Raised inside a forward pass when everything that was wanted has been seen."""


class Collector:
    """Keeps what the hooks of one forward pass hand over, and ends the pass when nothing is left to wait for."""

    def __init__(self, sites: Iterable[Site], *, stop: bool) -> None:
        self._awaited = set(sites)
        self._stop = stop
        self.found: dict[Site, Tensor] = {}

    def keep(self, site: Site, value: Tensor) -> None:
        """Keep one site's samples. Raises EverythingSeen after the last, if the pass may end there."""
        self.found[site] = value
        self._awaited.discard(site)
        if self._stop and not self._awaited:
            raise EverythingSeen

    def complete(self) -> dict[Site, Tensor]:
        """What was found. Raises PhasescopeError if the forward pass ended without reaching every site."""
        if self._awaited:
            missing = ", ".join(site.short for site in sorted(self._awaited))
            raise PhasescopeError(
                f"The forward pass ended without reaching {missing}: the model is not built as its architecture says."
            )
        return self.found
