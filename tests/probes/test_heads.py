"""What heads look at, while random tokens are read twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.hooks import Site, get_engine
from phasescope.measures import head_scores
from phasescope.probes import score_items
from phasescope.texts import Items, Scores
from phasescope.texts.items.items import HEAD_SCORES
from phasescope.texts.made.repeats import repeated_items
from tests.hooks.zoo import VOCABULARY, make

# Scores are kept in float32.
TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def items() -> Items:
    return repeated_items(0, np.arange(VOCABULARY), longest=24)


def by_hand(model: Any, items: Items) -> dict[int, np.ndarray]:
    """Each item alone through the model itself: what `transformers` says of attention."""
    period = int(items.scored[0])
    found: dict[int, list[list[list[float]]]] = {}
    model.set_attn_implementation("eager")
    for item in range(items.items):
        tokens = torch.from_numpy(items.sequence(item).astype(np.int64))[None, :-1]
        with torch.no_grad():
            patterns = model(tokens, output_attentions=True).attentions
        for layer, pattern in enumerate(patterns):
            scores = head_scores(pattern[0, :, -period:], period, first=1)
            found.setdefault(layer, []).append([getattr(scores, name).tolist() for name in HEAD_SCORES])
    return {layer: np.array(rows).transpose(0, 2, 1) for layer, rows in found.items()}


def test_sequences_repeat_and_their_twins_do_not(items: Items) -> None:
    period = int(items.scored[0])
    assert period == 11
    for item in range(items.items):
        begin, *tokens = items.sequence(item).tolist()
        first, second, after = tokens[:period], tokens[period : 2 * period], tokens[2 * period]
        assert begin == 0
        assert begin not in tokens
        assert len(set(first)) == len(set(second)) == period
        if items.columns["repeated"][item]:
            assert (second, after) == (first, first[0])
        else:
            assert len(set(tokens)) == 2 * period + 1
            assert first == items.sequence(item - 1).tolist()[1 : period + 1]
    again = repeated_items(0, np.arange(VOCABULARY), longest=24)
    assert again.differences(items) == ""


@pytest.mark.parametrize(("entries", "longest"), [(7, 100), (100, 7)])
def test_too_little_to_repeat_is_said(entries: int, longest: int) -> None:
    with pytest.raises(PhasescopeError, match="takes 7 entries of the vocabulary and 8 positions"):
        repeated_items(0, np.arange(entries), longest)
    assert repeated_items(0, np.arange(8), 8).scored[0] == 3


@pytest.mark.parametrize("name", ["GPT-NeoX, parallel", "GPT-2", "Llama", "OPT", "Gemma 2"])
def test_scores_are_those_of_the_models_own_attention(name: str, items: Items) -> None:
    scores = score_items(get_engine("torch").open(make(name, torch.float64)), items, VOCABULARY, batch=1)
    expected = by_hand(make(name, torch.float64), items)
    assert {Site.parse(site).layer for site in scores.heads} == set(expected)
    for site, found in scores.heads.items():
        np.testing.assert_allclose(found, expected[Site.parse(site).layer], atol=TOLERANCE)
    plain = score_items(get_engine("torch").open(make(name, torch.float64)), renamed(items), VOCABULARY, batch=1)
    np.testing.assert_allclose(scores.log_prob, plain.log_prob, atol=1e-5)
    assert plain.heads == {}


def renamed(items: Items) -> Items:
    parts = (items.tokens, items.lengths, items.first, items.last, items.columns, items.source)
    return Items("noise", "same", *parts)


@pytest.mark.parametrize("engine", ["transformer_lens", "nnsight"])
def test_every_engine_sees_the_same_heads(engine: str, items: Items) -> None:
    found = score_items(get_engine(engine).open(make("GPT-2", torch.float64)), items, VOCABULARY, batch=8)
    for layer, expected in by_hand(make("GPT-2", torch.float64), items).items():
        np.testing.assert_allclose(found.heads[Site(layer, "pattern").name], expected, atol=1e-5)


def test_layers_without_attention_have_no_heads(items: Items) -> None:
    model = get_engine("torch").open(make("LFM2", torch.float64))
    scores = score_items(model, items, VOCABULARY, batch=8)
    with_attention = [layer for layer in range(model.n_layers) if model.architecture.has(Site(layer, "pattern"))]
    assert sorted(Site.parse(site).layer for site in scores.heads) == with_attention
    assert len(with_attention) < model.n_layers


def test_attention_that_is_not_finite_is_the_models_fault(items: Items) -> None:
    model = make("GPT-2", torch.float32)
    model.transformer.h[0].attn.c_attn.bias.data.fill_(torch.nan)
    with pytest.raises(BadCheckpointError, match="not finite"):
        score_items(get_engine("torch").open(model), items, VOCABULARY, batch=8)


def test_kept_and_read_back(items: Items, tmp_path: Any) -> None:
    scores = score_items(get_engine("torch").open(make("GPT-2", torch.float64)), items, VOCABULARY, batch=8)
    scores.save(tmp_path / "scores.h5", {"items": items.hash})
    again = Scores.load(tmp_path / "scores.h5", items)
    assert again.heads.keys() == scores.heads.keys()
    for site, found in again.heads.items():
        np.testing.assert_array_equal(found, scores.heads[site])
