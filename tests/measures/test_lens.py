"""The lens, against definitions written out in NumPy in float64."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from phasescope.measures import FrozenNorm, Lens, Unembedding, lens_scores, logit_attribution, settled_depth
from phasescope.measures.translators import Translator, trained_translator
from phasescope.texts.items.items import LENS_SCORES

TOKENS, D, VOCABULARY = 23, 12, 31
# float32 over a few dozen entries; logits of hundreds lose more.
TOLERANCE = {torch.float32: 2e-5, torch.float64: 1e-12}


def by_hand(hidden: list[np.ndarray], final: np.ndarray, made: Unembedding, targets, other, entries) -> np.ndarray:
    """`[scores, places, tokens]`."""

    def logs(states: np.ndarray) -> np.ndarray:
        logits = states.astype(np.float64) @ np.asarray(made.weight, dtype=np.float64)
        logits = made.scale * (logits + (0 if made.bias is None else np.asarray(made.bias, dtype=np.float64)))
        if made.softcap:
            logits = made.softcap * np.tanh(logits / made.softcap)
        return log_softmax(logits[:, :entries], axis=1)

    p, rows, found = logs(final), np.arange(len(final)), []
    for states in hidden:
        q, sides = logs(states), []
        for says, asked in ((p, targets), (p[other], targets[other])):
            kl = (np.exp(says) * (says - q)).sum(1)
            own = q[rows, asked]
            sides.append([kl, -own, 1 + (q > own[:, None]).sum(1), q.argmax(1) == says.argmax(1)])
        (kl, *rest), shuffled = sides
        found.append(np.array([kl, -(np.exp(q) * q).sum(1), *rest, *shuffled], dtype=np.float64))
    return np.stack(found, 1)


def arrays(case: str, dtype: torch.dtype) -> tuple[list[torch.Tensor], torch.Tensor, Unembedding]:
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    weight, hidden, bias = drawn(D, VOCABULARY + 4), [drawn(TOKENS, D) for _ in range(3)], drawn(VOCABULARY + 4)
    if case == "constant":
        hidden = [torch.ones_like(each) for each in hidden]
    if case == "offset":
        bias += 1e3
    if case == "rank-deficient":
        weight[1:] = 0
    if case == "one row":
        hidden = [each[:1] for each in hidden]
    settings = {"scale": 0.3, "softcap": 2.0} if case == "capped" else {}
    made = Unembedding(weight.to(dtype), bias.to(dtype), **settings)
    return [each.to(dtype) for each in hidden], hidden[-1].to(dtype), made


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", ["random", "constant", "offset", "rank-deficient", "one row", "capped"])
def test_scores_are_the_definitions(case: str, dtype: torch.dtype) -> None:
    hidden, final, made = arrays(case, dtype)
    tokens = len(final)
    targets, other = np.arange(tokens) % VOCABULARY, (np.arange(tokens) + 3) % tokens
    expected = by_hand([each.numpy() for each in hidden], final.numpy(), made, targets, other, VOCABULARY)
    for chunk in (1, 7, 1000):
        found = lens_scores(hidden, final, made, targets, other, vocabulary=VOCABULARY, chunk=chunk)
        rows = np.stack([getattr(found, name).numpy() for name in LENS_SCORES])
        # A common offset of a thousand leaves float32 six thousandths of a logit, and ties where there were none.
        loose = case == "offset" and dtype == torch.float32
        kept = [0, 1, 2, 5, 6] if loose or case in ("constant", "rank-deficient") else slice(None)
        np.testing.assert_allclose(rows[kept], expected[kept], atol=2e-3 if loose else TOLERANCE[dtype])
    assert float(found.kl[-1].max()) == 0  # the last place is what the model says


def test_ties_do_not_count_before_the_target() -> None:
    found = lens_scores([torch.zeros(2, 3)], torch.zeros(2, 3), torch.zeros(3, 5), [4, 0], [1, 0])
    assert found.rank.tolist() == [[1, 1]]
    assert found.agrees.tolist() == [[1, 1]]


def test_entries_of_probability_zero_add_nothing_and_what_is_not_finite_is_told() -> None:
    bias = torch.zeros(5)
    bias[3] = -torch.inf
    made = Unembedding(torch.randn(3, 5, generator=torch.Generator().manual_seed(1)), bias)
    hidden = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    found = lens_scores([hidden, 2 * hidden], hidden, made, [0, 1, 2, 4], [1, 2, 3, 0])
    assert bool(torch.stack([getattr(found, name) for name in LENS_SCORES]).isfinite().all())
    broken = hidden.clone()
    broken[1, 0] = torch.nan
    told = lens_scores([broken], hidden, made, [0, 1, 2, 4], [1, 2, 3, 0])
    assert told.kl[0].isnan().tolist() == told.rank[0].isnan().tolist() == [False, True, False, False]


def test_names_of_scores_are_the_fields() -> None:
    assert tuple(field.name for field in fields(Lens)) == LENS_SCORES


def test_what_does_not_match_is_refused() -> None:
    x, W = torch.zeros(3, 4), torch.zeros(4, 5)
    with pytest.raises(ValueError, match="no place"):
        lens_scores([], x, W, [0, 0, 0], [0, 1, 2])
    with pytest.raises(ValueError, match="must have 3 tokens"):
        lens_scores([x[:2]], x, W, [0, 0, 0], [0, 1, 2])
    with pytest.raises(ValueError, match=r"\[places, tokens\]"):
        settled_depth(torch.zeros(3))
    with pytest.raises(ValueError, match="of the same tokens"):
        logit_attribution([x], x[:2], torch.ones(2))
    with pytest.raises(ValueError, match="4 tokens or more"):
        trained_translator(x, x, lambda stream: stream, Unembedding(W))


def test_depths_are_where_the_rest_agrees() -> None:
    agrees = np.random.default_rng(0).random((6, 200)) < 0.6
    expected = [next(depth for depth in range(7) if column[depth:].all()) for column in agrees.T]
    assert settled_depth(torch.from_numpy(agrees)).tolist() == expected


@pytest.mark.parametrize("centred", [True, False])
def test_parts_of_a_logit_add_up(centred: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    parts = torch.randn(4, TOKENS, D, generator=generator, dtype=torch.float64)
    gain, offset = torch.randn(2, D, generator=generator, dtype=torch.float64)
    stream = parts.sum(0)
    inner = stream - stream.mean(-1, keepdim=True) if centred else stream
    normed = gain * inner / (inner.square().mean(-1, keepdim=True) + 1e-5).sqrt() + offset
    norm = FrozenNorm(gain, offset, centred)
    assert norm.misfit(stream, normed) < 1e-12
    assert norm.misfit(stream, normed + stream.square()) > 0.1  # that is no norm
    towards = torch.randn(TOKENS, D, generator=generator, dtype=torch.float64)
    added = logit_attribution(list(parts), norm.direction(towards), norm.divisor(stream, normed))
    torch.testing.assert_close(added.sum(0) + towards @ offset, (towards * normed).sum(-1))


def test_a_translator_finds_a_basis_that_was_turned() -> None:
    """Streams in another basis than the last: the logit lens is far off, the tuned one is not, on other tokens."""
    generator = torch.Generator().manual_seed(4)
    final = torch.randn(600, D, generator=generator)
    turned = torch.linalg.qr(torch.randn(D, D, generator=generator)).Q
    stream = final @ turned + 0.5
    made = Unembedding(torch.randn(D, VOCABULARY, generator=generator))
    train, test = slice(0, 400), slice(400, 600)
    move = trained_translator(stream[train], final[train], lambda x: x, made, steps=300)
    targets, other = torch.zeros(200, dtype=torch.int64), torch.arange(200)
    found = lens_scores([stream[test], move(stream[test])], final[test], made, targets, other)
    logit, tuned = found.kl.mean(1).tolist()
    assert tuned < 0.25 * logit


def test_a_translator_that_is_no_nearer_is_left_out() -> None:
    generator = torch.Generator().manual_seed(5)
    final = torch.randn(40, D, generator=generator)
    made = Unembedding(torch.randn(D, VOCABULARY, generator=generator))
    move = trained_translator(final, final, lambda x: x, made, steps=5)
    none = Translator.none(D)
    assert torch.equal(move.matrix, none.matrix)
    assert torch.equal(move(final), final)
