"""Known suites on the hub. To add one, add an entry to `_PRESETS`, or to `newer_presets` where the hub is asked.

What is written here was read in the suite's own papers, model cards and code, named at each entry. Where these do not
determine the names of revisions (those of OLMo tell tokens too), the hub is asked when the suite is opened.
"""

from __future__ import annotations

from contextlib import suppress

from phasescope.errors import BadCheckpointError
from phasescope.suites.download import size_of
from phasescope.suites.hub import LookUp
from phasescope.suites.newer_presets import NEWER
from phasescope.suites.preset import Preset
from phasescope.suites.suite import Suite

# Pythia saved at 0, at the powers of two up to 512, and then every 1 000 steps to the end.
_PYTHIA_STEPS = (0, *(2**power for power in range(10)), *range(1000, 143_001, 1000))
# The schedule in the README of stanford-crfm/mistral; TransformerLens lists the same 609 steps.
_MISTRAL_STEPS = (*range(0, 100, 10), *range(100, 2000, 50), *range(2000, 20_000, 100), *range(20_000, 400_001, 1000))
# MultiBERTs' model cards: every 20 000 steps to 200 000, then every 100 000; and the initialisation.
_MULTIBERTS_STEPS = (*range(0, 200_001, 20_000), *range(300_000, 2_000_001, 100_000))

# The parameters in Pythia's README in half precision, and a causal mask of 2048 × 2048 bytes for each layer; this is
# what the hub shows for 14m (53.3 MB), 1.4b (2.93 GB) and 12b (23.85 GB).
_PYTHIA_MEGABYTES = {
    "14m": 53, "31m": 86, "70m": 166, "160m": 375, "410m": 911,
    "1b": 2_091, "1.4b": 2_930, "2.8b": 5_685, "6.9b": 13_849, "12b": 23_843,
}  # fmt: skip
# A batch of 1 024 sequences of 2 048 tokens, of every size.
_PYTHIA_TOKENS = {"": 1024 * 2048}
# 512 sequences of 1 024 tokens: the README of stanford-crfm/mistral.
_MISTRAL_TOKENS = {"": 512 * 1024}


