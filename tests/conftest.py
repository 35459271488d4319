"""What all tests share: a small suite of real models made on the spot, and a run captured from it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

os.environ["HF_HUB_OFFLINE"] = "1"  # nothing in the tests may reach a network; the hub tests start their own hub
# How long an example takes says how busy the machine is.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

PROSE = (
    "The instrument visits every checkpoint of a suite and listens to what the layers say. "
    "A layer that has settled says the same thing at every later step, whatever the weather. "
    "Early in training the models learn how often words occur; later they learn what follows what, "
    "and at last they disagree about the rest, each seed in a way of its own. "
)
SIZES = {"tiny": (16, 2, 2), "small": (24, 3, 3), "1m": (24, 2, 3)}
STEPS = (0, 1, 4, 16)


def shared(*parts: str) -> Path:
    """A file of the real data that lies beside the project; skips the test where there is none."""
    path = Path(__file__).parents[2].joinpath("shared", "data", *parts)
    if not path.exists():
        pytest.skip(f"needs {path}")
    return path


TAGS = ("NOUN", "VERB", "DET", "ADJ")


def tagged_prose(path: Path) -> Path:
    """`PROSE` as words with parts of speech that their lengths tell."""
    words = "".join(letter for letter in PROSE if letter.isalpha() or letter == " ").split()
    line = json.dumps({"words": words, "tags": [TAGS[len(word) % 4] for word in words]})
    path.write_text("\n".join([line] * 4), encoding="utf-8")
    return path


def make_tokenizer(vocabulary: int = 300) -> object:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([PROSE], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


def make_suite(
    root: Path,
    sizes: tuple[str, ...] = ("tiny", "small"),
    seeds: tuple[int, ...] = (1, 2),
    steps: tuple[int, ...] = STEPS,
) -> Path:
    """Models that drift from their initialisation towards an end of their own, saved as a suite on disk."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = make_tokenizer()
    for size in sizes:
        width, layers, heads = SIZES[size]
        config = AutoConfig.for_model(
            "gpt_neox",
            hidden_size=width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=2 * width,
            vocab_size=320,  # more rows than the tokenizer has entries, as Pythia has
            max_position_embeddings=64,
        )
        for seed in seeds:
            torch.manual_seed(seed)
            begin, end = (AutoModelForCausalLM.from_config(config) for _ in range(2))
            for step in steps:
                model = AutoModelForCausalLM.from_config(config)
                share = step / max(*steps, 1)
                state = {
                    name: (1 - share) * value + share * (3 * end.state_dict()[name] if value.ndim > 1 else value)
                    for name, value in begin.state_dict().items()
                }
                model.load_state_dict(state)
                folder = root / size / f"seed{seed}" / f"step{step}"
                model.save_pretrained(folder)
                tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]
    return root


@pytest.fixture(scope="session")
def suite_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sizes × two seeds × four steps. Read only: copy it to change it."""
    return make_suite(tmp_path_factory.mktemp("suite") / "toy")


@pytest.fixture(scope="session")
def short_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One size × two seeds × two steps (0 and 4). Read only: copy it to change it."""
    return make_suite(tmp_path_factory.mktemp("short") / "toy", ("tiny",), (1, 2), (0, 4))


@pytest.fixture(scope="session")
def texts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "prose.txt"
    path.write_text("\n\n".join(PROSE for _ in range(40)), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def captured(suite_folder: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run captured from `suite_folder`. Read only: copy it to change it."""
    import phasescope as ps

    out = tmp_path_factory.mktemp("runs") / "toy"
    ps.capture(suite_folder, texts=texts_file, out=out, sequences=12, context=32, output_sequences=4)
    return out


def digests(run: Path) -> dict[str, str]:
    """Of every shard and cohort of a run, by its place in it."""
    import h5py

    found = {}
    for path in sorted([*run.glob("checkpoints/**/*.h5"), *run.glob("cohorts/**/*.h5")]):
        with h5py.File(path) as file:
            found[path.relative_to(run).as_posix()] = str(file.attrs["digest"])
    return found


PYTHIA_STEPS = (0, *(2**n for n in range(10)), 1000, 3000, *range(13000, 143_001, 10_000))
"""At which the real results of lm-evaluation-harness in the shared data are."""


@pytest.fixture(scope="session")
def pythia_run(tmp_path_factory: pytest.TempPathFactory, texts_file: Path) -> Path:
    """A run with those steps of a size 160m, of tiny models, beside its suite. Read only: copy it to change it."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    import phasescope as ps

    root = tmp_path_factory.mktemp("pythia")
    make_tokenizer().save_pretrained(root / "suite")  # type: ignore[attr-defined]
    config = AutoConfig.for_model(
        "gpt_neox",
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        vocab_size=320,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    for step in PYTHIA_STEPS:
        model.save_pretrained(root / "suite" / "160m" / f"step{step}")
        with torch.no_grad():
            for weight in model.parameters():
                weight += 0.3 * weight.std() * torch.randn_like(weight) if weight.ndim > 1 else 0
    ps.capture(
        root / "suite", texts=texts_file, out=root / "run", sequences=4, context=16, output_sequences=4,
        sites="mlp_out", compare_seeds=False,
    )  # fmt: skip
    return root / "run"


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Chromium is; skips what needs it where it is not."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("needs chromium")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()
