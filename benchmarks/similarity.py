"""What similarity costs: 12 layers × 154 steps at 1 024 samples, told from some steps.

Run `python -m benchmarks similarity` (`--width 512`, `--steps 4`, `--measures pwcca`). Activations are made up, of the
160M shape, and move from one state to another; what is timed is all that the question does with them within one
training: preparing, comparing with the last step, the step before and the next layer, with intervals and nulls. It is
processor time of one thread, so that a busy machine counts little.
"""

from __future__ import annotations

import argparse
from time import process_time

import torch

from phasescope.analyses import Options
from phasescope.analyses.similarity.comparing import Gathered, Prepared
from phasescope.measures import Chance
from phasescope.store import ShardKey

LAYERS, STEPS, SAMPLES = 12, 154, 1024


def states(width: int, steps: int) -> list[list[torch.Tensor]]:
    """Activations by step and layer: from one state to another, directions of uneven size, one of them massive."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.logspace(0, -2, width)
    spread[0] = 20
    ends = torch.randn(2, LAYERS, SAMPLES, width, generator=generator) * spread
    shares = torch.linspace(0, 1, steps)
    return [[(1 - share) * ends[0, layer] + share * ends[1, layer] for layer in range(LAYERS)] for share in shares]


def main() -> None:
    """Print seconds of one step, and of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--measures", default="cka,rsa,neighbours")
    asked, _ = parser.parse_known_args()
    torch.set_num_threads(1)
    options = Options(measures=tuple(asked.measures.split(",")))
    chance = Chance.of(SAMPLES, SAMPLES, options.resamples, 0)
    made = states(asked.width, asked.steps + 1)

    def prepared(step: int) -> list[Prepared]:
        return [
            Prepared.of(ShardKey("160m", 0, step), f"blocks.{layer}.hook_resid_post", values, options.measures)
            for layer, values in enumerate(made[step])
        ]

    final = prepared(len(made) - 1)
    held = prepared(0)
    seconds = []
    for step in range(1, asked.steps + 1):
        start = process_time()
        now = prepared(step)
        gathered = Gathered(chance, options)
        for layer, one in enumerate(now):
            gathered.add(one, "final", final[layer])
            gathered.add(one, "previous", held[layer])
            if layer + 1 < LAYERS:
                gathered.add(one, "next_layer", now[layer + 1])
        held = now
        seconds.append(process_time() - start)
    each = sorted(seconds)[len(seconds) // 2]
    print(f"{asked.measures}, {LAYERS} layers of {asked.width}, {SAMPLES} samples (target: ≤ 10 min of one core)")
    print(f"  a step {each:.2f} s (processor time, median of {asked.steps}); {STEPS} steps {each * STEPS / 60:.1f} min")


if __name__ == "__main__":
    main()
