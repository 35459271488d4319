"""The lens is asked for as behaviour is: in the capture or later, of models that read from left to right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.texts.made.lens_wish import LensWish
from phasescope.texts.made.passages import KIND

ASKED = {"sequences": 4, "context": 16, "output_sequences": 1, "sites": "attn_out"}


@pytest.fixture(scope="module")
def run(short_suite: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    return ps.capture(short_suite, texts_file, tmp_path_factory.mktemp("lens") / "run", behaviour="lens", **ASKED)


def test_a_later_visit_finds_the_same(run: ps.Run, short_suite: Path, texts_file: Path, tmp_path: Path) -> None:
    later = ps.capture(short_suite, texts_file, tmp_path / "later", **ASKED)
    later.visit("all")
    [items] = run.reader.item_sets(KIND)
    assert later.reader.item_sets(KIND)[0].differences(items) == ""
    for (key, one), (_, other) in zip(run.reader.scores(items), later.reader.scores(items), strict=True):
        assert one.lens, key
        for site, scores in one.lens.items():
            assert scores.shape[1] == 4 * 8  # of four sequences the second half
            assert (scores == other.lens[site]).all()


def test_passages_are_of_the_runs_own_text(run: ps.Run) -> None:
    [items] = run.reader.item_sets(KIND)
    inputs = run.reader.inputs
    assert items.name == "text-256"
    for number, sequence in enumerate(items.columns["sequence"]):
        np.testing.assert_array_equal(items.sequence(number), inputs.tokens[sequence])


def test_tuned_and_given_are_sets_of_their_own(short_suite: Path, run: ps.Run, tmp_path: Path) -> None:
    run.visit("lens=tuned,tokens:8")
    names = {items.name: items for items in run.reader.item_sets(KIND)}
    tuned = names["text-8-tuned"]
    sequence = np.array(tuned.columns["sequence"])
    trains = np.array(tuned.columns["training"]) == 1
    assert tuned.scored[~trains].sum() == 8
    assert not set(sequence[trains]) & set(sequence[~trains])
    config = run.checkpoint("tiny", seed=1, step=4).model().config
    moves = torch.nn.ModuleList(
        torch.nn.Linear(config.hidden_size, config.hidden_size) for _ in range(config.num_hidden_layers)
    )
    torch.save(moves.state_dict(), tmp_path / "params.pt")
    run.visit(f"lens={tmp_path / 'params.pt'}")
    assert any("translators" in items.name for items in run.reader.item_sets(KIND))
    table = run.table("lens")
    assert set(table["lens"]) == {"logit", "tuned"}
    torch.save(moves[:0].state_dict(), tmp_path / "none.pt")
    with pytest.raises(PhasescopeError, match="they are of another model"):
        run.visit(f"lens={tmp_path / 'none.pt'}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tokens:one", "no number of at least 2"),
        ("tokens:1", "no number of at least 2"),
        ("nowhere.pt", "There are no translators at nowhere.pt"),
    ],
)
def test_wishes_that_cannot_be_read(text: str, said: str) -> None:
    with pytest.raises(PhasescopeError, match=said):
        LensWish.parse(text)


def test_translators_are_trained_or_given(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="trained or given, not both"):
        LensWish.parse(f"tuned,{tmp_path}")
    assert LensWish.parse("tokens:512,tuned").name == "text-512-tuned"


def test_too_short_and_masked_models_are_told_or_passed_over(
    short_suite: Path, texts_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(PhasescopeError, match="--context of at least 8"):
        ps.capture(short_suite, texts_file, tmp_path / "run", behaviour="lens", **{**ASKED, "context": 6})
