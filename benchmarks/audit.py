"""How often do the rules on weights err? Small trainings of three architectures, sound and with faults put in.

Sound are six seeds each of plain trainings, of some in bfloat16, of some whose learning rate begins anew half-way and
of some with a spike of the loss (five updates with a learning rate thirty times as high); all with every checkpoint,
every second and every third. Faults, in two seeds of each: the file of the last step, of three checkpoints later or
earlier under a step's name, two neighbours exchanged, step 0 of another seed; and trainings that were begun anew
from an earlier checkpoint. All of it twice: by what a shard keeps of weights, and by what `audit --weights` reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
import scipy.stats
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from phasescope.audit.read_weights import ENTRIES, chosen
from phasescope.audit.weights import Samples, weights_in_order
from phasescope.measures.sampled import sampled_entries
from phasescope.store import ShardKey
from phasescope.texts import read_documents

STEPS = (0, *(2**power for power in range(7)), *range(80, 305, 16))
SHAPE = {
    "gpt_neox": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 256},
    "llama": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 176},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4},
}
HALF = STEPS[-1] // 2
LEARNING_RATE, WARMUP, BATCH, CONTEXT = 2e-3, 25, 4, 64
SEEDS = 6
Training = list[Samples]
WAYS = ("what a shard keeps", "what --weights reads")


def train(
    architecture: str,
    seed: int,
    tokens: np.ndarray,
    rate: Callable[[int], float] = lambda step: 1.0,
    dtype: torch.dtype = torch.float32,
    restart: tuple[int, int] | None = None,
) -> dict[str, Training]:
    """The sampled weights at `STEPS`, in each of the ways.

    restart: at which of these it goes on from which other, by place.
    """
    torch.manual_seed(seed)
    config = AutoConfig.for_model(architecture, vocab_size=256, max_position_embeddings=CONTEXT, **SHAPE[architecture])
    model = AutoModelForCausalLM.from_config(config).to(dtype)
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.1, betas=(0.9, 0.95))
    order, states = np.random.default_rng(seed), list[dict[str, torch.Tensor]]()
    kept: dict[str, Training] = {way: [] for way in WAYS}
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            kept[WAYS[0]].append(_as_shards_do(model))
            kept[WAYS[1]].append(_as_ranges_do(model))
            states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        if restart and step == STEPS[restart[0] - 1]:
            model.load_state_dict(states[restart[1]])
            optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.1, betas=(0.9, 0.95))
        cosine = 0.1 + 0.45 * (1 + np.cos(np.pi * step / STEPS[-1]))
        optimiser.param_groups[0]["lr"] = LEARNING_RATE * min((step + 1) / WARMUP, cosine) * rate(step)
        starts = order.integers(0, len(tokens) - CONTEXT, BATCH)
        batch = torch.from_numpy(np.stack([tokens[start : start + CONTEXT] for start in starts]).astype(np.int64))
        model(input_ids=batch, labels=batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    return kept


def _anew(step: int) -> float:
    return min(1.0, abs(step - HALF) / WARMUP)


def _spike(step: int) -> float:
    return 30.0 if HALF <= step < HALF + 5 else 1.0


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bfloat16": {"dtype": torch.bfloat16},
    "learning rate begins anew": {"rate": _anew},
    "spike of the loss": {"rate": _spike},
}


def _as_shards_do(model: torch.nn.Module) -> Samples:
    return {name: sampled_entries(weight, name) for name, weight in model.named_parameters() if weight.ndim > 1}


def _as_ranges_do(model: torch.nn.Module) -> Samples:
    state = model.state_dict()
    names = chosen({name: tuple(weight.shape) for name, weight in state.items()})
    return {name: state[name].flatten()[:ENTRIES].float().numpy().copy() for name in names}


def named(training: Sequence[Samples], steps: Sequence[int]) -> dict[str, set[int]]:
    """What the rules find: of each rule the steps."""
    found = weights_in_order({ShardKey("m", 0, step): of for step, of in zip(steps, training, strict=True)})
    return {one.rule: {key.step for key in one.suspects} for one in found}


def grids(training: Training) -> Iterator[tuple[Training, list[int]]]:
    """With every checkpoint, every second and every third."""
    for every in (1, 2, 3):
        yield training[::every], list(STEPS[::every])


def with_faults(training: Training) -> Iterator[tuple[str, Training, set[int]]]:
    """Kind, the checkpoints with one fault in them, and the places of which one is to be named."""
    last = len(training) - 1
    for place in range(last):
        others = {"last step's file": last, "three later": place + 3, "three earlier": place - 3}
        for kind, other in others.items():
            # The step before the last but one, replaced by its neighbour, is in order.
            if 0 <= other <= last and abs(other - place) > 1:
                yield kind, [*training[:place], training[other], *training[place + 1 :]], {place}
        if 1 <= place < last - 1:
            swapped = [*training[:place], training[place + 1], training[place], *training[place + 2 :]]
            yield "neighbours exchanged", swapped, {place, place + 1}


def main() -> None:
    text = "\n".join(document.text for document in read_documents("docs"))
    tokens = np.frombuffer(text.encode(), dtype=np.uint8)
    found = {way: (Counter[str](), Counter[str](), Counter[str](), Counter[str]()) for way in WAYS}
    for architecture in SHAPE:
        for kind, options in KINDS.items():
            trainings = [train(architecture, seed, tokens, **options) for seed in range(1, SEEDS + 1)]
            for way in WAYS:
                _judge(kind, architecture, [training[way] for training in trainings], *found[way])
        for seed, (begin, source) in product((1,), ((8, 4), (12, 2), (16, 9), (20, 17))):
            begun = train(architecture, seed, tokens, restart=(begin, source))
            for way, (_, _, hidden, hits) in found.items():
                hidden["restart"] += 1
                hits["restart"] += named(begun[way], STEPS).get("restart", set()) == set(STEPS[begin:])
        print(f"  {architecture} is done", flush=True)
    for way, counts in found.items():
        _tell(way, *counts)


def _judge(
    kind: str,
    architecture: str,
    trainings: Sequence[Training],
    sound: Counter[str],
    alarms: Counter[str],
    hidden: Counter[str],
    hits: Counter[str],
) -> None:
    for training, steps in (grid for one in trainings for grid in grids(one)):
        sound[kind] += len(steps)
        if found := named(training, steps):
            alarms[kind] += len(set().union(*found.values()))
            print(f"  {architecture}, {kind}, {len(steps)} checkpoints: {found}")
    for one, other in (trainings[:2], trainings[1::-1]):
        for training, steps in grids(one):
            _put_in(training, steps, other[0], hidden, hits)


def _tell(way: str, sound: Counter[str], alarms: Counter[str], hidden: Counter[str], hits: Counter[str]) -> None:
    print(f"by {way}\n sound: steps named, of steps ({len(SHAPE) * len(KINDS) * SEEDS} trainings)")
    for kind, number in [*sound.items(), ("all", sound.total())]:
        wrong = alarms.total() if kind == "all" else alarms[kind]
        bound = scipy.stats.beta.ppf(0.95, wrong + 1, number - wrong)
        print(f"  {kind:28} {wrong:5} of {number} (at most {bound:.2%}, to 95 %)")
    print(" faults: found, of put in")
    for kind, number in hidden.items():
        print(f"  {kind:28} {hits[kind]:5} of {number} ({hits[kind] / number:.1%})")


def _put_in(
    training: Training, steps: Sequence[int], another_0: Samples, hidden: Counter[str], hits: Counter[str]
) -> None:
    for kind, faulty, places in with_faults(training):
        hidden[kind] += 1
        hits[kind] += bool(named(faulty, steps).get("out of order", set()) & {steps[one] for one in places})
    hidden["another step 0"] += 1
    hits["another step 0"] += "another initialisation" in named([another_0, *training[1:]], steps)


if __name__ == "__main__":
    main()
