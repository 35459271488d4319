"""Constants among the tensors of a checkpoint: what old versions of transformers saved beside the weights.

A buffer that a module registers is saved with its weights unless it is marked as not persistent. Until that was done,
files held what any model of that configuration computes for itself. Kinds, and who wrote them (read in the modules of
transformers 4.11.3, 4.20.1, 4.26.1, 4.28.1, 4.30.2, 4.33.3, 4.37.2 and 4.45.2; the first and last of these that did):

| kind | name | written by |
| --- | --- | --- |
| causal mask | `attn.bias`, `attention.bias` and the like | GPT-2, GPT-J to 4.28; GPT-Neo, GPT-NeoX, GPT to 4.30 |
| | `attn.causal_mask` | CodeGen to 4.30 |
| what masked scores were set to | `masked_bias` | GPT-2, GPT-J to 4.28; GPT-Neo, GPT-NeoX to 4.30 |
| frequencies of rotary embeddings | `rotary_emb.inv_freq` | Llama 4.28 to 4.30; GPT-NeoX to 4.33; ESM to this day |
| tables of sines and cosines | `attn.embed_positions` | GPT-J, CodeGen where a program made the table a buffer |
| | `cos_cached`, `sin_cached` | models with code of their own; not persistent in transformers |
| positions | `embeddings.position_ids`, `position_ids` | BERT, RoBERTa, ELECTRA, GPT and others to 4.30 |
| version of fairseq's layout | `decoder.version` | OPT, Llama: they ignore it, to 4.30 |

transformers itself drops some of these by name and reports the others as unexpected. Here a name is not enough: the
tensor has to be that constant, or else it is something that was learnt and would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# Half precision, of values up to 1.
_ROUNDING = 1e-2


def constants_among(names: Iterable[str], stored: Iterable[str], read: Callable[[str], Tensor]) -> set[str]:
    """Those of the names whose tensors are constants of one of the kinds above.

    stored: the names of a checkpoint's tensors; read: gives one of them. A model's head puts a prefix before the names
    of one that was saved without it, so a name is found by its end too.
    """
    found, there = set(), list(stored)
    for name in names:
        rule = next((rule for pattern, rule in _KINDS if pattern.search(name)), None)
        own = next((one for one in there if _same(name, one)), None) if rule else None
        if rule and own is not None and rule(read(own)):
            found.add(name)
    return found


def _same(name: str, stored: str) -> bool:
    return name == stored or name.endswith(f".{stored}") or stored.endswith(f".{name}")


def _is_mask(tensor: Tensor) -> bool:
    """Ones (or any one number) where a token may look, zeros after it; in local attention also far before it."""
    import torch

    if tensor.ndim < 2 or tensor.shape[-1] != tensor.shape[-2] or tensor.shape[:-2].numel() != 1:
        return False
    mask = tensor.reshape(tensor.shape[-2:])
    seen = mask != 0
    one = mask[0, 0]
    return bool(seen.diagonal().all() and not torch.triu(seen, 1).any() and (mask[seen] == one).all())


def _is_masked_score(tensor: Tensor) -> bool:
    return tensor.numel() == 1 and float(tensor) <= -1e3


def _is_frequencies(tensor: Tensor) -> bool:
    values = tensor.float()
    if values.ndim != 1 or not 0 < float(values[0]) <= 1 + _ROUNDING:
        return False
    return bool((values >= 0).all() and (values.diff() <= 0).all())


def _is_sinusoids(tensor: Tensor) -> bool:
    """Rows of positions: sines and cosines side by side."""
    values = tensor.float()
    if values.ndim != 2 or values.shape[1] % 2:
        return False
    sine, cosine = values.chunk(2, dim=1)
    return bool(((sine**2 + cosine**2 - 1).abs() <= _ROUNDING).all() and (sine[0].abs() <= _ROUNDING).all())


def _is_rotary_cache(tensor: Tensor) -> bool:
    """Cosines, or sines, of positions (the last axis but one) times frequencies: one, or zero, at the first."""
    values = tensor.float()
    first = values.reshape(-1, *values.shape[-2:])[:, 0] if values.ndim > 1 else values
    ends = ((first - first.round()).abs() <= _ROUNDING).all() and (first.round() == first.round().flatten()[0]).all()
    return bool(values.ndim > 1 and ends and (values.abs() <= 1 + _ROUNDING).all())


def _is_positions(tensor: Tensor) -> bool:
    import torch

    return bool((tensor.flatten() == torch.arange(tensor.numel())).all())


def _is_version(tensor: Tensor) -> bool:
    return tensor.numel() == 1


_KINDS: tuple[tuple[re.Pattern[str], Callable[[Tensor], bool]], ...] = tuple(
    (re.compile(rf"(^|\.){pattern}$"), rule)
    for pattern, rule in (
        (r"\w*(attn|attention)\.bias", _is_mask),
        (r"causal_mask", _is_mask),
        (r"masked_bias", _is_masked_score),
        (r"(original_)?inv_freq", _is_frequencies),
        (r"embed_positions", _is_sinusoids),
        (r"(cos|sin)_cached", _is_rotary_cache),
        (r"position_ids", _is_positions),
        (r"(encoder|decoder)\.version", _is_version),
    )
)
