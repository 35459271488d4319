from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from phasescope.errors import BadCheckpointError
from phasescope.hooks import get_engine
from phasescope.probes import score_items
from phasescope.probes.items import _batches
from phasescope.texts import Framing, Items, join
from tests.hooks.zoo import VOCABULARY, make

# Scores are kept in float32: their own rounding, of numbers up to some tens. Models compute in float64, so padded
# batches add nothing to it.
TOLERANCE = 1e-5
# RWKV turns to float32 within, where these random parameters make large numbers.
RWKV = 1e-3


def some_items(framing: Framing | None = None, count: int = 12) -> Items:
    """Items of 3 to 14 tokens, in no order, each scored somewhere within."""
    random = np.random.default_rng(5)
    sequences, spans = [], []
    for _ in range(count):
        length = int(random.integers(3, 15))
        sequences.append(random.integers(0, VOCABULARY - 4, length))
        first = int(random.integers(1, length))
        spans.append((first, int(random.integers(first + 1, length + 1))))
    return join("noise", "random", sequences, spans, {}, "random", framing)


def one_by_one(model: Any, items: Items, vocabulary: int) -> tuple[list[float], list[bool]]:
    """Every item alone through the model itself, in float64 from its logits on."""
    log_prob: list[float] = []
    greedy = []
    for i in range(items.items):
        tokens = torch.from_numpy(items.sequence(i).astype(np.int64))[None]
        said = []
        for at in range(items.first[i], items.last[i]):
            read, row = tokens, at - 1
            if items.framing:
                read, row = tokens.clone(), at
                read[0, at] = items.framing.mask
            with torch.no_grad():
                logits = model(read).logits[0, row, :vocabulary].double()
            log_prob.append(float(logits.log_softmax(-1)[tokens[0, at]]))
            said.append(int(logits.argmax()) == int(tokens[0, at]))
        greedy.append(all(said))
    return log_prob, greedy


@pytest.mark.parametrize("name", ["GPT-NeoX, parallel", "GPT-2", "Llama", "Mamba", "RWKV", "Gemma 2", "OPT"])
def test_scores_are_those_of_the_model_alone_with_each_item(name: str) -> None:
    # transformers runs RWKV without a GPU only where its attention is as wide as the model.
    settings = {"attention_hidden_size": 32} if name == "RWKV" else {}
    model, items = make(name, torch.float64, **settings), some_items()
    scores = score_items(get_engine("torch").open(model), items, VOCABULARY, batch=1)
    log_prob, greedy = one_by_one(model, items, VOCABULARY)
    np.testing.assert_allclose(scores.log_prob, log_prob, atol=RWKV if name == "RWKV" else TOLERANCE)
    assert scores.greedy.tolist() == greedy


@pytest.mark.parametrize("engine", ["transformer_lens", "nnsight"])
def test_every_engine_scores_alike(engine: str) -> None:
    model, items = make("GPT-2", torch.float64), some_items()
    found = score_items(get_engine(engine).open(make("GPT-2", torch.float64)), items, VOCABULARY, batch=8)
    np.testing.assert_allclose(found.log_prob, one_by_one(model, items, VOCABULARY)[0], atol=TOLERANCE)


def test_masked_models_give_the_pseudo_log_likelihood() -> None:
    items = some_items(Framing(VOCABULARY - 3, VOCABULARY - 2, VOCABULARY - 1))
    model = make("BERT", torch.float64)
    scores = score_items(get_engine("torch").open(model), items, VOCABULARY, batch=1)
    log_prob, greedy = one_by_one(model, items, VOCABULARY)
    np.testing.assert_allclose(scores.log_prob, log_prob, atol=TOLERANCE)
    assert scores.greedy.tolist() == greedy


def test_greedy_items_are_found_and_padding_rows_do_not_count() -> None:
    """What the model itself would say next is greedy, also where a row beyond the tokenizer's is likelier."""
    model, vocabulary = make("GPT-2", torch.float64), 40
    sequences = []
    for start in range(6):
        tokens = [start]
        for _ in range(4):
            with torch.no_grad():
                tokens.append(int(model(torch.tensor([tokens])).logits[0, -1, :vocabulary].argmax()))
        sequences.append(np.array(tokens))
    items = join("noise", "said", sequences, [(1, 5)] * 6, {}, "the model")
    scores = score_items(get_engine("torch").open(model), items, vocabulary, batch=8)
    assert scores.greedy.tolist() == [1] * 6
    np.testing.assert_allclose(scores.log_prob, one_by_one(model, items, vocabulary)[0], atol=TOLERANCE)


@pytest.mark.parametrize("framing", [None, Framing(1, 2, 3)])
@pytest.mark.parametrize("tokens", [1, 20, 1000])
def test_batches_hold_every_row_once_and_not_too_much(framing: Framing | None, tokens: int) -> None:
    items = some_items(framing, count=40)
    seen = []
    for rows in _batches(items, tokens):
        lengths = items.lengths[rows.sequences]
        assert len(lengths) == 1 or len(lengths) * lengths.max() <= tokens
        assert framing is None or len(set(lengths.tolist())) == 1
        seen += list(zip(rows.sequences.tolist(), rows.masked.tolist(), strict=True))
    wanted = (
        [(i, -1) for i in range(40)]
        if framing is None
        else [(i, at) for i in range(40) for at in range(items.first[i], items.last[i])]
    )
    assert sorted(seen) == wanted


def test_a_model_that_is_not_finite_is_a_bad_checkpoint() -> None:
    model = make("GPT-2")
    with torch.no_grad():
        model.transformer.ln_f.bias[0] = torch.nan
    with pytest.raises(BadCheckpointError, match="items has values that are not finite"):
        score_items(get_engine("torch").open(model), some_items(), VOCABULARY, batch=8)
