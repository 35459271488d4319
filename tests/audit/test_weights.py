"""Order, restarts and another step 0, of weights that drift at random; and of a run whose weights are gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import phasescope as ps
from phasescope.audit.fingerprints import kept_of
from phasescope.audit.weights import Samples, correlations, equal_entries, weights_in_order
from phasescope.measures.sampled import digest_of_bytes, sampled_entries, sampled_places
from phasescope.store import RunFolder, ShardKey
from tests.conftest import make_suite

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)


def drift(seed: int, steps: int = len(STEPS), begin: Samples | None = None) -> list[Samples]:
    """A random walk of six matrices away from where it begins."""
    random = np.random.default_rng(seed)
    found = [begin or {f"W{number}": random.standard_normal(256) for number in range(6)}]
    while len(found) < steps:
        found.append({name: entries + 0.4 * random.standard_normal(256) for name, entries in found[-1].items()})
    return found


def said(training: list[Samples], seed: int = 0) -> list[tuple[str, str, list[int]]]:
    samples = {ShardKey("14m", seed, step): of for step, of in zip(STEPS, training, strict=False)}
    return [(one.rule, one.certainty, [key.step for key in one.suspects]) for one in weights_in_order(samples)]


@pytest.mark.parametrize("seed", range(20))
def test_sound_trainings_are_sound(seed: int) -> None:
    assert said(drift(seed)) == []
    assert said(drift(seed)[:4]) == []


def test_what_cannot_be_judged_is_not() -> None:
    assert said(drift(0)[:3]) == []
    constant = [{"W": np.ones(256)} for _ in STEPS]
    assert said(constant) == []
    assert said([{**one, "W": np.full(256, np.nan)} for one in drift(0)]) == []
    assert said([{**one, f"only {number}": np.ones(3)} for number, one in enumerate(drift(0))]) == []
    other_rows = drift(0)
    other_rows[3] = {name: entries[:100] for name, entries in other_rows[3].items()}
    assert said(other_rows) == []


@pytest.mark.parametrize("place", range(7))
def test_a_file_of_another_step(place: int) -> None:
    training = drift(1)
    training[place] = training[-1]
    assert said(training) == [("out of order", "certain", [STEPS[place]])]


@pytest.mark.parametrize("place", range(1, 8))
def test_neighbours_that_were_exchanged(place: int) -> None:
    training = drift(2)
    training[place : place + 2] = training[place + 1], training[place]
    ((rule, _, steps),) = said(training)
    assert rule == "out of order"
    assert set(steps) & set(STEPS[place : place + 2])


@pytest.mark.parametrize(("begin", "source"), [(6, 2), (8, 3), (9, 0), (5, 1), (6, 4), (8, 6), (9, 6)])
def test_a_restart(begin: int, source: int) -> None:
    before = drift(3)
    training = [*before[:begin], *drift(4, len(STEPS) - begin + 1, before[source])[1:]]
    assert said(training) == [("restart", "likely", list(STEPS[begin:]))]


@pytest.mark.parametrize(("begin", "source"), [(5, 2), (7, 4), (8, 2)])
def test_a_restart_of_a_training_that_knows_where_it_goes(begin: int, source: int) -> None:
    """What begins anew soon is further on than its source, and nearer to what was left behind than to that."""
    way = {name: 0.2 * entries for name, entries in drift(8)[0].items()}
    there = {f"W{number}": np.zeros(256) for number in range(6)}

    def of(random: int, steps: int, begin: Samples) -> list[Samples]:
        walk = drift(random, steps, there)
        return [{W: begin[W] + 0.5 * walked[W] + step * way[W] for W in way} for step, walked in enumerate(walk)]

    before = of(3, len(STEPS), drift(9)[0])
    assert said(before) == []
    training = [*before[:begin], *of(4, len(STEPS) - begin + 1, before[source])[1:]]
    assert said(training) == [("restart", "likely", list(STEPS[begin:]))]


def test_step_0_of_another_initialisation() -> None:
    assert said([drift(5)[0], *drift(6)[1:]]) == [("another initialisation", "certain", [0])]


def test_another_training_goes_on_under_the_same_name() -> None:
    training = [*drift(5)[:5], *drift(6)[:5]]
    assert said(training) == [("another training", "likely", list(STEPS[5:]))]
    far = {ShardKey("14m", 0, step): of for step, of in zip((*STEPS[:5], *range(9000, 9005)), training, strict=True)}
    assert weights_in_order(far) == []  # so far from the others anything may have happened
    late = [drift(5)[0], *drift(6)[1:]]
    assert weights_in_order({ShardKey("14m", 0, 5000 * n): of for n, of in enumerate(late)}) == []


def test_equal_entries_at_steps_in_a_row_were_not_moved() -> None:
    training = drift(7)[:6]
    training[1] = training[1] | {"W0": training[0]["W0"]}
    training[2] = training[2] | {"W1": training[5]["W1"]}
    keys = [ShardKey("14m", 0, step) for step in STEPS[:6]]
    names = equal_entries(dict(zip(keys, training, strict=True)))
    assert names[keys[0]]["W0"] != names[keys[1]]["W0"]
    assert names[keys[2]]["W1"] == names[keys[5]]["W1"]
    assert len({name for of in names.values() for name in of.values()}) == 6 * 6 - 1


def test_sampled_places_are_those_of_the_name() -> None:
    assert sampled_places("embed.W_E", 100).tolist() == list(range(100))
    places = sampled_places("embed.W_E", 10**9)
    assert (np.diff(places) > 0).all()
    assert len(places) > 250
    assert places.tolist() == sampled_places("embed.W_E", 10**9).tolist()
    assert places.tolist() != sampled_places("unembed.W_U", 10**9).tolist()
    weight = torch.randn(40, 30, dtype=torch.bfloat16)
    places = sampled_places("W", 1200)
    assert torch.equal(torch.from_numpy(sampled_entries(weight, "W")), weight.reshape(-1)[places].float())
    assert digest_of_bytes(weight) == digest_of_bytes(weight.T.contiguous().T)
    assert digest_of_bytes(weight) != digest_of_bytes(weight.float())


def test_a_run_is_judged_when_its_weights_are_gone(tmp_path: Path, texts_file: Path) -> None:
    """A mixture, as of pythia-12b: one matrix of an early step is the last step's."""
    steps = (0, 1, 2, 4, 8, 16)
    suite = make_suite(tmp_path / "suite", sizes=("tiny",), seeds=(1, 2), steps=steps)
    file = suite / "tiny/seed1/step2/model.safetensors"
    mixed, last = load_file(file), load_file(suite / "tiny/seed1/step16/model.safetensors")
    mixed["gpt_neox.embed_in.weight"] = last["gpt_neox.embed_in.weight"]
    save_file(mixed, file, metadata={"format": "pt"})
    ps.capture(suite, texts_file, tmp_path / "run", sequences=4, context=16, output_sequences=2, sites="mlp_out")
    shutil.rmtree(suite)
    run = ps.open_run(tmp_path / "run")
    first = run.audit()[0]
    assert (first.rule, first.certainty, first.suspects) == ("some parts equal", "certain", (ShardKey("tiny", 1, 2),))
    assert "tiny seed 1 at step 2 holds 1 of 14 weight matrices of step 16 (embed.W_E)" in first.sentence
    kept = kept_of(RunFolder(run.path))
    table = correlations([kept[ShardKey("tiny", 2, step)].entries for step in steps])
    assert (np.diff(table[0]) < 0).all()
