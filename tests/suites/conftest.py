"""Small real checkpoints: GPT-NeoX models of 32 dimensions and two layers, as `save_pretrained` writes them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from tests.suites.hub_server import HubServer, Repository, serving
from tests.suites.nursery_samples import train_sample

VOCABULARY = 128


def tiny_model(seed: int = 0, **changes: Any) -> PreTrainedModel:
    torch.manual_seed(seed)
    settings = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 64,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    return AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt_neox", **{**settings, **changes}))


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    entries = ["<|endoftext|>", *sorted(pre_tokenizers.ByteLevel.alphabet())][:VOCABULARY]
    tokenizer = Tokenizer(models.BPE(vocab={entry: index for index, entry in enumerate(entries)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=entries[0])


@pytest.fixture(scope="session")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole checkpoint's folder: model and tokenizer. Not to be changed; copy it with `checkpoint_folder`."""
    folder = tmp_path_factory.mktemp("saved") / "step8"
    tiny_model().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def checkpoint_folder(saved_model: Path, tmp_path: Path) -> Path:
    """A copy of the checkpoint, to be damaged: `<tmp>/14m/seed1/step8`."""
    folder = tmp_path / "suite" / "14m" / "seed1" / "step8"
    shutil.copytree(saved_model, folder)
    return folder


@pytest.fixture
def change_config(checkpoint_folder: Path) -> Callable[..., None]:
    """Change settings in the checkpoint's config.json; None takes one out."""

    def change(**changes: Any) -> None:
        path = checkpoint_folder / "config.json"
        config = {**json.loads(path.read_text()), **changes}
        path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))

    return change


@pytest.fixture
def hub(saved_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub with `tiny/neox-14m`, which the real client of this process talks to, with an empty cache."""
    branches = {"main": saved_model, "step0": saved_model, "step8": saved_model, "step16": saved_model}
    with serving({"tiny/neox-14m": Repository(branches)}, tmp_path / "cache", monkeypatch) as server:
        yield server


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished suite. Not to be changed; copy it with `copied`."""
    out = tmp_path_factory.mktemp("suites") / "nursery"
    train_sample(out)
    return out


@pytest.fixture
def copied(nursery: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(nursery, tmp_path / "nursery"))
