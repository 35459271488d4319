"""Weights: singular values of every matrix and circuit, always; the matrices themselves if asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phasescope.store import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from phasescope.hooks import TappedModel
    from phasescope.store import Writer


def record_weights(model: TappedModel, vocabulary: int, keep_matrices: bool, writer: Writer) -> None:
    """Write `/spectra/<weight site>` (float64), `/fingerprints/…` and, if asked, `/weights/<weight site>`.

    A fingerprint is a few entries of the matrix, at the same places at every step, and a digest of all of it.

    Circuits, per head of attention: `blocks.3.attn.OV` is `W_V W_O`, `blocks.3.attn.QK` is `W_Q W_Kᵀ`; neither product
    is formed. Where heads share keys and values, `key_values` is how many of these there truly are. Of the embedding
    and the unembedding only the rows of real tokens count, not the padding.
    """
    import torch

    from phasescope.measures import circuit_singular_values, singular_values

    weights = dict(without_padding(model.weights(), vocabulary))
    for name, weight in weights.items():
        attrs = site_attrs(name, largest=min(weight.shape[-2:]), rows=weight.shape[-2], columns=weight.shape[-1])
        # One expert at a time: together they may be most of the model.
        values = torch.stack([singular_values(one) for one in weight]) if _of_experts(name) else singular_values(weight)
        writer.put(f"spectra/{name}", Entry(values.cpu().numpy(), attrs | shared_heads(model, name)))
        if keep_matrices:
            writer.put(f"weights/{name}", Entry(weight.detach().float().cpu().numpy(), site_attrs(name)))
    _record_fingerprints(weights, writer)
    for name, left, right in circuits(weights):
        attrs = site_attrs(name, largest=left.shape[-1], rows=left.shape[-2], columns=right.shape[-1])
        writer.put(f"spectra/{name}", Entry(circuit_singular_values(left, right).cpu().numpy(), attrs))


def _of_experts(name: str) -> bool:
    return ".experts." in name


def _record_fingerprints(weights: dict[str, Tensor], writer: Writer) -> None:
    """What tells matrices of different checkpoints apart when they are gone: in four arrays, to be read at once."""
    from phasescope.measures.sampled import digest_of_bytes, sampled_entries

    names = sorted(weights)
    sampled = [sampled_entries(weights[name], name) for name in names]
    writer.put("fingerprints/matrices", Entry(np.array(names), encoding="strings"))
    writer.put(
        "fingerprints/digests", Entry(np.array([digest_of_bytes(weights[name]) for name in names]), encoding="strings")
    )
    writer.put("fingerprints/counts", Entry(np.array([len(entries) for entries in sampled], dtype=np.int64)))
    writer.put("fingerprints/entries", Entry(np.concatenate(sampled)))


def circuits(weights: dict[str, Tensor]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name and factors of every circuit: OV `[heads, d_model, d_head]`, `[heads, d_head, d_model]`; QK likewise."""
    # Layers that use the keys and values of another have queries alone.
    queries = [name.removesuffix(".W_Q") for name in weights if name.endswith(".attn.W_Q")]
    blocks = [block for block in queries if f"{block}.W_V" in weights]
    for block in blocks:
        W_Q, W_K, W_V, W_O = (weights[f"{block}.W_{letter}"] for letter in "QKVO")
        yield f"{block}.OV", W_V, W_O
        yield f"{block}.QK", W_Q, W_K.mT


def shared_heads(model: TappedModel, name: str) -> dict[str, str | int]:
    """Of W_K and W_V how many different heads they truly have: what queries share is repeated for each."""
    if not name.endswith((".attn.W_K", ".attn.W_V")):
        return {}
    heads = model.heads_in(int(name.split(".")[1]))
    return {"key_values": heads.key_values} if heads else {}


def without_padding(weights: dict[str, Tensor], vocabulary: int) -> Iterator[tuple[str, Tensor]]:
    """Weights, or gradients of them, with only the rows of real tokens in the embedding and the unembedding."""
    for name, weight in weights.items():
        if name == "embed.W_E":
            yield name, weight[:vocabulary]
        elif name == "unembed.W_U":
            yield name, weight[:, :vocabulary]
        else:
            yield name, weight


def site_attrs(name: str, **numbers: int) -> dict[str, str | int]:
    """What every array about a weight site says of it: its component, its layer, and these numbers."""
    parts = name.split(".")
    layer = {"layer": int(parts[1])} if parts[0] == "blocks" else {}
    # Experts and the expert that all tokens share have matrices of the same names as an MLP.
    first = -2 if parts[-2] in ("experts", "shared") else -1
    return {"component": ".".join(parts[first:]), **layer, **numbers}
