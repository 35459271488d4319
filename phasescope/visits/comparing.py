"""Visits to pairs of checkpoints: how far apart the steps of one training are, and the sizes at one step.

As for a cohort, the final hidden states come from shards and the unembeddings from shards or checkpoints, so no model
is run again.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import BadArgumentError, BadCheckpointError, PhasescopeWarning, did_you_mean
from phasescope.store import Entry, MisplacedError, RunFolder, Scalar, ShardKey, open_container, write_container
from phasescope.visits.checkpoint import key_of
from phasescope.visits.cohort import digests_of
from phasescope.visits.final_hidden import hidden_of, pairwise_kl_of, runs_of
from phasescope.visits.unembedding import unembedding_on

if TYPE_CHECKING:
    from torch import Tensor

    from phasescope.measures import Unembedding
    from phasescope.suites import Checkpoint
    from phasescope.texts import Inputs

ACROSS = ("steps", "sizes")


@dataclass(frozen=True, eq=False)
class State:
    """One checkpoint that has a shard, for comparing: where it is, and, once asked for, how it makes logits."""

    checkpoint: Checkpoint
    run: RunFolder
    device: str
    trust_remote_code: bool = False

    @property
    def key(self) -> ShardKey:
        return key_of(self.checkpoint)

    @cached_property
    def unembedding(self) -> Unembedding:
        """Kept as long as this is."""
        with self.run.open_shard(self.key) as shard:
            return unembedding_on(self.device, shard, self.checkpoint, self.trust_remote_code)


@dataclass(frozen=True)
class Planned:
    """A comparison that is to be made: the first state with the others, or (`sizes`) all with one another."""

    path: Path
    states: tuple[State, ...]
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        first = self.states[0].key
        if self.names:
            return f"{first.label}: comparing with {' and '.join(self.names)}"
        return f"seed{first.seed}/step{first.step}: comparing {len(self.states)} sizes"

    @property
    def is_current(self) -> bool:
        """Whether its file was made from exactly the shards that there are now."""
        if not self.path.is_file():
            return False
        try:
            with open_container(self.path, "comparison") as made:
                return made.attrs.get("shards") == self.digests
        except MisplacedError:
            return False

    @property
    def digests(self) -> str:
        return digests_of([state.key for state in self.states], self.states[0].run)


def parse_across(names: Sequence[str]) -> tuple[str, ...]:
    """What is to be compared, in order; `PhasescopeError` with the nearest for what cannot be."""
    for name in names:
        if name not in (*ACROSS, "seeds"):
            raise BadArgumentError(f"There is no comparing across {name!r}. {did_you_mean(name, [*ACROSS, 'seeds'])}")
    return tuple(name for name in ACROSS if name in names)


def plan(states: Sequence[State], across: Sequence[str]) -> Iterator[Planned]:
    """Every comparison that can be made of these states, `steps` first, in an order in which few are needed at once.

    A state lives as long as somebody still holds it: of one training that are the last and the one before, so memory
    does not grow with the number of checkpoints.
    """
    if "steps" in across:
        for _, group in groupby(_ordered(states, by_size=True), key=lambda state: (state.key.size, state.key.seed)):
            yield from _along(list(group))
    if "sizes" in across:
        for _, group in groupby(_ordered(states, by_size=False), key=lambda state: (state.key.seed, state.key.step)):
            several = tuple(_fresh(state) for state in group)
            if len(several) > 1:
                first = several[0]
                yield Planned(first.run.size_comparison(first.key.seed, first.key.step), several, ())


def compare(planned: Planned, inputs: Inputs) -> None:
    """Compute the KL of one comparison, for every token and in both directions, and write its file."""
    if planned.names:
        _compare_steps(planned, inputs)
    else:
        _compare_sizes(planned, inputs)


def try_comparing(planned: Planned, inputs: Inputs) -> bool:
    """As `compare`; a checkpoint that cannot be read is told of, and nothing is written."""
    try:
        compare(planned, inputs)
    except BadCheckpointError as error:
        warnings.warn(f"{planned.label} was left out: {error}", PhasescopeWarning, stacklevel=2)
        return False
    return True


def _along(states: list[State]) -> Iterator[Planned]:
    """Each step of one training with the last and with the one before it."""
    if len(states) < 2:
        return
    last, previous = _fresh(states[-1]), None
    for state in states:
        this = last if state.key == last.key else _fresh(state)
        others = {} if this is last else {"last": last}
        others |= {} if previous is None else {"previous": previous}
        yield Planned(this.run.step_comparison(this.key), (this, *others.values()), tuple(others))
        previous = this


def _fresh(state: State) -> State:
    """The same, holding no unembedding."""
    return State(state.checkpoint, state.run, state.device, state.trust_remote_code)


def _ordered(states: Sequence[State], *, by_size: bool) -> list[State]:
    """Sizes keep the order in which they are given: from small to large."""
    place = {size: number for number, size in enumerate(dict.fromkeys(state.key.size for state in states))}

    def order(state: State) -> tuple[int, int, int]:
        size, (seed, step) = place[state.key.size], (state.key.seed, state.key.step)
        return (size, seed, step) if by_size else (seed, step, size)

    return sorted(states, key=order)


def _compare_steps(planned: Planned, inputs: Inputs) -> None:
    import torch

    kl = _pairwise(planned.states, inputs)
    entries = {
        f"kl_{name}": Entry(
            torch.stack([kl[0, place], kl[place, 0]]).numpy(),
            {"units": "nats", "axes": "directions sequences positions"},
        )
        for place, name in enumerate(planned.names, start=1)
    }
    unigram = _unigram(planned.states[0], inputs)
    if unigram is not None:
        entries["kl_unigram"] = Entry(unigram.numpy(), {"units": "nats", "axes": "sequences positions"})
    attrs = _attrs(planned, inputs) | {"size": planned.states[0].key.size}
    attrs |= {f"{name}_step": planned.states[place].key.step for place, name in enumerate(planned.names, start=1)}
    write_container(planned.path, "comparison", entries, attrs)


def _unigram(state: State, inputs: Inputs) -> Tensor | None:
    """KL to the unigram, for a shard that was made before shards held it."""
    import torch

    from phasescope.measures import predictions_from_hidden, unigram_log_probabilities

    with state.run.open_shard(state.key) as shard:
        if "outputs/kl_unigram" in shard.names("outputs"):
            return None
        blocks = []
        for run in runs_of(inputs):
            hidden = hidden_of(shard, run, state.device)
            found = predictions_from_hidden(
                hidden.flatten(0, 1),
                state.unembedding,
                torch.from_numpy(inputs.tokens[run, 1:]).reshape(-1),
                reference=unigram_log_probabilities(inputs.counts),
                vocabulary=inputs.vocabulary,
            )
            assert found.kl_reference is not None
            blocks.append(found.kl_reference.cpu().reshape(hidden.shape[:2]))
    return torch.cat(blocks)


def _compare_sizes(planned: Planned, inputs: Inputs) -> None:
    import numpy as np

    kl = _pairwise(planned.states, inputs)
    entries = {
        "kl": Entry(kl.numpy(), {"units": "nats", "axes": "sizes sizes sequences positions"}),
        "sizes": Entry(np.array([state.key.size for state in planned.states], dtype=str)),
    }
    write_container(planned.path, "comparison", entries, _attrs(planned, inputs))


def _attrs(planned: Planned, inputs: Inputs) -> dict[str, Scalar]:
    first = planned.states[0]
    return {
        "family": first.checkpoint.family,
        "seed": first.key.seed,
        "step": first.key.step,
        "inputs": inputs.hash,
        "shards": planned.digests,
    }


def _pairwise(states: Sequence[State], inputs: Inputs) -> Tensor:
    """KL(p_i ‖ p_j) `[states, states, sequences, positions]`."""
    unembeddings = [state.unembedding for state in states]
    with ExitStack() as stack:
        shards = [stack.enter_context(state.run.open_shard(state.key)) for state in states]
        return pairwise_kl_of(shards, unembeddings, inputs, states[0].device)
