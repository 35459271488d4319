"""Tokenizers for the tests of texts: one of bytes made here, and the real one of GPT-NeoX."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """The path of a file of the real data beside the project; skips where there is none."""

    def find(name: str) -> Path:
        path = Path(__file__).parents[3] / "shared" / "data" / name
        if not path.exists():
            pytest.skip(f"needs {path}")
        return path

    return find


@pytest.fixture(scope="session")
def neox(shared_data: Callable[[str], Path]) -> Tokenizer:
    return Tokenizer.from_file(str(shared_data("tokenizers/gpt-neox-20b.json")))


@pytest.fixture(scope="session")
def bytes_tokenizer() -> Tokenizer:
    """Byte-level BPE with few merges, some of them across punctuation and letters, and an end of text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the cat, the dog, the end. é e\u0301 of the day; of the night"] * 20, trainer)
    return tokenizer
