"""The names that revisions of public suites really have: each is read, or told as not read.

They are those of model cards, of repositories that list them and of the suites' own code, as found in November 2026.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.suites import PRESETS, Suite, open_suite
from tests.suites.hub_server import HubServer, Repository


class Names(NamedTuple):
    """What is opened (a preset, `preset:size`, a repository or one with a pattern), where, what is read and not."""

    spec: str
    repository: str
    read: dict[str, str]
    left: tuple[str, ...] = ()


FAMILIES = [
    Names("EleutherAI/pythia-14m", "EleutherAI/pythia-14m", {"step0": "0", "step512": "512", "step143000": "143000"}),
    Names("EleutherAI/pythia-14m-seed1", "EleutherAI/pythia-14m-seed1", {"step1000": "1000"}),
    Names("parc:pythia:0", "jmichaelov/parc-pythia-seed0", {"checkpoint-0": "0", "checkpoint-4000": "4000"}),
    Names("jmichaelov/parc-rwkv-seed0", "jmichaelov/parc-rwkv-seed0", {"checkpoint-10": "10"}),
    Names("olmo:1b", "allenai/OLMo-1B-hf", {"step1000-tokens4B": "1000", "step1454000-tokens3048B": "1454000"}),
    Names(
        "olmo2:7b",
        "allenai/OLMo-2-1124-7B",
        {
            "step150-tokens1B": "stage1 150",
            "stage1-step1000-tokens5B": "stage1 1000",
            "stage1-step928646-tokens3896B": "stage1 928646",
            "stage2-ingredient1-step11931-tokens50B": "stage2 940577 seed 1",
            "stage2-ingredient3-step1000-tokens5B": "stage2 929646 seed 3",
        },
    ),
    Names(
        "olmo3:7b",
        "allenai/Olmo-3-1025-7B",
        {
            "stage1-step0": "stage1 0",
            "stage1-step1413814": "stage1 1413814",
            "stage2-step47684": "stage2 1461498",
            "stage3-step1000": "stage3 1462498",
            "stage3-step11921": "stage3 1473419",
        },
        (
            "stage2-step47684-mix-round5-from-2T-ckpt",
            "stage2-step47684-mix-gen-mc-only-from-2T-ckpt",
            "stage2-step47684-mix-math-code-reasoning-web-from-2T-ckpt",
        ),
    ),
    Names(
        "olmo3:32b",
        "allenai/Olmo-3-1125-32B",
        {
            "stage1-step656000": "stage1 656000 seed 1",
            "stage2-ingredient1-step23842": "stage2 679842 seed 1",
            "stage3-step11921": "stage3 691763 seed 1",
        },
    ),
    Names("olmo3-sft", "allenai/Olmo-3-7B-Think-SFT", {"step1000": "1000", "step43000": "43000"}),
    Names("olmo3-rlvr:32b-think", "allenai/Olmo-3-32B-Think", {"step_050": "50", "step_400": "400"}),
    Names(
        "olmoe:1b-7b-0924",
        "allenai/OLMoE-1B-7B-0924",
        {"step5000-tokens20B": "5000", "step1220000-tokens5117B": "1220000"},
    ),
    Names(
        "datadecide",
        "allenai/DataDecide-c4-1B",
        {
            "step69369-seed-default": "69369",
            "step1250-seed-small-aux-2": "1250 seed 2",
            "step38750-seed-small-aux-3": "38750 seed 3",
        },
    ),
    Names("datadecide", "allenai/DataDecide-dolma1_7-no-code-1B", {"step2500-seed-large-aux-2": "2500 seed 2"}),
    Names(
        "smollm2:1.7b",
        "HuggingFaceTB/SmolLM2-1.7B-intermediate-checkpoints",
        {"step-125000": "125000", "step-5125000": "5125000"},
    ),
    Names("smollm2:135m", "HuggingFaceTB/SmolLM2-135M-intermediate-checkpoints", {"step-240000": "240000"}),
    Names(
        "smollm3",
        "HuggingFaceTB/SmolLM3-3B-checkpoints",
        {
            "stage1-step-40000": "stage1 40000",
            "stage2-step-4200000": "stage2 4200000",
            "stage3-step-4720000": "stage3 4720000",
            "lc-4k-to-32k-step-4000": "lc-4k-to-32k 4724000",
            "lc-32k-to-64k-step-4000": "lc-32k-to-64k 4728000",
        },
        ("it-SFT", "it-soup-APO"),
    ),
    Names(
        "apertus:8b",
        "swiss-ai/Apertus-8B-2509",
        {
            "step50000-tokens210B": "50000",
            "step2627139-tokens15T": "2627139",
            "longctx-step50": "longctx 2627189",
        },
    ),
    Names(
        "swiss-ai/Apertus-8B-2509",
        "swiss-ai/Apertus-8B-2509",
        {"step50000-tokens210B": "50000", "step1155828-tokens15T": "1155828"},
        ("longctx-step50",),
    ),
    Names("amber", "LLM360/Amber", {"ckpt_000": "0", "ckpt_356": "356", "ckpt_358": "358"}),
    Names(
        r"LLM360/CrystalCoder@(?P<stage>phase\d)_checkpoint_(?P<step>\d+)$",
        "LLM360/CrystalCoder",
        {
            "CrystalCoder_phase1_checkpoint_055500": "phase1 55500",
            "CrystalCoder_phase3_checkpoint_027728": "phase3 83228",
        },
    ),
    Names("bloom:1b1", "bigscience/bloom-1b1-intermediate", {"global_step1000": "1000", "global_step600000": "600000"}),
    Names("bigscience/bloom-1b1-intermediate", "bigscience/bloom-1b1-intermediate", {"global_step1000": "1000"}),
    Names(
        "comma",
        "common-pile/comma-v0.1-1t",
        {
            "stage1-step010000-tokens21B": "stage1 10000",
            "stage1-step460000-tokens965B": "stage1 460000",
            "stage2-step002000-tokens969B": "stage2 462000",
        },
    ),
    Names(
        "lucie",
        "OpenLLM-France/Lucie-7B",
        {"step0005000": "5000", "step0753851": "753851", "extension_step0001220": "extension 755071"},
    ),
    Names("fineweb-ablations", "HuggingFaceFW/ablation-model-fineweb-edu", {"step-001000-2BT": "1000"}),
    Names(
        "ettin-decoder:17m",
        "jhu-clsp/ettin-decoder-17m",
        {"step596528": "596528", "step599525": "599525", "ext1000": "ext 600525", "decay100": "decay 600625"},
    ),
    Names(
        "jhu-clsp/ettin-decoder-17m", "jhu-clsp/ettin-decoder-17m", {"step599525": "599525"}, ("decay100", "ext1000")
    ),
    Names(
        "babylm",
        "BabyLM-community/babylm-baseline-100m-gpt2",
        {"chck_1M": "1000000", "chck_9M": "9000000", "chck_100M": "100000000", "chck_1000M": "1000000000"},
    ),
    Names("hubble:8b-500b-perturbed", "allegrolab/hubble-8b-500b_toks-perturbed-hf", {"step238500": "238500"}),
    Names(
        "tomg-group-umd/Gemstone-512x4",
        "tomg-group-umd/Gemstone-512x4",
        {"step_00002385": "2385"},
        ("step_00002385_cooldown_00002622",),
    ),
    Names(
        r"baichuan-inc/Baichuan2-7B-Intermediate-Checkpoints@train_(?P<tokens>\d+B)$",
        "baichuan-inc/Baichuan2-7B-Intermediate-Checkpoints",
        {"train_00220B": "220000000000", "train_01320B": "1320000000000"},
    ),
    Names(
        r"togethercomputer/RedPajama-INCITE-7B-Base@^(?P<tokens>\d+b)_tokens$",
        "togethercomputer/RedPajama-INCITE-7B-Base",
        {"240b_tokens": "240000000000", "700b_tokens": "700000000000"},
    ),
]
# Of these no name says a step where none is told how: the sentence names them.
UNREAD = {
    "LLM360/CrystalCoder": (["CrystalCoder_phase1_checkpoint_055500"], r"_checkpoint_055500.* Give a pattern that"),
    "baichuan-inc/Baichuan2-7B-Intermediate-Checkpoints": (["train_00220B"], r"it has main, train_00220B"),
    "togethercomputer/RedPajama-INCITE-7B-Base": (["240b_tokens"], r"it has 240b_tokens, main"),
    "marin-community/marin-8b-base": (["deeper-starling", "phoenix"], r"it has deeper-starling, main, phoenix"),
    "allenai/Olmo-Hybrid-7B": ([], r"it has main"),
}


def opened(names: Names) -> tuple[Suite, list[str]]:
    """The suite, and what was warned of. Of a preset with several sizes and seeds the one that is told."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", PhasescopeWarning)
        name, *rest = names.spec.split(":") if "/" not in names.spec else [names.spec]
        if not rest:
            return open_suite(name), [str(one.message) for one in said]
        preset = replace(PRESETS[name], sizes=(rest[0],), **({"seeds": (int(rest[1]),)} if len(rest) > 1 else {}))
        return open_suite(preset.suite()), []


