"""From the last layer to the unembedding, in every family whose end differs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from phasescope.errors import PhasescopeError
from phasescope.hooks import Site, get_engine
from phasescope.hooks.ending import Ending, ending_of
from phasescope.hooks.output import unembedding_of
from phasescope.measures import logits_from_hidden
from tests.hooks import zoo

# Norms with and without mean, gain and bias; a factor after it; a projection; a head of several modules.
NAMES = [
    *("GPT-NeoX, parallel", "GPT-2", "OPT", "OPT, norm after (350m)", "Llama", "OLMo", "OLMo 2", "Gemma 2"),
    *("Cohere", "Granite", "MiniCPM 3", "Nemotron", "nanochat", "Falcon H1", "Mamba", "RWKV"),
    *("ModernBERT, decoder", "TransformerLens' own, SoLU"),
]
NO_NORM = ("OPT, norm after (350m)", "ModernBERT, decoder")


@pytest.mark.parametrize("name", NAMES)
def test_the_lens_at_the_last_layer_is_the_model(name: str) -> None:
    tapped = get_engine("torch").open(zoo.make(name, torch.float64))
    tokens, _ = zoo.batch()
    ending = ending_of(tapped, tokens[0])
    last = Site(tapped.n_layers - 1, "resid_post")
    stream = tapped.read(tokens, None, [last])[last]
    with torch.no_grad(), tapped.architecture.while_read(tapped.model):
        hidden = ending(stream)
        wanted = tapped.model(tokens, use_cache=False).logits.flatten(0, 1)
    found = logits_from_hidden(hidden, unembedding_of(tapped.model))
    # Some take their norm or cap in float32.
    torch.testing.assert_close(found, wanted.to(found.dtype), rtol=1e-5, atol=1e-5)
    norm = ending.frozen(tapped.d_model)
    assert (norm is None) == (name in NO_NORM)
    if norm is not None:
        assert norm.misfit(stream, hidden) < 1e-6


def test_nothing_between_the_layers_and_the_unembedding_is_a_norm_that_does_nothing() -> None:
    norm = Ending(()).frozen(3)
    assert norm is not None
    x = torch.randn(4, 3, dtype=torch.float64)
    assert norm.misfit(x, x) < 1e-12


def test_what_is_not_known_is_refused() -> None:
    model = zoo.make("GPT-2", torch.float64)

    def doubled(module: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (args[0] ** 2, *args[1:])

    model.lm_head.register_forward_pre_hook(doubled)
    with pytest.raises(PhasescopeError, match="does more between its last layer and its unembedding than a norm"):
        ending_of(get_engine("torch").open(model), zoo.batch()[0][0])
    tapped = get_engine("torch").open(zoo.make("GPT-2"))
    taps = {name: tap for name, tap in tapped.architecture.taps.items() if name != "resid_post"}
    tapped.architecture = replace(tapped.architecture, taps=taps)
    with pytest.raises(PhasescopeError, match="cannot be tapped, so no lens"):
        ending_of(tapped, zoo.batch()[0][0])
