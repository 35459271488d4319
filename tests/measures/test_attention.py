from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

from phasescope.measures import HeadScores, head_scores

PERIOD = 6


def attention(first: int, heads: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens read twice, and causal attention `[heads, n, n]` of all their queries."""
    generator = torch.Generator().manual_seed(first)
    half = torch.randperm(50, generator=generator)[:PERIOD]
    tokens = torch.cat([torch.full((first,), 99), half, half])
    logits = torch.randn(heads, len(tokens), len(tokens), generator=generator, dtype=torch.float64)
    return tokens, logits.masked_fill(torch.ones_like(logits).triu(1).bool(), -torch.inf).softmax(-1)


@pytest.mark.parametrize("first", [0, 1])
def test_scores_are_those_of_transformer_lens_detector(first: int) -> None:
    from transformer_lens import head_detector as peer

    tokens, pattern = attention(first)
    found = head_scores(pattern[:, -PERIOD:], PERIOD, first)
    patterns = {
        "induction": peer.get_induction_head_detection_pattern,
        "duplicate_token": peer.get_duplicate_token_head_detection_pattern,
        "previous_token": peer.get_previous_token_head_detection_pattern,
    }
    for name, detection in patterns.items():
        wanted = detection(tokens[None]).double().squeeze()
        wanted[:-PERIOD] = 0  # it asks all queries, and we the second half
        for head, rows in enumerate(pattern):
            score = peer.compute_head_attention_similarity_score(
                rows, wanted, exclude_bos=False, exclude_current_token=False, error_measure="mul"
            )
            # The detector's share is of the attention of all queries, of which each has 1.
            expected = score * len(tokens) / PERIOD
            assert float(getattr(found, name)[head]) == pytest.approx(expected, abs=1e-6)


def test_scores_by_their_definition() -> None:
    first = 1
    tokens, pattern = attention(first)
    found = head_scores(pattern[None, :, -PERIOD:], PERIOD, first)
    for head, rows in enumerate(pattern.numpy()):
        sums = np.zeros(4)
        for query in range(first + PERIOD, len(tokens)):
            before = [key for key in range(query) if tokens[key] == tokens[query]]
            sums += [rows[query, before[0] + 1], rows[query, before[0]], rows[query, query - 1], rows[query, 0]]
        numbers = [found.induction, found.duplicate_token, found.previous_token, found.first_token]
        assert [float(number[0, head]) for number in numbers] == pytest.approx(sums / PERIOD)
        known = rows[-PERIOD:]
        entropy = -(known * np.log(known, where=known > 0, out=np.zeros_like(known))).sum(1).mean()
        assert float(found.entropy[0, head]) == pytest.approx(entropy)


def test_heads_that_look_at_one_place_score_there_alone() -> None:
    queries, n = torch.arange(PERIOD), 1 + 2 * PERIOD
    keys = {"induction": queries + 2, "duplicate_token": queries + 1, "previous_token": queries + PERIOD}
    for name, places in keys.items():
        rows = torch.zeros(PERIOD, n).scatter(1, places[:, None], 1.0)
        found = head_scores(rows, PERIOD, first=1)
        assert {field.name: float(getattr(found, field.name)) for field in fields(HeadScores)} == {
            **dict.fromkeys(keys, 0.0), "first_token": 0, "entropy": 0, name: 1,
        }  # fmt: skip


def test_nothing_attended_to_broken_rows_and_sinks() -> None:
    rows = torch.stack([torch.zeros(PERIOD, 12), torch.full((PERIOD, 12), torch.nan), torch.full((PERIOD, 12), 1 / 24)])
    found = head_scores(rows, PERIOD)
    assert found.induction.tolist()[:1] == [0]
    assert found.induction.isnan().tolist() == found.entropy.isnan().tolist() == [False, True, False]
    # Half of it goes to a learned sink: 12 places of 1/24, and one of a half.
    assert float(found.entropy[2]) == pytest.approx(12 / 24 * np.log(24) + 0.5 * np.log(2))
    assert float(found.entropy[0]) == 0  # all of it goes there


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match=r"\[..., 6 queries, 13 keys\]; it is \[6, 12\]"):
        head_scores(torch.zeros(6, 12), PERIOD, first=1)
    with pytest.raises(ValueError, match="3 tokens or more"):
        head_scores(torch.zeros(2, 4), 2)
