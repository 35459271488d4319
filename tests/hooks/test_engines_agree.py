"""Three engines, one answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

from phasescope.errors import PhasescopeError
from phasescope.hooks import ENGINES, Reading, Site, TappedModel, get_engine, select_sites

Build = Callable[..., PreTrainedModel]
Batch = tuple[torch.Tensor, torch.Tensor]
OTHERS = [name for name in ENGINES if name != "torch"]


def difference(reading: Reading, reference: Reading) -> float:
    """The largest difference at any site, relative to the largest value at that site."""
    assert reading.activations.keys() == reference.activations.keys()
    pairs = [(reading.activations[site], value) for site, value in reference.activations.items()]
    if reference.final_hidden is not None:
        assert reading.final_hidden is not None
        pairs.append((reading.final_hidden, reference.final_hidden))
    assert all(got.shape == wanted.shape and got.dtype == wanted.dtype for got, wanted in pairs)
    return max(float((got - wanted).abs().max() / wanted.abs().max()) for got, wanted in pairs)


def all_sites(tapped: TappedModel) -> list[Site]:
    return select_sites(tapped.components(), tapped.n_layers)


@pytest.mark.parametrize("final_hidden", [True, False])
@pytest.mark.parametrize("parallel", [True, False])
@pytest.mark.parametrize("engine", OTHERS)
def test_all_sites_are_equal(build: Build, batch: Batch, engine: str, parallel: bool, final_hidden: bool) -> None:
    model = build(parallel=parallel)
    reference, tapped = get_engine("torch").open(model), get_engine(engine).open(model)
    assert tapped.components() == reference.components()
    sites = all_sites(reference)
    wanted = reference.read(*batch, sites, final_hidden=final_hidden)
    got = tapped.read(*batch, sites, final_hidden=final_hidden)
    # float32, sums of at most 56 terms, in different order: 1e-6 is usual, 1e-5 is the promise.
    assert difference(got, wanted) <= 1e-5


@pytest.mark.parametrize("engine", OTHERS)
def test_all_sites_are_equal_in_double_precision(build: Build, batch: Batch, engine: str) -> None:
    """Patterns apart, nothing is computed in float32, so a formula that is slightly off would show.

    TransformerLens forms patterns at every site (it rebuilds attention), with a softmax in the model's precision.
    """
    model = build(parallel=False, dtype=torch.float64)
    reference, tapped = get_engine("torch").open(model), get_engine(engine).open(model)
    sites = [site for site in all_sites(reference) if site.component != "pattern"]
    assert difference(tapped.read(*batch, sites), reference.read(*batch, sites)) <= 1e-11


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize(("sequences", "context", "k"), [(1, 1, 1), (7, 2, 1), (1, 13, 13), (4, 5, 9)], ids=str)
def test_odd_shapes_agree(build: Build, engine: str, sequences: int, context: int, k: int) -> None:
    model = build(num_hidden_layers=2)
    generator = torch.Generator().manual_seed(k)
    tokens = torch.randint(61, (sequences, context), generator=generator)
    positions = torch.randint(context, (sequences, k), generator=generator)
    reference, tapped = get_engine("torch").open(model), get_engine(engine).open(model)
    sites = all_sites(reference)
    got = tapped.read(tokens, positions, sites, final_hidden=True)
    assert got.activations[Site(1, "ov_out")].shape == (sequences * k, 5, 40)
    assert difference(got, reference.read(tokens, positions, sites, final_hidden=True)) <= 1e-5


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("parallel", [True, False])
def test_weights_are_equal(build: Build, engine: str, parallel: bool) -> None:
    model = build(parallel=parallel)
    wanted, got = (get_engine(name).open(model).weights() for name in ("torch", engine))
    assert got.keys() == wanted.keys()
    for name in wanted:
        assert torch.equal(got[name], wanted[name]), name
        assert not got[name].requires_grad


@pytest.mark.parametrize("engine", ENGINES)
def test_every_engine_stops_early_and_never_makes_logits(
    build: Build, batch: Batch, engine: str, run_modules: Callable[[PreTrainedModel], list[str]]
) -> None:
    model = build()
    ran = run_modules(model)  # before opening, so that a twin is watched too
    tapped = get_engine(engine).open(model)
    tapped.read(*batch, [Site(0, "resid_post"), Site(0, "ov_out")])
    assert "gpt_neox.layers.0.mlp.dense_4h_to_h" in ran
    assert not any(name.startswith(("gpt_neox.layers.1", "gpt_neox.layers.2")) for name in ran)
    tapped.read(*batch, [], final_hidden=True)
    assert "gpt_neox.layers.2.mlp.dense_4h_to_h" in ran
    assert "lm_head" not in ran


@pytest.mark.parametrize("engine", ENGINES)
def test_reading_leaves_model_and_process_as_they_were(build: Build, batch: Batch, engine: str) -> None:
    model = build()
    before = [(name, type(module), set(vars(module))) for name, module in model.named_modules()]
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    threads, logits = torch.get_num_threads(), model(batch[0]).logits
    tapped = get_engine(engine).open(model)
    first = tapped.read(*batch, all_sites(tapped), final_hidden=True)
    tapped.read(*batch, [Site(0, "pattern")])
    again = tapped.read(*batch, all_sites(tapped), final_hidden=True)
    assert difference(again, first) == 0
    assert [(name, type(module), set(vars(module))) for name, module in model.named_modules()] == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert torch.equal(model(batch[0]).logits, logits)
    assert model(batch[0]).logits.requires_grad
    assert model.config._attn_implementation == "sdpa"
    assert torch.get_num_threads() == threads
    assert torch.is_grad_enabled()


@pytest.mark.parametrize("engine", OTHERS)
def test_a_twin_shares_the_weights_of_the_model(build: Build, batch: Batch, engine: str) -> None:
    model = build()
    held = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    weights = get_engine(engine).open(model).weights()
    copied = {
        name.rpartition(".")[2] for name, tensor in weights.items() if tensor.untyped_storage().data_ptr() not in held
    }
    assert copied <= {"W_Q", "W_K", "W_V"}
    assert not (copied and engine == "nnsight")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_failure_inside_the_model_comes_out_as_it_is_and_spoils_nothing(
    build: Build, batch: Batch, engine: str
) -> None:
    model, failing = build(), [False]

    def fail(*_: object) -> None:
        if failing[0]:
            raise RuntimeError("out of memory")

    model.base_model.layers[1].mlp.register_forward_hook(fail)
    tapped = get_engine(engine).open(model)
    wanted = tapped.read(*batch, [Site(2, "attn_out")])
    failing[0] = True
    with pytest.raises(RuntimeError, match="out of memory"):
        tapped.read(*batch, [Site(2, "attn_out"), Site(0, "pattern")])
    failing[0] = False
    assert difference(tapped.read(*batch, [Site(2, "attn_out")]), wanted) == 0


def test_what_transformer_lens_cannot_open_is_said(build: Build, batch: Batch) -> None:
    model = build(attention_bias=False)
    with pytest.raises(PhasescopeError, match=r"TransformerLens cannot open this gpt_neox model.*'torch'"):
        get_engine("transformer_lens").open(model)
    reference, tapped = get_engine("torch").open(model), get_engine("nnsight").open(model)
    sites = all_sites(reference)
    assert difference(tapped.read(*batch, sites), reference.read(*batch, sites)) <= 1e-5
