"""The link in figures, sentences and the terminal, against the tables."""

from __future__ import annotations

from itertools import pairwise

import pandas as pd
import pytest
from rich.console import Console

from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.kit import steps_axis, tidy
from phasescope.reports.kit.tables import Tables, read_tables
from phasescope.reports.link import figures
from phasescope.reports.link.over_phases import layers_over_phases
from phasescope.reports.link.section import link_finding, link_part, overview_part
from phasescope.reports.link.sentences import site_sentence
from phasescope.reports.phases.chosen import curve_name
from phasescope.reports.views import table_view
from tests.reports.tables import SyntheticRun, but

SITE = "L1.mlp_out"  # as the made-up tables name it


def printed(view: object) -> str:
    console = Console(width=80)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def with_lag(tables: Tables, *, significant: bool) -> Tables:
    """Layer 1's MLP lags surprisal by a factor e, in five seeds."""
    lags = tables["link_lags"].copy()
    here = (lags["site"] == SITE) & (lags["curve"] == "surprisal")
    values = {
        "lag": 1.0,
        "low": 0.5,
        "high": 1.5,
        "factor": 2.718,
        "correlation": -0.9,
        "q": 0.01 if significant else 0.4,
    }
    for name, value in values.items():
        lags.loc[here, name] = value
    lags.loc[here, "significant"] = significant
    return but(tables, {"link_lags": lags})


def test_layers_stand_over_phases_on_one_axis(run: SyntheticRun) -> None:
    tables = read_tables(run).of_size("0.4m")
    kl = tidy.of(tables["phases"], curve="kl")
    figure = layers_over_phases(tables["settling"], kl, tables["surprisal"], tables["seeds"], tau=0.9)
    dots = {trace.name: trace for trace in figure.plotly().data if trace.mode == "markers"}
    assert list(dots) == ["attn_out", "ov_out", "mlp_out", "resid_post"]
    middle = median_settling(tidy.whole(tidy.of(tables["settling"], tau=0.9, component="mlp_out"))).sort_values("layer")
    edge = steps_axis.never_position([0, 1000])
    expected = [edge if pd.isna(step) else steps_axis.position(int(step)) for step in middle["median"]]
    assert list(dots["mlp_out"].x) == pytest.approx(expected)
    curves = [trace for trace in figure.plotly().data if trace.mode == "lines+markers"]
    assert {trace.yaxis for trace in curves} == {"y2", "y3"}
    assert all((trace.xaxis or "x") == "x" for trace in figure.plotly().data)
    # Curves and layers do not overlap, and the bands run through both.
    domains = sorted(figure.plotly().layout[name].domain for name in ("yaxis", "yaxis2", "yaxis3"))
    assert all(below[1] < above[0] for below, above in pairwise(domains))
    band = next(shape for shape in figure.plotly().layout.shapes if shape.type == "rect")
    assert (band.x0, band.x1) == (steps_axis.position(20), steps_axis.position(128))
    assert (band.yref, band.y0, band.y1) == ("paper", 0, 1)
    with pytest.raises(ValueError, match="no settling steps"):
        layers_over_phases(tables["settling"].iloc[:0], kl, tables["surprisal"], tables["seeds"], tau=0.9)


def test_bars_are_the_shares_and_their_intervals(run: SyntheticRun) -> None:
    tables = read_tables(run).of_size("0.4m")
    shares = tidy.of(tables["link_shares"][tables["link_shares"]["seed"].isna()], curve="kl")
    figure = figures.shares_figure(shares)
    assert [bar.name for bar in figure.plotly().data] == [
        "1 uniform, steps 0–20", "2 sharp divergence, steps 20–128", "3 slow reconvergence, steps 128–1k"
    ]  # fmt: skip
    row = shares[(shares["site"] == SITE) & (shares["phase"] == 1)].iloc[0]
    bar = figure.plotly().data[1]
    place = list(bar.y).index(SITE)
    assert bar.x[place] == pytest.approx(100 * row["share"], abs=0.06)
    assert list(bar.customdata[place]) == [f"{100 * row['low']:.0f}", f"{100 * row['high']:.0f}"]
    with pytest.raises(ValueError, match="no shares"):
        figures.shares_figure(shares.assign(share=float("nan")))


