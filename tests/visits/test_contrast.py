"""Text decoded from two models, against a loop that does the same with NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import softmax

from phasescope.suites import open_suite
from phasescope.visits.behaviour.contrast import WEIGHTS, decoded, ends_of
from phasescope.visits.behaviour.noise import Wanted


@pytest.fixture(scope="module")
def models(suite_folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM

    return tuple(
        AutoModelForCausalLM.from_pretrained(suite_folder / size / "seed1/step16") for size in ("tiny", "small")
    )  # type: ignore[return-value]


PROMPTS = np.array([[5, 9, 20], [33, 2, 7]], dtype=np.int32)
SETTINGS: dict[str, Any] = {"tokens": 6, "vocabulary": 300, "seed": 3}


def predicted(model: Any, row: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        logits = model(torch.from_numpy(row.astype(np.int64))[None]).logits[0, -1, :300].double().numpy()
    probabilities: np.ndarray = softmax(logits)
    return probabilities


def test_greedy_text_takes_the_likeliest_of_the_weighted_sum(models: tuple[Any, Any]) -> None:
    found = list(decoded(*models, PROMPTS, methods=["greedy"], **SETTINGS))
    assert [(text.small_weight, text.large_weight) for text in found] == list(WEIGHTS)
    for text in found:
        np.testing.assert_array_equal(text.tokens[:, :3], PROMPTS)
        for prompt, made in zip(PROMPTS, text.tokens, strict=True):
            row = prompt
            for _ in range(6):
                small, large = (predicted(model, row) for model in models)
                mixed = np.maximum(text.small_weight * small + text.large_weight * large, 0)
                row = np.append(row, mixed.argmax())
            np.testing.assert_array_equal(made, row)


def test_nucleus_text_stays_within_the_nucleus_and_is_seeded(models: tuple[Any, Any]) -> None:
    first, again = (list(decoded(*models, PROMPTS, methods=["nucleus"], **SETTINGS)) for _ in range(2))
    other = list(decoded(*models, PROMPTS, methods=["nucleus"], **{**SETTINGS, "seed": 4}))
    for text, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(text.tokens, same.tokens)
    assert any((text.tokens != changed.tokens).any() for text, changed in zip(first, other, strict=True))
    (large,) = [text for text in first if (text.small_weight, text.large_weight) == (0, 1)]
    for made in large.tokens:
        for place in range(3, 9):
            probabilities = predicted(models[1], made[:place])
            likelier = probabilities[probabilities > probabilities[made[place]]].sum()
            assert likelier < 0.95 + 1e-4  # 1e-7 is added to each of 300 entries


def test_the_ends_are_the_last_of_the_smallest_and_of_the_largest(suite_folder: Path) -> None:
    small, large = ends_of(open_suite(suite_folder))
    assert (small.label, large.label) == ("tiny/seed1/step16", "small/seed1/step16")


def test_wishes_are_read_in_any_order() -> None:
    assert Wanted.parse(None) == Wanted()
    wanted = Wanted.parse("0.05, tokens:32,swap,nucleus,0.2,sequences:5")
    assert wanted == Wanted(("swap",), (0.05, 0.2), ("nucleus",), 5, 32)
    assert wanted.name == "swap+nucleus-0.05+0.2-5x32"
    assert Wanted.parse("greedy").kinds == ()
    assert Wanted.parse("0.3").kinds == Wanted().kinds
    assert Wanted.parse("greedy").name == "greedy-8x64"
