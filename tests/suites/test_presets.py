from __future__ import annotations

import pytest

from phasescope.suites.hub import LookUp
from phasescope.suites.naming import Told, compiled, told_by
from phasescope.suites.newer_presets import NEWER
from phasescope.suites.presets import PRESETS

B, T = 10**9, 10**12

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


@pytest.mark.parametrize(
    ("preset", "name", "expected"),
    [
        ("olmo", "step1454000-tokens3048B", Told(1_454_000, tokens=3048 * B)),
        ("olmo2", "stage1-step928646-tokens3896B", Told(928_646, tokens=3896 * B, stage="stage1")),
        ("olmo2", "stage2-ingredient1-step11931-tokens50B", Told(11_931, tokens=50 * B, stage="stage2", seed="1")),
        ("olmo3", "stage1-step1413814", Told(1_413_814, stage="stage1")),
        ("olmo3", "stage2-ingredient1-step23842", Told(23_842, stage="stage2", seed="1")),
        ("olmo3", "stage2-step47684-mix-round5-from-2T-ckpt", None),
        ("olmo3-sft", "step43000", Told(43_000)),
        ("olmo3-rlvr", "step_050", Told(50)),
        ("olmoe", "step1220000-tokens5117B", Told(1_220_000, tokens=5117 * B)),
        ("datadecide", "step38750-seed-small-aux-3", Told(38_750, seed="small-aux-3")),
        ("datadecide", "step69369-seed-default", Told(69_369, seed="default")),
        ("parc", "checkpoint-4000", Told(4000)),
        ("smollm2", "step-5125000", Told(5_125_000)),
        ("smollm3", "stage3-step-4720000", Told(4_720_000, stage="stage3")),
        ("smollm3", "lc-32k-to-64k-step-4000", Told(4000, stage="lc-32k-to-64k")),
        ("apertus", "step2627139-tokens15T", Told(2_627_139, tokens=15 * T)),
        ("apertus", "longctx-step50", Told(50, stage="longctx")),
        ("bloom", "global_step600000", Told(600_000)),
        ("amber", "ckpt_356", Told(356, "chunks")),
        ("comma", "stage2-step002000-tokens969B", Told(2000, tokens=969 * B, stage="stage2")),
        ("lucie", "step0753851", Told(753_851)),
        ("lucie", "extension_step0001220", Told(1220, stage="extension")),
        ("fineweb-ablations", "step-001000-2BT", Told(1000, tokens=2 * B)),
        ("ettin-encoder", "step599525", Told(599_525)),
        ("ettin-decoder", "ext1000", Told(1000, stage="ext")),
        ("ettin-decoder", "decay100", Told(100, stage="decay")),
        ("babylm", "chck_1000M", Told(B, "words")),
        ("hubble", "step238500", Told(238_500)),
    ],
)
def test_what_revisions_are_really_called(preset: str, name: str, expected: Told | None) -> None:
    look_up = PRESETS[preset].revision
    assert isinstance(look_up, LookUp)
    found = compiled(look_up.pattern).search(name)
    assert (told_by(found.groupdict(), name) if found else None) == expected


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
