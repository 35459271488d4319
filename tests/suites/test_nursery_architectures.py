"""The same text, sizes and seeds in several architectures: what they share, what they learn, what is saved of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from phasescope.suites import Suite
from phasescope.suites.reading import quiet_transformers
from phasescope.suites.recipe import Recipe
from phasescope.suites.shapes import ARCHITECTURES, SHAPES, find_shape
from phasescope.suites.trainee import STATE, Trainee
from phasescope.suites.training import Windows, new_model, new_optimizer
from tests.suites.nursery_samples import RECIPE, contents, one_thread, train_sample

OTHERS = ("llama", "olmoe", "lfm2", "mamba", "rwkv")  # than the default


@pytest.fixture(scope="module", params=["gpt_neox", *OTHERS])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """One model of each architecture, 60 updates of 16 × 32 tokens."""
    out = tmp_path_factory.mktemp("architectures") / request.param
    recipe = {"steps": 60, "batch": 16, "context": 32, "learning_rate": 0.01, "checkpoints": "0,last"}
    return train_sample(out, list(topics.values()), seeds=[1], architecture=request.param, **recipe)


def loss(suite: Suite, step: int, windows: torch.Tensor) -> float:
    model = AutoModelForCausalLM.from_pretrained(suite.checkpoint("150k", 1, step).location)
    with torch.no_grad(), quiet_transformers():
        logits = model(input_ids=windows, use_cache=False).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten()).item()


def test_models_learn(trained: Suite) -> None:
    """The held-out text is told better than by how often its tokens occur: the unigram entropy is well undercut."""
    out = Path(trained.source)
    text = json.loads((out / "heldout.jsonl").read_text("utf-8").splitlines()[-1])["text"]
    tokens = torch.tensor(AutoTokenizer.from_pretrained(out / "tokenizer")(text)["input_ids"])
    windows = tokens[: len(tokens) // 32 * 32].view(-1, 32)[:64]
    counts = torch.from_numpy(np.load(out / "token_counts.npy"))
    log_frequencies = ((counts + 1) / (counts + 1).sum()).log()
    unigram = -log_frequencies[windows[:, 1:]].mean().item()
    first, last = (loss(trained, step, windows) for step in (0, 60))
    assert first > unigram
    # A mixture learns more slowly, as each expert sees a quarter of the tokens.
    assert last < unigram - (0.3 if "olmoe" in trained.source else 0.4)


def test_what_is_saved_is_what_was_trained(trained: Suite) -> None:
    """Reading a checkpoint does not change it, and training and reading compute the same: RWKV can do otherwise."""
    model = AutoModelForCausalLM.from_pretrained(trained.checkpoint("150k", 1, 60).location)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tokens = torch.arange(32)[None] + 40
    with torch.no_grad(), quiet_transformers():
        read = model.eval()(input_ids=tokens, use_cache=False).logits
        as_trained = model.train()(input_ids=tokens, use_cache=False).logits
    assert torch.equal(read, as_trained)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_context_trained_on_is_told_in_the_configuration(trained: Suite) -> None:
    config = AutoModelForCausalLM.from_pretrained(trained.checkpoint("150k", 1, 60).location).config
    assert config.max_position_embeddings == 32


@pytest.mark.parametrize("architecture", OTHERS)
def test_the_same_text_gives_every_architecture_the_same_tokens(
    architecture: str, nursery: Path, tmp_path: Path
) -> None:
    train_sample(tmp_path / "other", architecture=architecture, seeds=[1], steps=1)
    for name in ("tokenizer/tokenizer.json", "tokens.npy", "token_counts.npy", "heldout.jsonl"):
        assert (tmp_path / "other" / name).read_bytes() == (nursery / name).read_bytes(), name
    described = json.loads((tmp_path / "other" / "suite.json").read_text())
    assert described["recipe"]["architecture"] == architecture
    assert ("mambapy" in described["environment"]) == (architecture == "mamba")


@pytest.mark.parametrize("architecture", OTHERS)
def test_a_stopped_training_goes_on_to_the_same_weights(architecture: str, tmp_path: Path) -> None:
    recipe = {**RECIPE, "architecture": architecture, "schedule": "warmup_stable_decay"}
    whole = tmp_path / "whole"
    train_sample(whole, seeds=[1], **recipe)
    stopped = Path(shutil.copytree(whole, tmp_path / "stopped"))
    folder = stopped / "150k" / "seed1"
    for step in (4, 8, 10):
        shutil.rmtree(folder / f"step{step}")
    parsed = Recipe(**recipe)
    windows = Windows(np.load(stopped / "tokens.npy"), parsed.context, parsed.batch, seed=1)
    shape = find_shape("150k", architecture)
    trainee = Trainee(folder, shape, 1, parsed, windows, stopped / "tokenizer", "cpu", state_seconds=0.0)
    with one_thread(), quiet_transformers():
        assert 6 in (step for step, _ in trainee.run())  # reads no further
    assert (folder / STATE).is_file()
    assert trainee.first_step() == 6
    train_sample(stopped, seeds=[1], **recipe)
    assert contents(stopped) == contents(whole)


@pytest.mark.parametrize("architecture", ["mamba", "rwkv"])
def test_only_matrices_decay(architecture: str) -> None:
    recipe = Recipe(context=16, batch=4, vocabulary=300, architecture=architecture)
    model = new_model(find_shape("150k", architecture), recipe, seed=0)
    decaying, others = (
        {id(p) for p in group["params"]} for group in new_optimizer(model, SHAPES["150k"], recipe).param_groups
    )
    names = {name: id(p) for name, p in model.named_parameters()}
    assert {name for name in names if "A_log" in name or "time_mix" in name or "norm" in name} <= {
        name for name in names if names[name] in others
    }
    assert {name for name in names if "proj.weight" in name or "key.weight" in name or "embeddings" in name} <= {
        name for name in names if names[name] in decaying
    }
    assert len(decaying) + len(others) == len(names)


@pytest.mark.parametrize("architecture", OTHERS)
@pytest.mark.parametrize("size", SHAPES)
def test_a_size_has_about_as_many_parameters_in_every_architecture(size: str, architecture: str) -> None:
    def parameters(name: str) -> float:
        vocabulary = 50_277 if size in ("14m", "31m", "70m", "160m") else 2048
        with torch.device("meta"):
            model = new_model(find_shape(size, name), Recipe(architecture=name, vocabulary=vocabulary), seed=0)
        # Of a mixture those that a token goes through.
        shares = {True: getattr(model.config, "num_experts_per_tok", 1) / getattr(model.config, "num_experts", 1)}
        return sum(p.numel() * shares.get(".experts." in path, 1.0) for path, p in model.named_parameters())

    assert parameters(architecture) == pytest.approx(parameters("gpt_neox"), rel=0.12)


def test_mambas_parallel_scan_is_the_loop_over_tokens() -> None:
    """Forward and backward, to what float32 sums in another order allow."""
    found = []
    for parallel in (True, False):
        model = new_model(find_shape("150k", "mamba"), Recipe(context=16, vocabulary=300, architecture="mamba"), seed=0)
        for block in model.backbone.layers:
            assert block.mixer.use_mambapy
            block.mixer.use_mambapy = parallel
        tokens = torch.randint(0, 300, (2, 16), generator=torch.Generator().manual_seed(0))
        with quiet_transformers():
            logits = model(input_ids=tokens, use_cache=False).logits
        logits.square().mean().backward()
        found.append([logits.detach(), *(p.grad for p in model.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * float(other.abs().max()))


def test_every_architecture_has_a_name_that_transformers_knows() -> None:
    from transformers import AutoConfig

    assert [AutoConfig.for_model(name).model_type for name in ARCHITECTURES] == list(ARCHITECTURES)
