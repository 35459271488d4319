"""Weights: singular values of every matrix and circuit, always; the matrices themselves if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasescope.store import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from phasescope.hooks import TappedModel
    from phasescope.store import Writer


def record_weights(model: TappedModel, vocabulary: int, keep_matrices: bool, writer: Writer) -> None:
    """Write `/spectra/<weight site>` (float64) and, if asked, `/weights/<weight site>` (float32).

    Circuits, per head of attention: `blocks.3.attn.OV` is `W_V W_O`, `blocks.3.attn.QK` is `W_Q W_Kᵀ`; neither product
    is formed. Where heads share keys and values, `key_values` is how many of these there truly are. Of the embedding
    and the unembedding only the rows of real tokens count, not the padding.
    """
    from phasescope.measures import circuit_singular_values, singular_values

    weights = dict(_without_padding(model.weights(), vocabulary))
    for name, weight in weights.items():
        attrs = _attrs(name, largest=min(weight.shape[-2:]), rows=weight.shape[-2], columns=weight.shape[-1])
        if model.heads and name.endswith((".attn.W_K", ".attn.W_V")):
            attrs["key_values"] = model.heads.key_values
        writer.put(f"spectra/{name}", Entry(singular_values(weight).cpu().numpy(), attrs))
        if keep_matrices:
            writer.put(f"weights/{name}", Entry(weight.detach().float().cpu().numpy(), _attrs(name)))
    for layer in range(model.n_layers if model.heads else 0):
        block = f"blocks.{layer}.attn"
        circuits = {
            "OV": (weights[f"{block}.W_V"], weights[f"{block}.W_O"]),
            "QK": (weights[f"{block}.W_Q"], weights[f"{block}.W_K"].mT),
        }
        for circuit, (left, right) in circuits.items():
            attrs = _attrs(f"{block}.{circuit}", largest=left.shape[-1], rows=left.shape[-2], columns=right.shape[-1])
            values = circuit_singular_values(left, right).cpu().numpy()
            writer.put(f"spectra/{block}.{circuit}", Entry(values, attrs))


def _without_padding(weights: dict[str, Tensor], vocabulary: int) -> Iterator[tuple[str, Tensor]]:
    for name, weight in weights.items():
        if name == "embed.W_E":
            yield name, weight[:vocabulary]
        elif name == "unembed.W_U":
            yield name, weight[:, :vocabulary]
        else:
            yield name, weight


def _attrs(name: str, **numbers: int) -> dict[str, str | int]:
    parts = name.split(".")
    layer = {"layer": int(parts[1])} if parts[0] == "blocks" else {}
    return {"component": parts[-1], **layer, **numbers}