_PRESETS = (
    Preset(
        name="pythia",
        about="Pythia, trained on the Pile (Biderman et al. 2023)",
        repository="EleutherAI/pythia-{size}",
        sizes=("14m", "31m", "70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"),
        steps=_PYTHIA_STEPS,
        tokens=_PYTHIA_TOKENS,
        megabytes=_PYTHIA_MEGABYTES,
    ),
    Preset(
        name="pythia-deduped",
        about="Pythia, trained on the deduplicated Pile (Biderman et al. 2023)",
        repository="EleutherAI/pythia-{size}-deduped",
        sizes=("70m", "160m", "410m", "1b", "1.4b", "2.8b", "6.9b", "12b"),
        steps=_PYTHIA_STEPS,
        tokens=_PYTHIA_TOKENS,
        megabytes=_PYTHIA_MEGABYTES,
    ),
    # The names of the three are those in the model cards of EleutherAI/pythia-*-seed*.
    Preset(
        name="polypythia",
        about="PolyPythias, nine more seeds of Pythia (van der Wal et al. 2025)",
        repository="EleutherAI/pythia-{size}-seed{seed}",
        sizes=("14m", "31m", "70m", "160m", "410m"),
        seeds=tuple(range(1, 10)),
        steps=_PYTHIA_STEPS,
        tokens=_PYTHIA_TOKENS,
        megabytes=_PYTHIA_MEGABYTES,
    ),
    Preset(
        name="polypythia-data",
        about="PolyPythias in which only the order of the data differs (van der Wal et al. 2025)",
        repository="EleutherAI/pythia-{size}-data-seed{seed}",
        sizes=("160m",),
        seeds=(1, 2, 3),
        steps=_PYTHIA_STEPS,
        tokens=_PYTHIA_TOKENS,
        megabytes=_PYTHIA_MEGABYTES,
    ),
    Preset(
        name="polypythia-weight",
        about="PolyPythias in which only the initial weights differ (van der Wal et al. 2025)",
        repository="EleutherAI/pythia-{size}-weight-seed{seed}",
        sizes=("160m",),
        seeds=(1, 2, 3),
        steps=_PYTHIA_STEPS,
        tokens=_PYTHIA_TOKENS,
        megabytes=_PYTHIA_MEGABYTES,
    ),
    # Names, seeds and schedule: the README of stanford-crfm/mistral. The small ones have a tag for each step, but for
    # up to five; the medium ones have none: there each checkpoint is a commit, as their histories on the hub show.
    Preset(
        name="gpt2-stanford",
        about="GPT-2 small, five seeds on OpenWebText (Karamcheti et al. 2021)",
        repository="stanford-crfm/{name}-gpt2-{size}-x{seed}",
        sizes=("small",),
        seeds=(21, 49, 81, 343, 777),
        steps=_MISTRAL_STEPS,
        tokens=_MISTRAL_TOKENS,
        revision="checkpoint-{step}",
        names={"small": ("alias", "battlestar", "caprica", "darkmatter", "expanse")},
        megabytes={"small": 510},  # 124 million parameters of four bytes, and the causal masks.
    ),
    Preset(
        name="gpt2-stanford-medium",
        about="GPT-2 medium, five seeds on OpenWebText (Karamcheti et al. 2021)",
        repository="stanford-crfm/{name}-gpt2-{size}-x{seed}",
        sizes=("medium",),
        seeds=(21, 49, 81, 343, 777),
        revision=LookUp(r"^checkpoint-(?P<step>\d+) contents$", of="commits"),
        names={"medium": ("arwen", "beren", "celebrimbor", "durin", "eowyn")},
        tokens=_MISTRAL_TOKENS,
    ),
    # pico-lm/pico-train saves each checkpoint as a commit of this title.
    Preset(
        name="pico",
        about="Pico decoders, trained on Dolma; needs --trust-remote-code (Diehl Martinez et al. 2025)",
        repository="pico-lm/pico-decoder-{size}",
        sizes=("tiny", "small", "medium", "large"),
        revision=LookUp(r"^Saving HF Model -- Step (?P<step>\d+)$", of="commits"),
        tokens={"": 1024 * 2048},
    ),
    # One repository for each checkpoint: the model cards of google/multiberts-seed_*-step_*k.
    Preset(
        name="multiberts",
        about="MultiBERTs, the five seeds of BERT with intermediate checkpoints (Sellam et al. 2022)",
        repository="google/multiberts-seed_{seed}-step_{thousands}k",
        sizes=("base",),
        seeds=tuple(range(5)),
        steps=_MULTIBERTS_STEPS,
        revision="main",
        megabytes={"base": 441},
        tokens={"": 256 * 512},
    ),
    # The weights are in half precision, as the hub shows for 125m (251 MB). metaseq has published intermediate states
    # of 2.7b, 6.7b and 13b, in a format of its own and not on the hub.
    Preset(
        name="opt",
        about="OPT, final states only, numbered as step 1: others are not on the hub (Zhang et al. 2022)",
        repository="facebook/opt-{size}",
        sizes=("125m", "350m", "1.3b", "2.7b", "6.7b", "13b", "30b", "66b"),
        steps=(1,),
        revision="main",
        megabytes={
            "125m": 251,
            "350m": 700,
            "1.3b": 2_600,
            "2.7b": 5_400,
            "6.7b": 13_400,
            "13b": 26_000,
            "30b": 60_000,
            "66b": 132_000,
        },
    ),
    # The model cards of TinyLlama: a repository each. Steps are told in thousands.
    Preset(
        name="tinyllama",
        about="TinyLlama, seven states on SlimPajama and Starcoder (Zhang et al. 2024)",
        repository="TinyLlama/TinyLlama-1.1B",
        sizes=("1.1b",),
        steps=(50_000, 240_000, 480_000, 715_000, 955_000, 1_195_000, 1_431_000),
        revision="main",
        at={
            50_000: "TinyLlama/TinyLlama-1.1B-step-50K-105b",
            240_000: "TinyLlama/TinyLlama-1.1B-intermediate-step-240k-503b",
            480_000: "TinyLlama/TinyLlama-1.1B-intermediate-step-480k-1T",
            715_000: "TinyLlama/TinyLlama-1.1B-intermediate-step-715k-1.5T",
            955_000: "TinyLlama/TinyLlama-1.1B-intermediate-step-955k-token-2T",
            1_195_000: "TinyLlama/TinyLlama-1.1B-intermediate-step-1195k-token-2.5T",
            1_431_000: "TinyLlama/TinyLlama-1.1B-intermediate-step-1431k-3T",
        },
        megabytes={"1.1b": 4_400},  # 1.1 billion parameters of four bytes.
        tokens={"": 2_097_152},
    ),
)
PRESETS = {preset.name: preset for preset in (*_PRESETS, *NEWER)}


def bytes_of_one(suite: Suite) -> dict[str, int]:
    """About how much disk the configuration and weights of one checkpoint of each size need.

    Of a preset as written above; of other suites on the hub as it says for the first checkpoint of each size, without
    those sizes that it does not show. Nothing for folders.
    """
    known = PRESETS[suite.source].megabytes if suite.source in PRESETS else {}
    found = {size: 1_000_000 * known[size] for size in suite.sizes if size in known}
    for checkpoint in suite:
        if checkpoint.size not in found and not checkpoint.is_local:
            with suppress(BadCheckpointError):
                found[checkpoint.size] = size_of(checkpoint)[0]
    return found
