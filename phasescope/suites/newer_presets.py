"""Suites whose revisions only the hub knows: where they are, and what their names tell.

The names were read in the model cards of the repositories, and in what is written at each entry.
"""

from __future__ import annotations

import itertools

from phasescope.suites.hub import LookUp
from phasescope.suites.preset import Preset

# `stage1-step1000-tokens4B`, `stage2-ingredient1-step11931-tokens50B`; some of OLMo 2 7B lack the stage
# (its discussion 6). An ingredient is an order of the second stage's data, each begun from the end of the first.
_STAGES_AND_TOKENS = LookUp(
    r"^(?:(?P<stage>stage\d)-(?:ingredient(?P<seed>\d+)-)?)?step(?P<step>\d+)-tokens(?P<tokens>\d+B)$"
)
_DATADECIDE_BATCHES = {
    **dict.fromkeys(("4M", "6M", "8M", "10M", "14M", "16M"), 32), "20M": 64, "60M": 96, "90M": 160, "150M": 192,
    "300M": 320, "530M": 448, "750M": 576, "1B": 704,
}  # fmt: skip
_HUBBLE = tuple(itertools.product(("1b", "8b"), ("100b", "500b"), ("standard", "perturbed")))

NEWER = (
    # The branches that the model cards of the base models name: `step1000-tokens4B`. Annealed ones are left out.
    Preset(
        name="olmo",
        about="OLMo, trained on Dolma; -0424 and -0724 are later versions (Groeneveld et al. 2024)",
        repository="allenai/{name}",
        sizes=("1b", "1b-0724", "7b", "7b-0424", "7b-0724"),
        revision=LookUp(r"^step(?P<step>\d+)-tokens(?P<tokens>\d+B)$"),
        names={
            "1b": ("OLMo-1B-hf",),
            "1b-0724": ("OLMo-1B-0724-hf",),
            "7b": ("OLMo-7B-hf",),
            "7b-0424": ("OLMo-7B-0424-hf",),
            "7b-0724": ("OLMo-7B-0724-hf",),
        },
    ),
    # The first 37 000 steps of 1b have a repository of their own. README of allenai/OLMo.
    Preset(
        name="olmo2",
        about="OLMo 2, both stages; seeds are the second stage's orders of data (OLMo et al. 2025)",
        repository="allenai/{name}",
        sizes=("1b", "7b", "13b", "32b"),
        revision=_STAGES_AND_TOKENS,
        names={
            "1b": ("OLMo-2-0425-1B+OLMo-2-0425-1B-early-training",),
            "7b": ("OLMo-2-1124-7B",),
            "13b": ("OLMo-2-1124-13B",),
            "32b": ("OLMo-2-0325-32B",),
        },
    ),
    # Every stage counts its steps anew; of mixtures beside the run (`stage2-step47684-mix-…`) none is part of it.
    Preset(
        name="olmo3",
        about="OLMo 3 base models, three stages; of 32b seeds are the second stage's ingredients (OLMo 2025)",
        repository="allenai/{name}",
        sizes=("7b", "32b"),
        revision=LookUp(r"^(?P<stage>stage\d)(?:-ingredient(?P<seed>\d+))?-step(?P<step>\d+)$"),
        names={"7b": ("Olmo-3-1025-7B",), "32b": ("Olmo-3-1125-32B",)},
        # Up to the last steps it is what was announced: 5.93 and 5.5 trillion, then 100, and 50 or 100 billion.
        tokens={
            "7b stage1": 4_194_304,
            "7b stage2": 2_097_152,
            "7b stage3": 4_194_304,
            "32b stage1": 8_388_608,
            "32b stage2": 4_194_304,
            "32b stage3": 8_388_608,
        },
    ),
    Preset(
        name="olmo3-sft",
        about="OLMo 3, supervised fine-tuning of the thinking model (OLMo 2025)",
        repository="allenai/{name}",
        sizes=("7b",),
        revision=LookUp(r"^step(?P<step>\d+)$"),
        names={"7b": ("Olmo-3-7B-Think-SFT",)},
    ),
    Preset(
        name="olmo3-rlvr",
        about="OLMo 3, reinforcement learning from verifiable rewards (OLMo 2025)",
        repository="allenai/{name}",
        sizes=("7b-instruct", "32b-think"),
        revision=LookUp(r"^step_(?P<step>\d+)$"),
        names={"7b-instruct": ("Olmo-3-7B-Instruct",), "32b-think": ("Olmo-3-32B-Think",)},
    ),
    # 0125 has the second stage in three orders.
    Preset(
        name="olmoe",
        about="OLMoE, mixtures of experts (Muennighoff et al. 2024)",
        repository="allenai/{name}",
        sizes=("1b-7b-0924", "1b-7b-0125"),
        revision=_STAGES_AND_TOKENS,
        names={"1b-7b-0924": ("OLMoE-1B-7B-0924",), "1b-7b-0125": ("OLMoE-1B-7B-0125",)},
    ),
    # `step69369-seed-default`, `step1250-seed-small-aux-2`; a repository for each recipe and size.
    Preset(
        name="datadecide",
        about="DataDecide, 25 recipes of data in 14 sizes, three seeds (Magnusson et al. 2025)",
        repository="allenai/DataDecide-{recipe}-{size}",
        revision=LookUp(r"^step(?P<step>\d+)-seed-(?P<seed>[\w-]+)$"),
        # Sequences in a batch, of 2 048 tokens: `scaling_laws/utils/constants` of allenai/DataDecide, where its steps
        # (5 725 of 4M, 69 369 of 1B) give 100 tokens for each parameter that a size is called after.
        tokens={size: sequences * 2048 for size, sequences in _DATADECIDE_BATCHES.items()},
    ),
    # The three architectures are trained on the same data in the same order, for 4 000 steps.
    Preset(
        name="parc",
        about="PARC, six seeds of Pythia, Mamba and RWKV on OpenWebText (Michaelov et al. 2025)",
        repository="jmichaelov/parc-{size}-seed{seed}",
        sizes=("pythia", "mamba", "rwkv"),
        seeds=tuple(range(6)),
        revision=LookUp(r"^checkpoint-(?P<step>\d+)$"),
        tokens={"": 512 * 1024},  # the 2 billion of its model cards
    ),
    Preset(
        name="smollm2",
        about="SmolLM2 (Ben Allal et al. 2025)",
        repository="HuggingFaceTB/SmolLM2-{name}-intermediate-checkpoints",
        sizes=("135m", "360m", "1.7b"),
        revision=LookUp(r"^step-(?P<step>\d+)$"),
        names={"135m": ("135M",), "360m": ("360M",), "1.7b": ("1.7B",)},
        # 360M: its model card. 135M: eight checkpoints, each 240 000 steps, are the 2 trillion tokens of the paper.
        tokens={"135m": 1_048_576, "360m": 1_572_864, "1.7b": 2_097_152},
    ),
    # Steps go on through the three stages, and begin anew in the two that lengthen the context.
    Preset(
        name="smollm3",
        about="SmolLM3, three stages and two of longer context (Bakouch et al. 2025)",
        repository="HuggingFaceTB/SmolLM3-3B-checkpoints",
        sizes=("3b",),
        revision=LookUp(r"^(?P<stage>stage\d|lc-\w+-to-\w+)-step-(?P<step>\d+)$"),
        stages=("stage1", "stage2", "stage3", "lc-4k-to-32k", "lc-32k-to-64k"),
        tokens={f"3b stage{stage}": 2_359_296 for stage in (1, 2, 3)},
    ),
    Preset(
        name="apertus",
        about="Apertus, pretraining and longer context (Hernández-Cano et al. 2025)",
        repository="swiss-ai/Apertus-{name}-2509",
        sizes=("8b", "70b"),
        revision=LookUp(r"^(?:(?P<stage>longctx)-)?step(?P<step>\d+)(?:-tokens(?P<tokens>\d+[BT]))?$"),
        names={"8b": ("8B",), "70b": ("70B",)},
    ),
    Preset(
        name="bloom",
        about="BLOOM, eight states of each size (Scao et al. 2022)",
        repository="bigscience/{name}",
        sizes=("560m", "1b1", "1b7", "3b", "7b1", "176b"),
        revision=LookUp(r"^global_step(?P<step>\d+)$"),
        names={
            **{size: (f"bloom-{size}-intermediate",) for size in ("560m", "1b1", "1b7", "3b", "7b1")},
            "176b": ("bloom-intermediate",),
        },
    ),
    # Of 360 chunks of the data one each; the last is `main`. `ckpt_000` is saved after the first chunk, and each has
    # 1 706 976 sequences of 2 048 tokens (`main.py` of LLM360/amber-train): 1.26 trillion in all.
    Preset(
        name="amber",
        about="Amber, counted in chunks of the data, of 3.5 billion tokens; 0 is after the first (Liu et al. 2023)",
        repository="LLM360/Amber",
        sizes=("7b",),
        revision=LookUp(r"^ckpt_(?P<chunk>\d+)$"),
        tokens={"": 1_706_976 * 2048},
        tokens_at_0=1_706_976 * 2048,
    ),
    Preset(
        name="comma",
        about="Comma v0.1, trained on the Common Pile, two stages (Kandpal et al. 2025)",
        repository="common-pile/comma-v0.1-1t",
        sizes=("7b",),
        revision=LookUp(r"^(?P<stage>stage\d)-step(?P<step>\d+)-tokens(?P<tokens>\d+B)$"),
        begins=True,
    ),
    Preset(
        name="lucie",
        about="Lucie, pretraining and longer context (Gouvert et al. 2025)",
        repository="OpenLLM-France/Lucie-7B",
        sizes=("7b",),
        revision=LookUp(r"^(?:(?P<stage>extension)_)?step(?P<step>\d+)$"),
    ),
    # `step-001000-2BT`; a repository for each data set.
    Preset(
        name="fineweb-ablations",
        about="Models of one size, one for each data set that FineWeb is compared with (Penedo et al. 2024)",
        repository="HuggingFaceFW/ablation-model-{recipe}",
        revision=LookUp(r"^step-(?P<step>\d+)-(?P<tokens>\d+B)T$"),
    ),
    # `step599525`, then `ext1000`, then `decay100`, each counted anew.
    *(
        Preset(
            name=f"ettin-{kind}",
            about=f"Ettin, the {kind}s, three stages (Weller et al. 2025)",
            repository=f"jhu-clsp/ettin-{kind}-{{size}}",
            sizes=("17m", "32m", "68m", "150m", "400m", "1b"),
            revision=LookUp(r"^(?:step|(?P<stage>ext|decay))(?P<step>\d+)$"),
            stages=("", "ext", "decay"),
        )
        for kind in ("encoder", "decoder")
    ),
    # `chck_1M` to `chck_1000M`, as the evaluation pipeline of 2025 asks every submission to call them.
    Preset(
        name="babylm",
        about="The baselines of the BabyLM challenge, counted in words (Charpentier et al. 2025)",
        repository="BabyLM-community/babylm-baseline-{recipe}",
        revision=LookUp(r"^chck_(?P<words>\d+M)$"),
    ),
    Preset(
        name="hubble",
        about="Hubble, pairs with and without planted text (Wei et al. 2025)",
        repository="allegrolab/hubble-{name}-hf",
        sizes=tuple(f"{size}-{tokens}-{kind}" for size, tokens, kind in _HUBBLE),
        revision=LookUp(r"^step(?P<step>\d+)$"),
        names={f"{size}-{tokens}-{kind}": (f"{size}-{tokens}_toks-{kind}",) for size, tokens, kind in _HUBBLE},
        tokens={"": 1024 * 2048},  # steps 48 000 and 238 500 are the 100 and 500 billion of the names
    ),
)
