"""Seeds as numbers, and stages one after another."""

from __future__ import annotations

import pytest

from phasescope.errors import PhasescopeError
from phasescope.suites import Suite
from phasescope.suites.naming import NAMES, compiled, told_by
from phasescope.suites.trajectories import Found, assembled, stages_of

B = 10**9


def suite(names: list[str], pattern: str = NAMES, **more: object) -> Suite:
    expression = compiled(pattern)
    found = []
    for name in names:
        match = expression.search(name)
        assert match, name
        found.append(Found(told_by(match.groupdict(), name), name, "ai/one", name))
    return assembled("one", "ai/one", found, **more)  # type: ignore[arg-type]


def steps(opened: Suite) -> dict[int, list[tuple[int, str]]]:
    return {
        seed: [(one.step, str(one.revision)) for one in opened if one.seed == seed] for seed in opened.seeds()
    }  # fmt: skip


def test_a_stage_that_begins_anew_is_counted_on() -> None:
    opened = suite(["stage2-step0", "stage1-step2000", "stage2-step500", "stage3-step100", "stage1-step0"])
    assert steps(opened) == {
        0: [(0, "stage1-step0"), (2000, "stage1-step2000"), (2500, "stage2-step500"), (2600, "stage3-step100")]
    }
    assert opened.left_out == ("stage2-step0",)
    assert stages_of(opened) == {"one": {"stage1": (0, 2000), "stage2": (2500, 2500), "stage3": (2600, 2600)}}


def test_a_stage_that_goes_on_is_left_as_it_is() -> None:
    names = ["stage1-step-40000", "stage1-step-3440000", "stage2-step-3480000", "stage3-step-4720000"]
    names += ["lc-32k-to-64k-step-4000", "lc-4k-to-32k-step-4000", "lc-4k-to-32k-step-20000"]
    opened = suite(names, r"^(?P<stage>stage\d|lc-[\w-]+?)-step-(?P<step>\d+)$", stages=("stage1", "stage2", "stage3"))
    assert opened.steps() == (40_000, 3_440_000, 3_480_000, 4_720_000, 4_724_000, 4_740_000, 4_744_000)
    assert opened.checkpoints[-1].revision == "lc-32k-to-64k-step-4000"


def test_tokens_are_counted_on_where_they_begin_anew() -> None:
    anew = suite(["stage1-step2000-tokens8B", "stage2-ingredient1-step10-tokens1B"])
    on = suite(["stage1-step460000-tokens965B", "stage2-step002000-tokens969B"])
    assert [one.tokens for one in anew] == [8 * B, 9 * B]
    assert [(one.step, one.tokens) for one in on] == [(460_000, 965 * B), (462_000, 969 * B)]


def test_branches_share_their_trunk_and_their_end() -> None:
    opened = suite(
        ["stage1-step100", "stage2-ingredient1-step10", "stage2-ingredient2-step10", "stage2-ingredient2-step20",
         "stage3-step5"]
    )  # fmt: skip
    assert steps(opened) == {
        1: [(100, "stage1-step100"), (110, "stage2-ingredient1-step10"), (115, "stage3-step5")],
        2: [
            (100, "stage1-step100"),
            (110, "stage2-ingredient2-step10"),
            (120, "stage2-ingredient2-step20"),
            (125, "stage3-step5"),
        ],
    }


def test_a_name_without_a_stage_belongs_to_the_first_or_comes_before() -> None:
    assert {one.stage for one in suite(["step150", "stage1-step1000"])} == {"stage1"}
    pattern = r"^(?:(?P<stage>longctx)-)?step(?P<step>\d+)"
    opened = suite(["longctx-step50", "step50000-tokens210B", "step2627139-tokens15T"], pattern)
    assert opened.steps() == (50_000, 2_627_139, 2_627_189)
    ettin = suite(["decay100", "ext1000", "step599525"], r"^(?P<stage>ext|decay|)(?:step)?(?P<step>\d+)$")
    assert [one.stage for one in ettin] == ["", "ext", "decay"]


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["default", "small-aux-2", "small-aux-3"], {"default": 0, "small-aux-2": 2, "small-aux-3": 3}),
        (["alpha", "beta"], {"alpha": 0, "beta": 1}),
        (["7", "beta", "alpha"], {"": 7, "alpha": 8, "beta": 9}),
    ],
)
def test_seeds_may_be_words(words: list[str], numbers: dict[str, int]) -> None:
    opened = suite([f"step1-seed-{word}" for word in words], r"^step(?P<step>\d+)-seed-(?P<seed>[\w-]+)$")
    assert {one.seed_name: one.seed for one in opened} == numbers


def test_a_recipe_tells_models_apart() -> None:
    opened = suite(["c4-150M-step1", "dolma-20M-step1"], r"^(?P<recipe>\w+)-(?P<size>\d+M)-step(?P<step>\d+)$")
    assert opened.sizes == ("20M-dolma", "150M-c4")


def test_names_that_count_in_two_units_are_refused() -> None:
    with pytest.raises(PhasescopeError, match="The names in ai/one count steps and words: give a pattern"):
        suite(["step8", "chck_1M"])