def test_lags_are_dots_filled_where_they_are_significant(run: SyntheticRun) -> None:
    tables = with_lag(read_tables(run).of_size("0.4m"), significant=True)
    lags = tables["link_lags"][tables["link_lags"]["lag"].notna()]
    figure = figures.lags_figure(lags)
    dots = next(trace for trace in figure.plotly().data if trace.name == "mlp_out")
    place = list(dots.y).index(SITE)
    assert dots.x[place] == 1.0
    assert (dots.error_x.array[place], dots.error_x.arrayminus[place]) == (0.5, 0.5)
    assert not dots.marker.symbol[place].endswith("open")
    assert all(symbol.endswith("open") for number, symbol in enumerate(dots.marker.symbol) if number != place)
    assert "×2" in figure.plotly().layout.xaxis.ticktext
    with pytest.raises(ValueError, match="no lags"):
        figures.lags_figure(lags.assign(lag=float("nan")))
    fifth = figures.fifth_figure(tables["first_fifth"])
    shown = next(trace for trace in fifth.plotly().data if trace.name == "τ = 0.9")
    row = tidy.of(tables["first_fifth"], component="all", tau=0.9).iloc[0]
    assert shown.x[[name for name, *_ in shown.customdata].index("all")] == pytest.approx(100 * row["share"], abs=0.01)


def test_sentences_say_what_is_sure_and_nothing_else(run: SyntheticRun) -> None:
    tables = read_tables(run).of_size("0.4m")
    shares = tables["link_shares"]
    here = (shares["site"] == SITE) & shares["seed"].isna() & (shares["curve"] == "kl")
    shares = shares.copy()
    for phase, numbers in enumerate([(0.1, 0.0, 0.2), (0.62, 0.55, 0.7), (0.28, 0.2, 0.36)]):
        shares.loc[here & (shares["phase"] == phase), ["share", "low", "high"]] = numbers
    sure = with_lag(but(tables, {"link_shares": shares}), significant=True)
    sentence = site_sentence("0.4m", SITE, sure)
    assert sentence.startswith(
        "L1.mlp_out of 0.4m does 62 % [55, 70] of its moving in the sharp divergence phase of KL between seeds "
        "(steps 20–128); it settles at "
    )
    assert sentence.endswith("; it lags the fall of surprisal by a factor 2.7 [1.6, 4.5] in steps.")
    assert link_finding("0.4m", sure, 3) == sentence
    doubtful = with_lag(but(tables, {"link_shares": shares}), significant=False)
    assert "lags" not in site_sentence("0.4m", SITE, doubtful)
    shares.loc[here & (shares["phase"] == 1), "low"] = 0.2  # now another phase may have as much
    assert site_sentence("0.4m", SITE, with_lag(but(tables, {"link_shares": shares}), significant=False)) == ""
    assert curve_name("heuristic:bigram pearson of tokens") == "the correlation with bigram of tokens"
    assert curve_name("minimal_pairs:anaphora") == "accuracy on anaphora"


def test_parts_have_their_figures_or_say_why_not(run: SyntheticRun) -> None:
    tables = read_tables(run)
    overview = overview_part(tables, run.sizes)
    assert [panel.title for panel in [*overview.panels, *overview.folded]] == ["1.6m", "0.4m"]
    assert "Bands: phases of KL between seeds" in overview.panels[0].caption
    part = link_part("0.4m", tables.of_size("0.4m"))
    assert [panel.title for panel in part.panels] == [
        "Moving by phase of KL between seeds", "Moving by phase of surprisal", "Before or after surprisal",
        "The first fifth",
    ]  # fmt: skip
    assert "mean of 3 seeds" in part.panels[0].caption
    assert part.notes == []
    assert "3 seeds: five or more are needed" in part.panels[2].caption
    nothing = {name: tables[name].iloc[:0] for name in ("link_shares", "link_lags", "first_fifth")}
    empty = but(tables.of_size("0.4m"), nothing, {"link_shares": "There are no phases."})
    assert link_part("0.4m", empty).notes == ["There are no phases."]
    still = but(tables, {"convergence": tables["convergence"].iloc[:0]})
    assert overview_part(still, run.sizes).notes == ["No layer has a CKA to its final state at two steps or more."]


def test_the_terminal_shows_shares_lags_and_rank_at_80_columns(run: SyntheticRun) -> None:
    shown = printed(table_view("link", run.table))
    assert max(map(len, shown.splitlines())) <= 80
    assert "0.4m: share of moving by phase of KL between seeds (%)" in shown
    assert "3 seeds: five or more are needed" in shown
    assert "settled within the first fifth of training" in shown
    assert "Rank of W_out and when it settles (mlp_out)" in shown
    tables = {**run.tables, "link_lags": with_lag(read_tables(run), significant=True)["link_lags"]}
    linked = printed(table_view("link", tables.__getitem__))
    assert "L1.mlp_out" in linked
    assert "2.72 [" in linked
    absent = run.table("link_shares").iloc[:0]
    absent.attrs["absent"] = "There is nothing here."
    nothing = printed(table_view("link", lambda name: absent if name == "link_shares" else run.table(name).iloc[:0]))
    assert "There is nothing here." in nothing
