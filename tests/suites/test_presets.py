from __future__ import annotations

import pytest

from phasescope.suites.presets import PRESETS

SIZES = {"pythia": 10, "pythia-deduped": 8, "polypythia": 5}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_lists_every_size_seed_and_step(name: str) -> None:
    suite = PRESETS[name].suite()
    seeds = 9 if name == "polypythia" else 1
    assert len(suite) == SIZES[name] * seeds * 154
    assert suite.sizes == PRESETS[name].sizes
    assert suite.steps()[:12] == (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000)
    assert suite.steps()[-1] == 143_000
    assert suite.missing() == {}


@pytest.mark.parametrize(
    ("name", "size", "seed", "place"),
    [
        ("pythia", "1.4b", 0, "EleutherAI/pythia-1.4b@step512"),
        ("pythia-deduped", "12b", 0, "EleutherAI/pythia-12b-deduped@step512"),
        ("polypythia", "14m", 9, "EleutherAI/pythia-14m-seed9@step512"),
    ],
)
def test_a_preset_says_where_a_checkpoint_is(name: str, size: str, seed: int, place: str) -> None:
    checkpoint = PRESETS[name].suite().checkpoint(size, seed, 512)
    assert checkpoint.place == place
    assert checkpoint.family == name
