"""Whatever has a step axis can count tokens instead: figures, tables in the terminal, sentences."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasescope import counting
from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.reports import table_view
from phasescope.reports.answers import answers
from phasescope.reports.kit import steps_axis
from phasescope.reports.kit.shown import columns_of_steps, shown
from phasescope.reports.kit.tables import RunLike, read_tables
from phasescope.reports.kit.tokens_read import counting_of, knots_of
from phasescope.reports.page.chapters import chapters, panels_of
from phasescope.reports.page.markdown import markdown
from phasescope.suites import PRESETS
from tests.reports.tables import SyntheticRun, make_run

# Of the two sizes a step of the larger reads twice as much.
EACH = {"0.4m": 2048, "1.6m": 4096}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    run = make_run(tmp_path_factory.mktemp("told"))
    for one in run.manifest["checkpoints"]:
        one["tokens"] = EACH[one["size"]] * one["step"]
    return run


def text_of(view: object) -> str:
    from rich.console import Console

    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(view)
    return console.export_text()


def test_sizes_with_other_batches_stand_where_they_had_read_as_much(told: SyntheticRun) -> None:
    with shown(told, "tokens") as counted:
        table = counted.table("surprisal")
        before = told.table("surprisal")
        assert (table["step"] == before["step"] * before["size"].map(EACH)).all()
        # One step of the smaller is where one step is on the axis of steps.
        assert steps_axis.position(2048) == 1.0
        assert steps_axis.position(EACH["1.6m"] * 512) == steps_axis.position(EACH["0.4m"] * 1024)
    assert steps_axis.position(1) == 1.0


def test_all_figures_and_sentences_count_tokens(told: SyntheticRun) -> None:
    with shown(told, "tokens") as counted:
        drawn = [panel.figure for _, _, panel in panels_of(chapters(counted, read_tables(counted)))]
    titles = {str(axis["title"].get("text")) for one in drawn for axis in one.layout.values() if _titled(axis)}
    assert "tokens read (log scale, with 0)" in titles
    assert not [title for title in titles if "step" in title and "lag" not in title]
    said = [trace["hovertemplate"] for one in drawn for trace in one.data if "hovertemplate" in trace]
    assert not [template for template in said if re.search(r"step %\{", template)]
    assert any("settles at token %{customdata[1]:,} [%{customdata[2]:,}" in template for template in said)
    text = markdown(told, {}, (), "tokens")
    findings = text.partition("## Layers over behaviour")[0].partition("###")[2]
    assert "at token " in findings
    assert not re.search(r"\bsteps? \d", findings)
    in_steps = markdown(told, {}).partition("## Layers over behaviour")[0]
    assert re.search(r"at step \d", in_steps)
    assert "token 2" not in in_steps


def _titled(axis: object) -> bool:
    return isinstance(axis, dict) and isinstance(axis.get("title"), dict)


@pytest.mark.parametrize("name", [name for name, answer in answers().items() if answer is not None])
def test_views_count_tokens(name: str, told: SyntheticRun) -> None:
    with shown(told, "tokens") as counted:
        try:
            text = text_of(table_view(name, counted.table))
        except PhasescopeError:
            pytest.skip("the made-up run has no such table")
    assert not re.search(r"\b[Ss]teps? \d", text), text


def test_what_the_names_tell_is_rounded() -> None:
    # `step1000-tokens4B` of 4 194 304 tokens a step, as OLMo's names round up and Apertus' down.
    steps = np.array([0, 150, 600, 1000, 500_000])
    exact = steps * 4_194_304
    for rounded in (np.ceil, np.floor, np.round):
        told = {int(step): int(rounded(read / 1e9)) * 10**9 for step, read in zip(steps, exact, strict=True)}
        known, tokens = knots_of(told)
        assert known == tuple(steps)
        # To half a billion in two million millions at the end, so to as large a part everywhere.
        assert np.array(tokens) == pytest.approx(exact, rel=6e-4)
    # A batch that grows is no such line: what the names tell is taken, in proportion between.
    assert knots_of({100: 10**9, 200: 2 * 10**9, 300: 6 * 10**9, 310: 6 * 10**9}) == (
        (0, 100, 200, 300),
        (0, 10**9, 2 * 10**9, 6 * 10**9),
    )


def test_numbers_between_and_beyond_checkpoints_are_in_proportion() -> None:
    there = counting.Counting("tokens", 10.0, {"7b": ((0, 10, 20), (0, 100, 400))})
    assert there.at("7b", [0, 5, 15, 20, 30, np.nan]).tolist()[:5] == [0, 50, 250, 400, 600]
    assert np.isnan(there.at("7b", np.nan))
    assert np.isnan(there.at("1b", 5))
    table = pd.DataFrame({"size": ["7b", "1b"], "step": [15, 15], "start": [2.5, 1.0], "low": [None, 1]})
    found = there.table(table.astype({"low": "Int64"}), ["step", "start", "low"])
    assert found["step"].tolist() == [250]
    assert found["step"].dtype == "int64"
    assert found["start"].tolist() == [25.0]
    assert found["low"].isna().all()


def test_where_tokens_are_not_known_it_is_said_what_helps(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    with pytest.raises(PhasescopeError, match=r"How many tokens 0\.4m had read is not known.* --axis tokens=2097152"):
        counting_of(run.manifest, "tokens")
    assert counting_of(run.manifest, "tokens=512").read["0.4m"][1][-1] == 512_000
    for wrong in ("tokens=", "tokens=0", "tokens=many"):
        with pytest.raises(BadArgumentError, match="is no number of tokens"):
            counting_of(run.manifest, wrong)
    with pytest.raises(BadArgumentError, match="The axis of this run is of steps, of tokens"):
        counting_of(run.manifest, "epochs")
    with pytest.raises(BadArgumentError, match="The axis of this run is of words"):
        counting_of({**run.manifest, "unit": "words"}, "steps")
    # A run of a known suite, captured before runs kept tokens.
    known = counting_of({**run.manifest, "source": "pythia"}, "tokens")
    assert known.read["1.6m"][1][-1] == 1000 * 2_097_152


def test_presets_know_what_a_step_reads() -> None:
    last = PRESETS["pythia"].suite().checkpoint("70m", 0, 143_000)
    assert last.tokens == 143_000 * 2_097_152  # 300 billion
    assert PRESETS["olmo3"].tokens_of("7b", "stage2") == 2_097_152
    assert PRESETS["olmo3"].tokens_of("7b") is None
    # Every size ends at 100 tokens a parameter: the last of 1B is step69369.
    assert 69_369 * (PRESETS["datadecide"].tokens_of("1B") or 0) == pytest.approx(100e9, rel=0.001)
    assert PRESETS["tinyllama"].suite().steps()[-1] * 2_097_152 == pytest.approx(3e12, rel=0.01)


@pytest.mark.parametrize(("unit", "noun"), [("words", "word"), ("chunks", "chunk")])
def test_words_and_chunks_are_called_what_they_are(unit: str, noun: str, tmp_path: Path) -> None:
    run: RunLike = make_run(tmp_path)
    run.manifest["unit"] = unit
    text = markdown(run, {}).partition("## Layers over behaviour")[0].partition("###")[2]
    assert f"at {noun} " in text
    assert not re.search(r"\bsteps? \d", text)


def test_every_table_says_which_columns_are_steps() -> None:
    assert columns_of_steps("settling") == ["settling_step", "last_step", "first_step", "low", "high"]
    assert columns_of_steps("phases") == ["start", "end", "start_low", "start_high"]
    assert columns_of_steps("of my own") == ["step"]
