"""What old versions of transformers saved beside the weights, put back into files of today, as they wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from phasescope.errors import BadCheckpointError
from phasescope.suites import Checkpoint
from phasescope.suites.load import load_model
from tests.hooks import zoo

_ANGLES = torch.outer(torch.arange(64.0), 10000 ** (-torch.arange(0, 4, 2) / 4))
_MASK = torch.ones(1, 1, 64, 64, dtype=torch.bool).tril()
SINUSOIDS = torch.cat([_ANGLES.sin(), _ANGLES.cos()], 1)
WRITTEN: dict[str, dict[str, Tensor]] = {
    "GPT-2": {
        "transformer.h.0.attn.bias": _MASK.to(torch.uint8),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e4),
        "transformer.h.0.crossattention.masked_bias": torch.tensor(-1e4),
    },
    "GPT-NeoX, parallel": {
        "gpt_neox.layers.0.attention.bias": _MASK,
        "gpt_neox.layers.0.attention.masked_bias": torch.tensor(-1e9),
        "gpt_neox.layers.0.attention.rotary_emb.inv_freq": (10000 ** (-torch.arange(0, 4, 2) / 4)).half(),
    },
    "GPT-J": {
        "transformer.h.0.attn.bias": _MASK,
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e9).half(),  # minus infinity
        "transformer.h.0.attn.embed_positions": SINUSOIDS,
        "transformer.h.1.attn.embed_positions": SINUSOIDS.bfloat16(),
    },
    "Llama": {
        "model.layers.0.self_attn.rotary_emb.inv_freq": 10000 ** (-torch.arange(0, 8, 2) / 8),
        "model.layers.0.self_attn.rotary_emb.cos_cached": _ANGLES.cos().repeat(1, 2)[None, None],
        "model.layers.0.self_attn.rotary_emb.sin_cached": _ANGLES.sin().repeat(1, 2).half(),
        "model.decoder.version": torch.tensor([3.0]),
    },
    "OPT": {"model.decoder.version": torch.tensor([3.0])},
    "BERT": {"bert.embeddings.position_ids": torch.arange(64)[None]},
    # Not theirs, but the same constants in models with code of their own.
    "StableLM": {"model.layers.1.self_attn.rotary_emb.inv_freq": 10000 ** (-torch.arange(0, 8, 2) / 8)},
    "Phi": {"model.layers.1.self_attn.bias": _MASK[0, 0].float()},
}


def saved(name: str, folder: Path, added: dict[str, Tensor], *, pickled: bool = False, cut: str = "") -> Checkpoint:
    zoo.make(name).save_pretrained(folder)
    file = folder / "model.safetensors"
    tensors = {**load_file(file), **{key: tensor.clone() for key, tensor in added.items()}}
    tensors = {key.removeprefix(cut): tensor for key, tensor in tensors.items()}
    if pickled:
        file.unlink()
        torch.save(tensors, folder / "pytorch_model.bin")
    else:
        save_file(tensors, file, metadata={"format": "pt"})
    return Checkpoint("old", name, 0, 0, str(folder))


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("name", WRITTEN)
def test_constants_are_no_weights(name: str, pickled: bool, tmp_path: Path) -> None:
    model = load_model(saved(name, tmp_path, WRITTEN[name], pickled=pickled))
    wanted = zoo.make(name)
    with torch.no_grad():
        assert torch.equal(model(zoo.batch()[0]).logits, wanted(zoo.batch()[0]).logits)


def test_a_model_that_was_saved_without_its_head_has_shorter_names(tmp_path: Path) -> None:
    """As OpenAI's GPT-2 is on the hub: `h.0.attn.bias`."""
    added = {**WRITTEN["GPT-2"]}
    model = load_model(saved("GPT-2", tmp_path, added, cut="transformer."))
    assert torch.equal(model.transformer.wte.weight, zoo.make("GPT-2").transformer.wte.weight)


_HOLED = _MASK.clone()
_HOLED[0, 0, 5, 5] = False


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("self_attention.masked_bias", torch.tensor(0.3)),
        ("self_attention.masked_bias", torch.full((4,), -1e9)),
        ("self_attention.bias", torch.zeros(96)),
        ("self_attention.bias", _HOLED),
        ("self_attention.bias", _MASK * torch.rand(64, 64)),
        ("self_attention.bias", ~_MASK),
        ("attn.embed_positions", torch.randn(64, 4)),
        ("attn.embed_positions", SINUSOIDS[:, :3]),
        ("attn.rotary_emb.inv_freq", torch.tensor([0.1, 1.0])),
        ("attn.rotary_emb.inv_freq", torch.randn(2, 2)),
        ("attn.rotary_emb.cos_cached", torch.randn(64, 4)),
        ("attn.position_ids", torch.randperm(64)),
        ("attn.decoder.version", torch.randn(4)),
        ("attn.extra", _MASK),
    ],
)
def test_what_only_has_the_name_of_a_constant_is_refused(name: str, tensor: Tensor, tmp_path: Path) -> None:
    checkpoint = saved("GPT-J", tmp_path, {f"transformer.h.0.{name}": tensor})
    with pytest.raises(BadCheckpointError, match=rf"has unexpected transformer\.h\.0\.{name}\."):
        load_model(checkpoint)
