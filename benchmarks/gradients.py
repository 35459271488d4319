"""What gradients cost: the probe beside bare forward, and bare forward and backward, passes over the same tokens.

Random weights of the 70M shape with 50 304 rows, 32 sequences of 256 tokens in 8 batches, as `--gradients inputs` reads
them. All variants take turns, and medians are compared.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

from benchmarks.hooks import gpt_neox, ratio, take_turns
from benchmarks.suites import ENTRIES, ROWS, SHAPES

SEQUENCES, CONTEXT, BATCH = 32, 256, 4


def main(repeats: int = 3) -> None:
    import numpy as np
    import torch

    from phasescope.hooks import get_engine
    from phasescope.probes import Probes, record_gradients, record_weights
    from phasescope.store import new_container
    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs

    width, layers, heads = SHAPES["70m"]
    model = gpt_neox(
        hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=4 * width,
        vocab_size=ROWS,
    )  # fmt: skip
    tapped = get_engine("torch").open(model)
    tokens = np.random.default_rng(0).integers(ENTRIES, size=(SEQUENCES, CONTEXT)).astype(np.int32)
    inputs = Inputs(
        tokens=tokens, positions=np.full((SEQUENCES, 1), CONTEXT - 1, np.int32), word_ids=np.zeros_like(tokens),
        words=["a"], tags=None, counts=np.ones(ENTRIES, np.int64), counts_source="", output_sequences=1,
        vocabulary=ENTRIES, source="", seed=0,
    )  # fmt: skip
    ids = torch.from_numpy(tokens).long()

    def passes(backward: bool) -> None:
        for part in ids.split(BATCH):
            with torch.set_grad_enabled(backward):
                logits = model(part[:, :-1], use_cache=False).logits
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten())
            if backward:
                loss.backward()
                model.zero_grad()

    with tempfile.TemporaryDirectory() as folder:

        def probe() -> None:
            with new_container(Path(folder) / "shard.h5", "shard", {}) as writer:
                record_gradients(tapped, Checkpoint("f", "70m", 0, 0, ""), inputs, Probes(gradients="inputs"), writer)

        def weights() -> None:
            with new_container(Path(folder) / "weights.h5", "shard", {}) as writer:
                record_weights(tapped, ENTRIES, False, writer)

        seconds = take_turns(
            {
                "forward and loss": lambda: passes(backward=False),
                "forward and backward": lambda: passes(backward=True),
                "gradients, recorded": probe,
                "spectra of the weights, recorded": weights,
            },
            repeats,
        )
        size = (Path(folder) / "shard.h5").stat().st_size
    for name, times in seconds.items():
        beside = (ratio(seconds, name, other) for other in ("forward and loss", "forward and backward"))
        print(
            f"  {name:<34} {median(times):6.1f} s   {' and '.join(f'{value:.2f} ×' for value in beside)} these passes"
        )
    print(f"  on disk {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
