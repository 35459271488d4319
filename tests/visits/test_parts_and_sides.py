"""Models of several parts are read as their language model; masked ones whose modules are named, as masked ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoModelForMaskedLM

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.hooks import get_architecture
from phasescope.store import ShardKey
from tests.conftest import make_tokenizer

ROWS = 320
OPTIONS: dict[str, Any] = {"sequences": 4, "context": 10, "output_sequences": 2}
_TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": ROWS,
    "head_dim": 8,
}
_IMAGES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 28,
    "patch_size": 14,
}


def suite_of(model: Any, root: Path) -> Path:
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens(  # type: ignore[attr-defined]
        {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
    )
    folder = root / "tiny" / "seed1" / "step4"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    return root


def surprisal_of(run: ps.Run) -> np.ndarray:
    assert not run.manifest["failed"]
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        return shard.read("outputs/surprisal")


@pytest.mark.parametrize("name", ["gemma3", "mistral3"])
def test_a_model_of_text_and_images_is_read_as_its_language_model(name: str, texts_file: Path, tmp_path: Path) -> None:
    text, images = {"gemma3": ("gemma3_text", "siglip_vision_model"), "mistral3": ("mistral", "pixtral")}[name]
    config = AutoConfig.for_model(
        name, text_config={"model_type": text, **_TEXT}, vision_config={"model_type": images, **_IMAGES}
    )
    torch.manual_seed(1)
    model = AutoModelForImageTextToText.from_config(config).eval()
    run = ps.capture(suite_of(model, tmp_path / "toy"), texts=texts_file, out=tmp_path / "run", **OPTIONS)
    tokens = torch.from_numpy(run.inputs.tokens[:2]).long()
    with torch.no_grad():
        own = model(tokens).logits[:, :-1, : run.inputs.vocabulary].float().log_softmax(-1)
    wanted = -own.gather(-1, tokens[:, 1:, None])[..., 0]
    assert float((torch.from_numpy(surprisal_of(run)) - wanted).abs().max()) <= 1e-5
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        assert "activations/blocks.1.attn.hook_ov_out" in shard.names()
    with pytest.raises(PhasescopeError, match=rf"A {name} configuration is of several models"):
        get_architecture(config)


def test_a_masked_model_whose_modules_are_named_is_read_with_one_token_masked(texts_file: Path, tmp_path: Path) -> None:
    config = AutoConfig.for_model(
        "distilbert", dim=32, n_layers=2, n_heads=4, hidden_dim=48, vocab_size=ROWS, max_position_embeddings=64
    )
    torch.manual_seed(1)
    model = AutoModelForMaskedLM.from_config(config).eval()
    modules = ("distilbert.transformer.layer.{layer}.ffn=mlp_out",)
    run = ps.capture(
        suite_of(model, tmp_path / "toy"), texts=texts_file, out=tmp_path / "run", modules=modules, **OPTIONS
    )
    framing = run.inputs.framing
    assert framing is not None
    tokens = run.inputs.tokens[0].tolist()
    masked = [framing.first, *tokens[:3], framing.mask, *tokens[4:], framing.last]
    with torch.no_grad():
        own = model(torch.tensor([masked])).logits[0, 4, : run.inputs.vocabulary].log_softmax(-1)
    assert abs(float(surprisal_of(run)[0, 2] + own[tokens[3]])) <= 1e-5


def test_an_encoder_with_a_decoder_is_refused() -> None:
    with pytest.raises(PhasescopeError, match="A bart model has an encoder and a decoder"):
        get_architecture(AutoConfig.for_model("bart"), ("model.decoder.layers.{layer}=resid_post",))