@pytest.mark.parametrize("names", FAMILIES, ids=[f"{names.spec} {names.repository}" for names in FAMILIES])
def test_every_name_is_read_or_told(hub: HubServer, saved_model: Path, names: Names) -> None:
    there = [*names.read, *names.left]
    hub.repositories[names.repository] = Repository(dict.fromkeys(["main", *there], saved_model))
    suite, said = opened(names)
    read: dict[str, set[str]] = {}
    seeds: dict[str, set[int]] = {}
    for one in suite:
        seeds.setdefault(str(one.revision), set()).add(one.seed)
    for one in suite:
        own = len(seeds[str(one.revision)]) == 1 and one.seed  # a trunk is of all seeds
        told = " ".join(part for part in (one.stage, str(one.step), f"seed {one.seed}" if own else "") if part)
        read.setdefault(str(one.revision), set()).add(told)
    assert read == {name: {told} for name, told in names.read.items()}
    assert sorted(name.rpartition("@")[2] for name in suite.left_out) == sorted(names.left)
    for sentence in said:
        assert all(name in sentence for name in names.left)
    assert bool(suite.left_out_note) == bool(names.left)


@pytest.mark.parametrize("repository", UNREAD)
def test_where_none_is_read_the_names_are_told(hub: HubServer, saved_model: Path, repository: str) -> None:
    names, message = UNREAD[repository]
    hub.repositories[repository] = Repository(dict.fromkeys(["main", *names], saved_model))
    with pytest.raises(PhasescopeError, match=message):
        open_suite(repository)


