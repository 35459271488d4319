"""What names tell: revisions of public suites, as their pages and lists of revisions have them."""

from __future__ import annotations

import re

import pytest

from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.suites.naming import NAMES, TITLES, Told, compiled, looks_like_a_step, pattern_for, told_by

B, T = 10**9, 10**12


def told(name: str, pattern: str = NAMES) -> Told | None:
    found = compiled(pattern).search(name)
    return None if found is None else told_by(found.groupdict(), name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("step143000", Told(143_000)),
        ("checkpoint-4000", Told(4000)),
        ("step1454000-tokens3048B", Told(1_454_000, tokens=3048 * B)),
        ("stage1-step928646-tokens3896B", Told(928_646, tokens=3896 * B, stage="stage1")),
        ("stage2-ingredient3-step1000-tokens5B", Told(1000, tokens=5 * B, stage="stage2", seed="3")),
        ("stage1-step1413814", Told(1_413_814, stage="stage1")),
        ("step_050", Told(50)),
        ("step-5125000", Told(5_125_000)),
        ("stage3-step-4720000", Told(4_720_000, stage="stage3")),
        ("step2627139-tokens15T", Told(2_627_139, tokens=15 * T)),
        ("ckpt_356", Told(356)),
        ("global_step1000", Told(1000)),
        ("stage2-step002000-tokens969B", Told(2000, tokens=969 * B, stage="stage2")),
        ("step0005000", Told(5000)),
        ("step-001000-2BT", Told(1000, tokens=2 * B)),
        ("chck_1000M", Told(B, "words")),
        ("iter_0002384", Told(2384)),
    ],
)
def test_the_usual_names(name: str, expected: Told) -> None:
    assert told(name) == expected


@pytest.mark.parametrize(
    "name",
    ["longctx-step50", "extension_step1220", "lc-4k-to-32k-step-4000", "ext1000", "decay100", "train_00220B",
     "step8.tmp", "240b_tokens", "step69369-seed-default", "old-step8", "stage2-step47684-mix-round5-from-2T-ckpt",
     "CrystalCoder_phase1_checkpoint_055500", "step_00002385_cooldown_00002622"],
)  # fmt: skip
def test_what_has_another_beginning_or_end_is_not_taken_for_the_same_run(name: str) -> None:
    assert told(name) is None
    assert looks_like_a_step(name)


@pytest.mark.parametrize("name", ["main", "fp16", "bf16", "v1.1", "onnx", "gptq-4bit"])
def test_what_looks_like_no_step(name: str) -> None:
    assert told(name) is None
    assert not looks_like_a_step(name)


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("train_00220B", r"train_(?P<tokens>\d+B)", Told(220 * B, "tokens", tokens=220 * B)),
        ("240b_tokens", r"(?P<tokens>\d+b)_tokens", Told(240 * B, "tokens", tokens=240 * B)),
        ("ckpt_356", r"ckpt_(?P<chunk>\d+)", Told(356, "chunks")),
        ("step-50K-105b", r"step-(?P<thousands>\d+)K-(?P<tokens>\d+b)", Told(50_000, tokens=105 * B)),
        ("1195k-token-2.5T", r"(?P<thousands>\d+)k-token-(?P<tokens>[\d.]+T)", Told(1_195_000, tokens=2500 * B)),
        (
            "step1250-seed-small-aux-2",
            r"step(?P<step>\d+)-seed-(?P<seed>[\w-]+)$",
            Told(1250, seed="small-aux-2"),
        ),
        ("Training in progress, step 500", TITLES, Told(500)),
        ("Saving HF Model -- Step 1000", TITLES, Told(1000)),
    ],
)
def test_groups_of_a_pattern(name: str, pattern: str, expected: Told) -> None:
    assert told(name, pattern) == expected


@pytest.mark.parametrize(
    ("text", "group"), [("4e", "tokens"), ("1.0000000001B", "tokens"), ("", "step"), ("²", "step")]
)
def test_what_is_no_number_is_quoted(text: str, group: str) -> None:
    groups = {"step": "1", group: text}
    if not text:
        groups = {"step": None}
    with pytest.raises(PhasescopeError, match=rf"The {group} of it is '{re.escape(text)}', not a number"):
        told_by(groups, "it")


def test_a_pattern_that_counts_nothing() -> None:
    with pytest.raises(BadArgumentError, match="does not say where the step is"):
        compiled(r"(?P<size>\d+)")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("step50000-tokens210B", "longctx-step50"), [("", 50_000), ("longctx", 50)]),
        (("step0005000", "extension_step1220"), [("", 5000), ("extension", 1220)]),
        (("stage1-step-40000", "lc-4k-to-32k-step-4000"), [("stage1", 40_000), ("lc-4k-to-32k", 4000)]),
    ],
)
def test_what_stands_before_the_step_is_offered_as_a_stage(names: tuple[str, ...], expected: list[object]) -> None:
    pattern = pattern_for(names)
    found = [told(name, pattern) for name in names]
    assert [(one.stage, one.step) for one in found if one] == expected
