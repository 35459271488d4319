"""Suites of random models in Pythia's shapes, made on the spot, for timing what does not depend on training."""

from __future__ import annotations

from pathlib import Path

SHAPES = {"14m": (128, 6, 4), "70m": (512, 6, 8)}
ROWS = 50304
ENTRIES = 50277


def tokenizer(entries: int = ENTRIES) -> object:
    """A byte tokenizer with as many entries as Pythia's, so that the vocabulary has its true width."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    filler = [f"<|unused{number}|>" for number in range(entries - len(alphabet) - 1)]
    vocabulary = {token: number for number, token in enumerate(["<|endoftext|>", *alphabet, *filler])}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|endoftext|>")


def make(
    root: Path,
    shapes: dict[str, tuple[int, int, int]],
    seeds: tuple[int, ...],
    steps: tuple[int, ...],
    rows: int = ROWS,
    entries: int = ENTRIES,
) -> Path:
    """Write the suite `<root>/<size>/seed<k>/step<n>/`."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    words = tokenizer(entries)
    for size, (width, layers, heads) in shapes.items():
        config = AutoConfig.for_model(
            "gpt_neox",
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=4 * width,
            vocab_size=rows,
        )
        for seed in seeds:
            for step in steps:
                torch.manual_seed(1000 * seed + step)
                folder = root / size / f"seed{seed}" / f"step{step}"
                AutoModelForCausalLM.from_config(config).save_pretrained(folder)
                words.save_pretrained(folder)  # type: ignore[attr-defined]
    return root
