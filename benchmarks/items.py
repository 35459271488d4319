"""Scoring 4 000 minimal pairs beside a bare batched forward pass over the same tokens: seconds, as a ratio."""

from __future__ import annotations

import time

PAIRS, REPEATS = 4000, 3
# A small model with a vocabulary that is large for it, so that logits weigh as much as they do in small Pythias.
WIDTH, LAYERS, VOCABULARY = 128, 4, 8192


def main() -> None:
    import numpy as np
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from phasescope.hooks import get_engine
    from phasescope.probes import score_items
    from phasescope.texts import join

    config = AutoConfig.for_model(
        "gpt_neox",
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        intermediate_size=4 * WIDTH,
        vocab_size=VOCABULARY,
        max_position_embeddings=64,
    )
    model = AutoModelForCausalLM.from_config(config).eval()
    draw = np.random.default_rng(0)
    lengths = draw.integers(7, 16, 2 * PAIRS)  # as BLiMP's sentences
    sequences = [draw.integers(0, VOCABULARY, length) for length in lengths]
    items = join("minimal_pairs", "made-up", sequences, [(1, int(length)) for length in lengths], {}, "made up")
    tapped = get_engine("torch").open(model)
    tokens = torch.full((len(lengths), int(lengths.max())), 0)
    for row, place in enumerate(np.argsort(lengths, kind="stable")):
        tokens[row, : lengths[place]] = torch.from_numpy(sequences[place])
    widths = np.sort(lengths)

    def bare() -> None:
        """The model's own forward pass, logits included, in batches of as many tokens, sorted by length."""
        with torch.no_grad():
            for start in range(0, len(tokens), 160):
                batch = tokens[start : start + 160]
                model(batch[:, : int(widths[min(start + 160, len(widths)) - 1])], use_cache=False)

    # In turn, so that what else the machine does meets both; the shortest of each is what it takes.
    seconds: dict[str, list[float]] = {"bare": [], "scored": []}
    for _ in range(REPEATS):
        for name, work in (("bare", bare), ("scored", lambda: score_items(tapped, items, VOCABULARY, batch=8))):
            begun = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - begun)
    ratio = min(seconds["scored"]) / min(seconds["bare"])
    print(f"  bare forward pass over {int(lengths.sum()):,} tokens: {min(seconds['bare']):.1f} s")
    print(f"  scored: {min(seconds['scored']):.1f} s, {ratio:.2f} × (< 1.2)")


if __name__ == "__main__":
    main()
