"""What all engines share: taking samples where a site is reached, and ending the forward pass once all are taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from phasescope.hooks.sites import Site


@dataclass(frozen=True)
class ByHead:
    """What heads write, before it is multiplied out: `[samples, heads, d_head]` and `[heads, d_head, d_model]`."""

    values: Float[Tensor, "samples heads d_head"]
    matrices: Float[Tensor, "heads d_head d_model"]

    @property
    def product(self) -> Float[Tensor, "samples heads d_model"]:
        """What each head writes."""
        import torch

        return torch.einsum("shd,hdm->shm", self.values, self.matrices)


class Activations(Mapping["Site", "Tensor"]):
    """Samples by site; those of heads are multiplied out when they are asked for."""

    def __init__(self, shown: Mapping[Site, Tensor | ByHead]) -> None:
        self.shown = shown

    def __getitem__(self, site: Site) -> Float[Tensor, "samples ..."]:
        found = self.shown[site]
        return found.product if isinstance(found, ByHead) else found

    def __iter__(self) -> Iterator[Site]:
        return iter(self.shown)

    def __len__(self) -> int:
        return len(self.shown)


@dataclass(frozen=True)
class Reading:
    """What one batch showed, on the model's device and in the model's dtype.

    activations: per site, `[samples, ...]` with the axes that `Site.shape` names; sample number
        `sequence * k + j` is position `positions[sequence, j]`.
    final_hidden: `[batch, context, d]`, what the unembedding multiplies (after the final norm), if asked for.
    """

    activations: Mapping[Site, Float[Tensor, "samples ..."]]
    final_hidden: Float[Tensor, "batch context d"] | None = None

    def __getitem__(self, site: str | Site) -> Float[Tensor, "samples ..."]:
        """The activations of a site, by its name: `reading["L3.mlp_out"]`."""
        from phasescope.hooks.sites import Site

        wanted = Site.parse(site) if isinstance(site, str) else site
        if wanted not in self.activations:
            known = [one.short for one in self.activations]
            raise PhasescopeError(f"{wanted.short} was not read. {did_you_mean(wanted.short, known)}")
        return self.activations[wanted]


class Sampler:
    """Takes the sampled positions out of a whole batch, on the device where the batch is."""

    def __init__(self, positions: Int[Tensor, "batch k"], context: int) -> None:
        import torch

        batch, k = positions.shape
        self._axes = (batch, context)
        sequences = torch.arange(batch, device=positions.device)
        self._rows = (sequences[:, None] * context + positions).flatten()
        self._sequences = sequences.repeat_interleave(k)
        self._positions = positions.flatten()

    def at(self, value: Float[Tensor, "batch context ..."]) -> Float[Tensor, "samples ..."]:
        """The samples of a tensor that has one vector (or one per head) for every position.

        Some models put all positions of a batch side by side, `[batch * context, d]` (OPT's MLPs). Raises
        PhasescopeError for a shape that is neither: its rows are not positions.
        """
        batch, context = self._axes
        if value.shape[:2] != self._axes and (value.ndim != 2 or len(value) != batch * context):
            raise PhasescopeError(
                f"A site shows {list(value.shape)} for {batch} sequences of {context} tokens: not one vector for every "
                "position. Leave it out, or name another module for it with --module."
            )
        # One gather of whole rows. Indexing with two tensors would do the same several times slower.
        rows = value if value.ndim == 2 else value.flatten(0, 1)
        return rows.index_select(0, self._rows)

    def queries(self, pattern: Float[Tensor, "batch heads query key"] | None) -> Float[Tensor, "samples heads key"]:
        """The samples of an attention pattern: the rows of the sampled queries.

        Raises PhasescopeError if attention handed out none.
        """
        if pattern is None:
            raise PhasescopeError(
                "Attention in this model hands out no pattern: leave the pattern out, or load the model "
                "with attn_implementation='eager'."
            )
        return pattern[self._sequences, :, self._positions]


def ov_out(values: Float[Tensor, "samples heads d_head"], W_O: Float[Tensor, "heads d_head d_model"]) -> ByHead:
    """What each head would write if it attended to its own position only: `v_h · W_O,h`.

    The values contain their bias (they are TransformerLens' `hook_v`); the bias of W_O belongs to no head and is
    left out. Nothing is mixed over positions.
    """
    return ByHead(values, W_O)


def attended(component: str, pattern: Float[Tensor, "samples heads key"]) -> Float[Tensor, "samples heads ..."]:
    """The pattern, or what a row of it leaves to the sink: a head's learned score beside those of tokens."""
    return pattern if component == "pattern" else 1 - pattern.sum(-1)


class EverythingSeen(Exception):  # noqa: N818 - not an error: it ends a forward pass that has nothing left to show
    """Raised inside a forward pass when everything that was wanted has been seen."""


class Collector:
    """Keeps what the hooks of one forward pass hand over, and ends the pass when nothing is left to wait for."""

    def __init__(self, sites: Iterable[Site], *, final_hidden: bool, stop: bool = True) -> None:
        self._awaited = set(sites)
        self._final_hidden = final_hidden
        self._stop = stop
        self.found: dict[Site, Tensor | ByHead] = {}
        self.hidden: Tensor | None = None

    def keep(self, site: Site, value: Tensor | ByHead) -> None:
        """Keep one site's samples. Raises EverythingSeen after the last, if the pass may end there."""
        self.found[site] = value
        self._awaited.discard(site)
        self._end_if_complete()

    def keep_final_hidden(self, value: Tensor) -> None:
        """Keep what the unembedding is given, before it makes logits. Raises EverythingSeen as `keep` does."""
        self.hidden = value
        self._end_if_complete()

    def reading(self) -> Reading:
        """What was found. Raises PhasescopeError if the forward pass ended without reaching everything."""
        missing = [site.short for site in sorted(self._awaited)]
        if self._final_hidden and self.hidden is None:
            missing.append("the unembedding")
        if missing:
            raise PhasescopeError(
                f"The forward pass ended without reaching {', '.join(missing)}: the model is not built as its "
                "architecture says."
            )
        return Reading(Activations(self.found), self.hidden)

    def _end_if_complete(self) -> None:
        if self._stop and not self._awaited and (self.hidden is not None or not self._final_hidden):
            raise EverythingSeen
