"""Activations of sites at the sampled positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phasescope.errors import BadCheckpointError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from phasescope.hooks import Reading, TappedModel
    from phasescope.store import Scalar, Writer
    from phasescope.texts import Inputs


class ActivationProbe:
    """Writes `/activations/<site>` `[samples, ...]`; sample `sequence * k + j` is position `positions[sequence, j]`."""

    def __init__(self, model: TappedModel, inputs: Inputs, storage: str) -> None:
        self._attends = [model.architecture.attends(model.model.config, layer) for layer in range(model.n_layers)]
        self._per_sequence = inputs.positions.shape[1]
        self._samples = inputs.sequences * self._per_sequence
        self._storage = storage

    def write(self, writer: Writer, reading: Reading, first_sequence: int) -> None:
        """Write what one batch showed; its first sequence is number `first_sequence`."""
        for site, values in reading.activations.items():
            rows = to_storage(values, self._storage, site.short)
            attrs: dict[str, Scalar] = {
                "component": site.component,
                "layer": site.layer,
                "units": "activation",
                "axes": _axes(site.shape),
                **self._attends[site.layer],
            }
            writer.append(f"activations/{site.name}", rows, first_sequence * self._per_sequence, self._samples, attrs)


def _axes(shape: tuple[str, ...]) -> str:
    return " ".join(("samples", *shape))


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