@pytest.mark.parametrize(
    ("name", "size", "stage", "step", "billions"),
    [
        # What was announced of each: last steps times tokens a step.
        ("pythia", "70m", "", 143_000, 299.9),
        ("olmo3", "7b", "stage1", 1_413_814, 5930),
        ("olmo3", "7b", "stage2", 47_684, 100),
        ("olmo3", "7b", "stage3", 11_921, 50),
        ("olmo3", "32b", "stage1", 656_000, 5500),
        ("olmo3", "32b", "stage2", 23_842, 100),
        ("olmo3", "32b", "stage3", 11_921, 100),
        ("smollm2", "135m", "", 8 * 240_000, 2000),
        ("smollm2", "360m", "", 16 * 160_000, 4000),
        ("smollm2", "1.7b", "", 5_125_000, 10_700),
        ("smollm3", "3b", "stage1", 4_720_000, 11_100),
        ("datadecide", "4M", "", 5_725, 0.375),
        ("datadecide", "150M", "", 38_157, 15),
        ("datadecide", "1B", "", 69_369, 100),
        ("parc", "mamba", "", 4_000, 2.1),
        ("hubble", "1b-100b-standard", "", 48_000, 100),
        ("hubble", "8b-500b-perturbed", "", 238_500, 500),
        ("tinyllama", "1.1b", "", 1_431_000, 3000),
        ("amber", "7b", "", 359, 1258.5),
    ],
)
def test_tokens_of_a_step(name: str, size: str, stage: str, step: int, billions: float) -> None:
    preset = PRESETS[name]
    each = preset.tokens_of(size, stage)
    assert each is not None
    assert (each * step + preset.tokens_at_0) / 1e9 == pytest.approx(billions, rel=0.012)


def test_the_first_chunk_of_amber_has_been_read(hub: HubServer, saved_model: Path) -> None:
    from phasescope.reports.kit.tokens_read import counting_of_suite

    hub.repositories["LLM360/Amber"] = Repository(
        dict.fromkeys(["main", "ckpt_000", "ckpt_010", "ckpt_358"], saved_model)
    )
    suite = open_suite("amber")
    chunk = 1_706_976 * 2048
    assert [one.tokens for one in suite] == [chunk, 11 * chunk, 359 * chunk]
    counting = counting_of_suite(suite, "tokens")
    assert [counting.of("7b", step) for step in (0, 10, 358)] == [chunk, 11 * chunk, 359 * chunk]
