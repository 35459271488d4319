from __future__ import annotations

import pytest

from phasescope.suites.newer_presets import NEWER
from phasescope.suites.presets import PRESETS

CHECKPOINTS = {
    "pythia": 10 * 154,
    "pythia-deduped": 8 * 154,
    "polypythia": 5 * 9 * 154,
    "polypythia-data": 3 * 154,
    "polypythia-weight": 3 * 154,
    "gpt2-stanford": 5 * 609,
    "multiberts": 5 * 29,
    "opt": 8,
    "tinyllama": 7,
}
KNOWN = [name for name, preset in PRESETS.items() if not preset.is_looked_up]


def test_the_presets() -> None:
    assert CHECKPOINTS.keys() == set(KNOWN)
    asked = {"gpt2-stanford-medium", "pico", *(preset.name for preset in NEWER)}
    assert {name for name, preset in PRESETS.items() if preset.is_looked_up} == asked


@pytest.mark.parametrize("name", KNOWN)
def test_a_preset_lists_every_size_seed_and_step(name: str) -> None:
    suite = PRESETS[name].suite()
    assert len(suite) == CHECKPOINTS[name]
    assert suite.sizes == PRESETS[name].sizes
    assert suite.steps() == PRESETS[name].steps
    assert suite.missing() == {}
    assert set(suite.sizes) <= set(PRESETS[name].megabytes)


def test_the_steps_of_pythia() -> None:
    steps = PRESETS["pythia"].steps
    assert steps[:12] == (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
    assert steps[-1] == 143_000


def test_the_steps_of_gpt2_are_those_that_transformer_lens_knows() -> None:
    from transformer_lens.tools.model_registry.checkpoints import STANFORD_CRFM_CHECKPOINTS

    assert list(PRESETS["gpt2-stanford"].steps) == STANFORD_CRFM_CHECKPOINTS


@pytest.mark.parametrize(
    ("name", "size", "seed", "step", "place"),
    [
        ("pythia", "1.4b", 0, 512, "EleutherAI/pythia-1.4b@step512"),
        ("pythia-deduped", "12b", 0, 512, "EleutherAI/pythia-12b-deduped@step512"),
        ("polypythia", "14m", 9, 512, "EleutherAI/pythia-14m-seed9@step512"),
        ("polypythia-data", "160m", 2, 512, "EleutherAI/pythia-160m-data-seed2@step512"),
        ("polypythia-weight", "160m", 3, 512, "EleutherAI/pythia-160m-weight-seed3@step512"),
        ("gpt2-stanford", "small", 81, 1000, "stanford-crfm/caprica-gpt2-small-x81@checkpoint-1000"),
        ("multiberts", "base", 4, 20_000, "google/multiberts-seed_4-step_20k@main"),
        ("opt", "1.3b", 0, 1, "facebook/opt-1.3b@main"),
        ("tinyllama", "1.1b", 0, 955_000, "TinyLlama/TinyLlama-1.1B-intermediate-step-955k-token-2T@main"),
    ],
)
def test_a_preset_says_where_a_checkpoint_is(name: str, size: str, seed: int, step: int, place: str) -> None:
    checkpoint = PRESETS[name].suite().checkpoint(size, seed, step)
    assert checkpoint.place == place
    assert checkpoint.family == name
