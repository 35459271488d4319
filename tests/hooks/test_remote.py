"""Traces as they would be sent to a server, taken apart and run here with everything of ours hidden."""

from __future__ import annotations

import sys
from pathlib import Path

import cloudpickle
import pytest
import torch

from phasescope.errors import PhasescopeError
from phasescope.hooks import Reading, Site, get_engine
from phasescope.hooks.nnsight_remote import Asked, RemoteModel
from phasescope.hooks.output import unembedding_of
from phasescope.hooks.routing import Chosen
from phasescope.measures import surprisal_and_entropy_from_hidden
from tests.conftest import make_tokenizer
from tests.hooks import zoo


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where phasescope is installed: nnsight sends along the source of modules that are not."""
    monkeypatch.setattr("nnsight.ndif.pull_env", lambda: None)
    for name in cloudpickle.list_registry_pickle_by_value():
        if name.partition(".")[0] in ("phasescope", "tests"):
            cloudpickle.unregister_pickle_by_value(sys.modules[name])


def remote(name: str, folder: Path, **settings: object) -> tuple[RemoteModel, object]:
    model = zoo.make(name, **settings)
    model.save_pretrained(folder)
    tokenizer = make_tokenizer()
    tokenizer.add_special_tokens({"mask_token": "[MASK]"})  # type: ignore[attr-defined]
    return RemoteModel(str(folder), None, model.config, tokenizer, patterns=True, server="local"), model


@pytest.mark.parametrize("name", [name for name in zoo.SAVED if name != "RWKV"])
def test_every_site_and_the_outputs_are_those_of_the_torch_engine(name: str, tmp_path: Path) -> None:
    tapped, model = remote(name, tmp_path)
    reference = get_engine("torch").open(model)
    tokens, positions = zoo.batch()
    every = reference.architecture.select(reference.components(), reference.n_layers)
    entry = reference.architecture
    here = [site for site in every if isinstance(entry.in_layer(site.layer).taps[site.component], Chosen)]
    for site in here:
        with pytest.raises(PhasescopeError, match=rf"{site} is computed with matrices of experts, which stay on"):
            tapped.read(tokens, positions, [site])
    assert {site.component for site in here}.isdisjoint(tapped.components())
    sites = [site for site in every if site not in here]
    wanted = reference.read(tokens, positions, sites, final_hidden=True)
    rows, targets = torch.tensor([1, 4, 20, 20]), torch.tensor([0, 30, 49, 3])
    got, predicted = tapped.read_predicting(tokens, positions, sites, Asked(rows, targets, 50))
    assert got.activations.keys() == wanted.activations.keys()
    for site, value in wanted.activations.items():
        assert got.activations[site].shape == value.shape
        assert float((got.activations[site] - value).abs().max() / value.abs().max()) <= 1e-5, site
    assert wanted.final_hidden is not None
    assert predicted is not None
    hidden = wanted.final_hidden.flatten(0, 1)[rows]
    surprisal, entropy = surprisal_and_entropy_from_hidden(hidden, unembedding_of(model), targets, vocabulary=50)
    torch.testing.assert_close(predicted.surprisal, surprisal, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(predicted.entropy, entropy, rtol=1e-5, atol=1e-5)


def test_a_vocabulary_larger_than_one_piece(tmp_path: Path) -> None:
    tapped, model = remote("GPT-2", tmp_path, vocab_size=20_000)
    tokens, positions = zoo.batch()
    hidden = get_engine("torch").open(model).read(tokens, positions, [], final_hidden=True).final_hidden
    rows, targets = torch.tensor([0, 5, 7, 9]), torch.tensor([8191, 8192, 16_384, 19_990])
    _, predicted = tapped.read_predicting(tokens, positions, [], Asked(rows, targets, 19_991))
    wanted = surprisal_and_entropy_from_hidden(
        hidden.flatten(0, 1)[rows], unembedding_of(model), targets, vocabulary=19_991
    )
    assert predicted is not None
    torch.testing.assert_close((predicted.surprisal, predicted.entropy), wanted, rtol=1e-5, atol=1e-5)


def test_a_reading_alone_ends_early_and_final_states_stay_there(tmp_path: Path) -> None:
    tapped, model = remote("Llama", tmp_path)
    tokens, positions = zoo.batch()
    sites = [Site(0, "mlp_out"), Site(0, "ov_out")]
    wanted = get_engine("torch").open(model).read(tokens, positions, sites)
    got = tapped.read(tokens, positions, sites)
    assert isinstance(got, Reading)
    for site in sites:
        torch.testing.assert_close(got.activations[site], wanted.activations[site], rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="final hidden states stay on the server"):
        tapped.read(tokens, positions, sites, final_hidden=True)


def test_weights_stay_on_the_server(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="read remotely stay on the server"):
        remote("GPT-2", tmp_path)[0].weights()


def test_models_that_evaluation_changes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"rwkv models are changed when they are evaluated.*without --remote"):
        remote("RWKV", tmp_path)


def test_logits_that_are_made_in_another_way_are_refused(tmp_path: Path) -> None:
    tapped, _ = remote("Gemma 2", tmp_path)
    tapped.model.config.final_logit_softcapping = None
    tokens, positions = zoo.batch()
    with pytest.raises(PhasescopeError, match="does more to its logits than multiply, scale and cap them"):
        tapped.read_predicting(tokens, positions, [], Asked(torch.tensor([0]), torch.tensor([1]), 50))
