"""One model's training: what the seed sets, and that loss, gradient and batches are right."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phasescope.suites.recipe import Recipe
from phasescope.suites.shapes import ARCHITECTURES, SHAPES
from phasescope.suites.training import (
    Windows,
    deterministic,
    loss_into_gradient,
    new_model,
    new_optimizer,
    update,
)

RECIPE = Recipe(context=16, batch=4, vocabulary=300)


@settings(deadline=None)
@given(
    windows=st.integers(1, 40),
    context=st.integers(2, 9),
    batch=st.integers(1, 50),
    spare=st.integers(0, 8),
    seed=st.integers(0, 9),
)
def test_each_epoch_reads_every_window_once(windows: int, context: int, batch: int, spare: int, seed: int) -> None:
    tokens = np.arange(windows * context + 1 + min(spare, context - 1), dtype=np.uint16)
    reader = Windows(tokens, context, batch, seed)
    assert len(reader) == windows
    steps = -(-3 * windows // batch)
    read = torch.cat([reader.at(step) for step in range(steps)])
    assert read.shape == (steps * batch, context + 1)
    # Tokens are their own places here: a window is told by its first token, and must be contiguous.
    assert torch.equal(read - read[:, :1], torch.arange(context + 1).expand_as(read))
    starts = read[:, 0] // context
    for epoch in range(3):
        assert sorted(starts[epoch * windows : (epoch + 1) * windows].tolist()) == list(range(windows))


def test_the_order_differs_between_seeds_and_epochs_and_not_between_calls() -> None:
    tokens = np.arange(641, dtype=np.uint32)
    one, same, other = (Windows(tokens, 16, 40, seed) for seed in (1, 1, 2))
    assert torch.equal(one.at(7), same.at(7))
    assert not torch.equal(one.at(0), one.at(1))
    assert not torch.equal(one.at(0), other.at(0))


def test_large_token_numbers_survive() -> None:
    tokens = np.full(33, 70_000, dtype=np.uint32)
    assert Windows(tokens, 16, 2, 0).at(0).unique().tolist() == [70_000]


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_loss_and_gradient_are_those_of_cross_entropy(scale: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(3, 5, 320, generator=generator)
    targets = torch.randint(0, 320, (3, 5), generator=generator)
    exact = logits.double().requires_grad_()
    expected = torch.nn.functional.cross_entropy(exact.flatten(0, 1), targets.flatten())
    expected.backward()
    loss = loss_into_gradient(logits, targets)
    # float32 sums of 320 terms: relative error some 1e-6.
    torch.testing.assert_close(loss.double(), expected.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(logits.double(), exact.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_update_is_the_one_that_autograd_gives(architecture: str) -> None:
    recipe = Recipe(context=16, batch=4, vocabulary=300, architecture=architecture)
    windows = torch.randint(0, 300, (4, 17), generator=torch.Generator().manual_seed(0))
    ours, plain = (new_model(SHAPES["150k"], recipe, seed=3) for _ in range(2))
    our_optimizer, plain_optimizer = (
        new_optimizer(ours, SHAPES["150k"], recipe),
        new_optimizer(plain, SHAPES["150k"], recipe),
    )
    loss = update(ours, our_optimizer, windows)

    balanced = getattr(plain.config, "router_aux_loss_coef", None)
    asked = {} if balanced is None else {"output_router_logits": True}
    made = plain(input_ids=windows[:, :-1], **asked)
    expected = torch.nn.functional.cross_entropy(made.logits.flatten(0, 1), windows[:, 1:].flatten())
    (expected if balanced is None else expected + balanced * made.aux_loss).backward()
    torch.nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
    plain_optimizer.step()
    assert loss == pytest.approx(expected.item(), abs=1e-5)
    for (name, mine), theirs in zip(ours.named_parameters(), plain.parameters(), strict=True):
        # Adam's first moment is a tenth of the clipped gradient. The weights themselves cannot be compared: their
        # first step is the gradient's sign, also where the gradient is exactly zero but for rounding (key biases).
        first, second = our_optimizer.state[mine]["exp_avg"], plain_optimizer.state[theirs]["exp_avg"]
        torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-7, msg=lambda text, name=name: f"{name}: {text}")
        assert first.abs().max() > 0


def test_only_matrices_decay() -> None:
    model = new_model(SHAPES["150k"], RECIPE, seed=0)
    decaying, others = new_optimizer(model, SHAPES["150k"], RECIPE).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.1, 0.0)
    assert {p.ndim for p in decaying["params"]} == {2}
    assert {p.ndim for p in others["params"]} == {1}
    assert len(decaying["params"]) + len(others["params"]) == len(list(model.parameters()))


def test_the_seed_alone_sets_the_initial_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        return torch.cat([p.flatten() for p in new_model(SHAPES["150k"], RECIPE, seed).parameters()])

    torch.manual_seed(1)
    first = weights(5)
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    assert torch.equal(weights(5), first)
    assert not torch.equal(weights(6), first)
    assert torch.equal(torch.random.get_rng_state(), before), "the caller's random numbers were disturbed"


def test_the_default_architecture_is_pythias() -> None:
    config = new_model(SHAPES["150k"], RECIPE, seed=0).config
    assert config.model_type == "gpt_neox"
    assert config.use_parallel_residual
    assert config.rope_parameters["partial_rotary_factor"] == 0.25
    assert not config.tie_word_embeddings
    assert config.intermediate_size == 4 * config.hidden_size
    assert (config.bos_token_id, config.eos_token_id) == (0, 0)


@pytest.mark.parametrize(
    ("size", "parameters"),
    # As published on the models' cards: those other than the embeddings.
    [("14m", 1_189_888), ("31m", 4_739_072), ("70m", 18_915_328), ("160m", 85_056_000)],
)
def test_pythias_shapes_have_pythias_parameters(size: str, parameters: int) -> None:
    with torch.device("meta"):
        model = new_model(SHAPES[size], Recipe(vocabulary=50_277), seed=0)
    embedding = model.get_input_embeddings().weight.numel() + model.get_output_embeddings().weight.numel()
    assert sum(p.numel() for p in model.parameters()) - embedding == parameters


def test_a_gradient_that_is_not_finite_touches_no_weight() -> None:
    model = new_model(SHAPES["150k"], RECIPE, seed=0)
    with torch.no_grad():
        model.get_output_embeddings().weight[0, 0] = torch.inf
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(FloatingPointError):
        update(model, new_optimizer(model, SHAPES["150k"], RECIPE), torch.zeros(4, 17, dtype=torch.int64))
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_what_was_set_about_determinism_comes_back() -> None:
    assert not torch.are_deterministic_algorithms_enabled()
    with deterministic():
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory
