"""Activations of sites at the sampled positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from phasescope.hooks import ByHead, Reading, Site, TappedModel
    from phasescope.store import Scalar, Writer
    from phasescope.texts import Inputs


class ActivationProbe:
    """Writes `/activations/<site>` `[samples, ...]`; sample `sequence * k + j` is position `positions[sequence, j]`."""

    def __init__(self, model: TappedModel, inputs: Inputs, storage: str) -> None:
        self._axes = model.architecture.axes
        self._attends = [model.architecture.attends(model.model.config, layer) for layer in range(model.n_layers)]
        self._per_sequence = inputs.positions.shape[1]
        self._samples = inputs.sequences * self._per_sequence
        self._storage = storage

    def write(self, writer: Writer, reading: Reading, first_sequence: int) -> None:
        """Write what one batch showed; its first sequence is number `first_sequence`."""
        from phasescope.hooks import Activations, ByHead

        known = reading.activations
        shown = known.shown if isinstance(known, Activations) else known
        for site, values in shown.items():
            attrs: dict[str, Scalar] = {
                "component": site.component,
                "layer": site.layer,
                "units": "activation",
                **self._attends[site.layer],
            }
            if isinstance(values, ByHead) and self._is_smaller(values):
                attrs |= {"axes": "samples heads d_head", "times": f"head_matrices/{site.name}"}
                if not first_sequence:
                    self._write_matrices(writer, site, values.matrices)
                values = values.values
            else:
                attrs["axes"] = " ".join(("samples", *self._axes(site)))
            rows = to_storage(known[site] if isinstance(values, ByHead) else values, self._storage, site.short)
            if site.component == "routed" and not _keeps_zeros(rows, known[site]):
                rows = to_storage(known[site], "float32", site.short)
            writer.append(f"activations/{site.name}", rows, first_sequence * self._per_sequence, self._samples, attrs)

    def _is_smaller(self, values: ByHead) -> bool:
        """Whether it takes less room to keep what heads are multiplied by than to multiply."""
        _, width, d_model = values.matrices.shape
        smaller: bool = self._samples * width + width * d_model < self._samples * d_model
        return smaller

    def _write_matrices(self, writer: Writer, site: Site, matrices: Tensor) -> None:
        """In float16 where that holds every number as it is."""
        import numpy as np

        from phasescope.store import Entry

        exact = to_storage(matrices, "float32", f"what {site.short} is multiplied by")
        with np.errstate(over="ignore"):
            half = exact.astype(np.float16)
        kept = half if np.array_equal(half, exact) else exact
        attrs: dict[str, Scalar] = {
            "component": site.component,
            "layer": site.layer,
            "units": "weight",
            "axes": "heads d_head d_model",
        }
        writer.put(f"head_matrices/{site.name}", Entry(kept, attrs))


def to_storage(values: Tensor, storage: str, name: str) -> NDArray[Any]:
    """As a NumPy array in float32, or in float16 where asked and nothing overflows.

    Raises `BadCheckpointError` where a value is not finite: the model's, not the storage's, doing.
    """
    import numpy as np

    array: NDArray[Any] = values.detach().float().cpu().numpy()
    if not np.isfinite(array).all():
        raise BadCheckpointError(f"{name} has values that are not finite: the model overflows. Try --dtype float32.")
    if storage == "float16" and (not array.size or np.abs(array).max() <= np.finfo(np.float16).max):
        return array.astype(np.float16)
    return array


def _keeps_zeros(rows: NDArray[Any], values: Tensor) -> bool:
    """Whether what is 0 as it is kept was 0: an expert with a weight above 0 is one that was chosen."""
    return int((rows == 0).sum()) == int((values == 0).sum())
