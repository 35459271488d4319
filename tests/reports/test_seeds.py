"""Study B in figures, sentences and the terminal."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from rich.console import Console

from phasescope.reports.kit import steps_axis
from phasescope.reports.kit.tables import read_tables
from phasescope.reports.seeds import figures
from phasescope.reports.seeds.section import NO_BYTES, NOT_COMPARED, TWO_SEEDS, contrast_sentences, seeds_parts
from phasescope.reports.seeds.sentences import unigram_finding
from phasescope.reports.views import table_view
from tests.reports.seed_tables import TURN
from tests.reports.tables import SyntheticRun, but


def lines(figure: object) -> list[str]:
    return [trace.name for trace in figure.plotly().data if trace.mode == "lines+markers"]  # type: ignore[attr-defined]


def of_size(run: SyntheticRun, name: str) -> pd.DataFrame:
    table = run.table(name)
    return table[table["size"] == "0.4m"]


def printed(view: object) -> str:
    console = Console(width=80, record=True)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_a_figure_has_a_curve_for_each_bin_or_chosen_part_of_speech(run: SyntheticRun) -> None:
    table = of_size(run, "seeds_by")
    assert lines(figures.groups_figure(table, "frequency")) == ["10 to 100 per million", "100 to 1000 per million"]
    assert lines(figures.groups_figure(table, "pos")) == ["function", "content", "NOUN", "VERB"]
    assert figures.shown_groups(table, "frequency") == ["frequent", "rare"]
    with pytest.raises(ValueError, match="to draw"):
        figures.groups_figure(table, "position")


def test_references_and_seeds_share_a_picture_with_a_star_at_the_turn(run: SyntheticRun) -> None:
    tables = [of_size(run, name) for name in ("references", "seeds", "reference_turns")]
    figure = figures.references_figure(*tables)
    assert lines(figure) == ["to the uniform", "to the unigram", "between seeds"]
    (star,) = (trace for trace in figure.plotly().data if trace.mode == "markers")
    assert star.x[0] == steps_axis.position(TURN)
    assert star.x[0] - star.error_x.arrayminus[0] == pytest.approx(steps_axis.position(8))
    straight = figures.references_figure(tables[0], tables[1].iloc[:0], tables[2].assign(turns=False))
    assert lines(straight) == ["to the uniform", "to the unigram"]
    assert not [trace for trace in straight.plotly().data if trace.mode == "markers"]


def test_the_parts_have_their_figures_or_say_which_command_makes_them(run: SyntheticRun) -> None:
    parts = {part.key: part for part in seeds_parts(run, read_tables(run))}
    assert [panel.title for panel in parts["references"].panels] == ["KL of 0.4m", "KL of 1.6m"]
    assert [panel.title for panel in parts["groups-0.4m"].panels] == ["By frequency", "By part of speech"]
    assert "function 800, content 800" in parts["groups-0.4m"].panels[1].caption
    assert "less apart about function words than about content words" in parts["groups-0.4m"].intro
    assert [panel.title for panel in parts["across"].panels] == ["Steps of 0.4m", "Steps of 1.6m", "Between sizes"]
    assert not any(part.notes for part in parts.values())
    nothing = {name: run.table(name).iloc[:0] for name in ("seeds", "seeds_by", "kl_across", "next_byte")}
    without = replace(run, tables=run.tables | nothing)
    bare = {part.key: part for part in seeds_parts(without, read_tables(without))}
    assert bare["references"].notes == [TWO_SEEDS]
    assert bare["references"].panels
    assert bare["groups-0.4m"].notes == [TWO_SEEDS]
    assert bare["across"].notes == [NOT_COMPARED]
    assert bare["next-byte"].notes == [NO_BYTES]


def test_the_unigram_is_told_of_only_where_intervals_bear_it_out(run: SyntheticRun) -> None:
    tables = read_tables(run).of_size("0.4m")
    assert unigram_finding("0.4m", tables, 3) == (
        "The KL of 0.4m to the unigram falls until step 16 [8, 32], from 2.20 to 0.20 nats per token, then rises to "
        "3.20, while the KL between seeds grows by 0.80 [0.70, 0.90], from 0.10 to 0.90 at step 1000 (mean of 3 seeds, "
        "95 % intervals)."
    )
    turns = tables["reference_turns"]
    alone = unigram_finding("0.4m", but(tables, {"reference_turns": turns.assign(seeds_part=False, seeds=1)}), 1)
    assert alone.endswith("then rises to 3.20 (95 % intervals).")
    assert unigram_finding("0.4m", but(tables, {"reference_turns": turns.assign(turns=False)}), 3) == ""
    assert unigram_finding("0.4m", but(tables, {"reference_turns": turns.iloc[:0]}), 3) == ""


def test_a_contrast_is_told_of_only_where_its_interval_excludes_zero(run: SyntheticRun) -> None:
    table = run.table("seeds_by_contrasts")
    assert len(contrast_sentences(table, "0.4m")) == 1
    assert "difference -0.20 [-0.25, -0.15]" in contrast_sentences(table, "0.4m")[0]
    assert contrast_sentences(table.assign(high=0.01), "0.4m") == []


def test_the_terminal_shows_all_of_it_at_80_columns(run: SyntheticRun) -> None:
    shown = printed(table_view("seeds", run.table))
    assert max(map(len, shown.splitlines())) <= 80
    for text in ("16 [8, 32]", "frequent", "VERB", "its last step", "the step before", "other seeds", "less apart"):
        assert text in shown
    absent = {name: table.iloc[:0] for name, table in run.tables.items()}
    assert "There is no KL between seeds" in printed(table_view("seeds", absent.__getitem__))
