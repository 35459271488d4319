from __future__ import annotations

import math

import pandas as pd
import pytest

from phasescope.reports.convergence.figures import convergence_heatmap, head_heatmap
from phasescope.reports.convergence.layer_figure import layer_figure
from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.convergence.settling_figures import settling_by_depth, settling_figure
from phasescope.reports.gradients.figures import gradient_figure, gradient_norm_figure
from phasescope.reports.kit import steps_axis, tidy
from phasescope.reports.rank.figures import embedding_rank_figure, rank_figure
from phasescope.reports.seeds.kl_figure import kl_figure
from phasescope.reports.surprisal.figures import sizes_figure, surprisal_figure
from tests.reports.tables import SyntheticRun


def drawn(figure: object) -> list[dict]:
    """The traces as the page gets them."""
    return [dict(trace) for trace in figure.to_plotly_json()["data"]]


def test_the_heat_map_shows_the_median_over_seeds_at_the_places_of_the_steps(run: SyntheticRun) -> None:
    table = run.table("convergence")
    cells, chance = drawn(convergence_heatmap(table, "0.4m", "mlp_out"))
    assert chance["z"] == [[0.1]] * 4  # texts that do not match, left of the first step
    assert max(chance["x"]) < cells["x"][0] - (cells["x"][1] - cells["x"][0]) / 2
    assert cells["x"] == [steps_axis.position(step) for step in run.steps("0.4m")]
    assert cells["customdata"][0] == run.steps("0.4m")
    here = tidy.whole(tidy.of(table, size="0.4m", component="mlp_out", layer=2, step=64))
    assert cells["z"][2][run.steps("0.4m").index(64)] == pytest.approx(here["cka"].median(), abs=5e-4)
    assert (cells["zmin"], cells["zmax"]) == (0, 1)


def test_the_heat_map_of_one_seed_and_of_the_other_estimator_differ(run: SyntheticRun) -> None:
    table = run.table("convergence")
    shown = [
        drawn(convergence_heatmap(table, "0.4m", "mlp_out", seed=seed, estimator=estimator))[0]["z"]
        for seed in (None, 1)
        for estimator in ("biased", "debiased")
    ]
    assert all(one != other for i, one in enumerate(shown) for other in shown[i + 1 :])
    here = tidy.whole(tidy.of(table, size="0.4m", component="mlp_out", layer=0, step=8, seed=1))
    assert shown[3][0][run.steps("0.4m").index(8)] == pytest.approx(here["cka_debiased"].item(), abs=5e-4)


def test_rings_stand_where_layers_settle(run: SyntheticRun) -> None:
    settling = run.table("settling")
    _, rings, _ = drawn(convergence_heatmap(run.table("convergence"), "1.6m", "mlp_out", settling=settling))
    expected = median_settling(tidy.whole(tidy.of(settling, size="1.6m", component="mlp_out", tau=0.9)))
    expected = expected.dropna(subset=["median"])
    assert rings["y"] == expected["layer"].tolist()
    assert [step for _, step in rings["customdata"]] == expected["median"].tolist()


def test_what_did_not_move_is_open_and_has_no_ring_and_no_bar(run: SyntheticRun) -> None:
    settling, steps = run.table("settling").copy(), run.steps("1.6m")
    still = (settling["layer"] == 1) & (settling["component"] == "mlp_out")
    settling.loc[still, ["settling_step", "moved"]] = [0, False]
    heat = convergence_heatmap(run.table("convergence"), "1.6m", "mlp_out", settling=settling)
    assert 1 not in drawn(heat)[1]["y"]
    bars, *dots = drawn(settling_figure(settling, "1.6m", "mlp_out", steps=steps))
    assert 1 not in bars["y"]
    for trace in dots:
        symbols = {row[0]: symbol for row, symbol in zip(trace["customdata"], trace["marker"]["symbol"], strict=True)}
        assert symbols[1].endswith("-open")
        assert not symbols[0].endswith("-open")
        assert "CKA 0." in trace["customdata"][0][4]
        assert "texts that do not match" in trace["customdata"][0][4]
    by_depth = drawn(settling_by_depth(settling, "mlp_out", sizes=["1.6m"], steps=steps))[-1]
    assert 1 not in [row[0] for row in by_depth["customdata"]]


def test_a_seed_that_ends_early_says_so_and_is_in_no_median(run: SyntheticRun) -> None:
    settling, convergence = run.table("settling").copy(), run.table("convergence")
    settling.loc[settling["seed"] == 3, ["last_step", "settling_step"]] = [64, 1]
    table = convergence[(convergence["seed"] < 3) | (convergence["step"] <= 64)]
    names = [t["name"] for t in drawn(settling_figure(settling, "0.4m", "mlp_out", steps=run.steps("0.4m")))]
    assert names == ["median", "seed 1", "seed 2", "seed 3 (ends at step 64)"]
    grid = tidy.grid(tidy.whole(tidy.of(table, size="0.4m", component="mlp_out")), "cka")
    both = tidy.grid(tidy.whole(tidy.of(table[table["seed"] < 3], size="0.4m", component="mlp_out")), "cka")
    assert grid == both


def test_a_few_layers_stand_side_by_side_with_their_own_names(run: SyntheticRun) -> None:
    convergence, settling = (run.table(name) for name in ("convergence", "settling"))
    few = convergence[convergence["layer"].isin([1, 3])]
    figure = convergence_heatmap(few, "0.4m", "mlp_out", settling=settling)
    cells, rings, _ = drawn(figure)
    assert cells["y"] == [0, 1]
    assert list(figure.plotly().layout.yaxis.ticktext) == ["L1", "L3"]
    assert {tuple(pair) for pair in zip(rings["y"], (layer for layer, _ in rings["customdata"]), strict=True)} <= {
        (0, 1),
        (1, 3),
    }


def test_heads_stand_layer_by_layer(run: SyntheticRun) -> None:
    figure = head_heatmap(run.table("convergence"), "0.4m", "ov_out")
    cells, _ = drawn(figure)
    assert [row[0] for row in cells["text"]][:5] == ["L0 head 0", "L0 head 1", "L0 head 2", "L0 head 3", "L1 head 0"]
    assert list(figure.plotly().layout.yaxis.ticktext) == ["L0", "L1", "L2", "L3"]


def test_a_component_with_heads_alone_is_shown_as_their_median(run: SyntheticRun) -> None:
    only_heads = tidy.heads(run.table("convergence"))
    cells, _ = drawn(convergence_heatmap(only_heads, "0.4m", "ov_out"))
    here = tidy.of(only_heads, size="0.4m", component="ov_out", layer=1, step=64)
    assert cells["z"][1][run.steps("0.4m").index(64)] == pytest.approx(here["cka"].median(), abs=5e-4)


def test_gradients_are_drawn_layer_by_layer_with_the_range_of_the_seeds(run: SyntheticRun) -> None:
    table = run.table("gradients")
    bands, curves = [], []
    for trace in drawn(gradient_figure(table, "0.4m", "W_out", "ratio")):
        (bands if trace.get("fill") else curves).append(trace)
    assert [curve["name"] for curve in curves] == ["L0", "L1", "L2", "L3"]
    here = tidy.of(table, size="0.4m", component="W_out", layer=2, step=64)["ratio"]
    place = run.steps("0.4m").index(64)
    assert curves[2]["y"][place] == pytest.approx(here.median(), rel=1e-3)
    assert bands[2]["y"][place] == pytest.approx(here.max(), rel=1e-3)
    assert curves[2]["customdata"][place] == pytest.approx([64, here.min(), here.max()], rel=1e-3)
    # Of circuits there are heads alone, of matrices with heads the whole is shown where it was measured.
    heads = tidy.of(table, size="0.4m", component="OV", layer=1, step=8).groupby("seed")["cosine"].median()
    curve = next(t for t in drawn(gradient_figure(table, "0.4m", "OV", "cosine")) if t.get("name") == "L1")
    assert curve["y"][run.steps("0.4m").index(8)] == pytest.approx(heads.median(), rel=1e-3)
    whole = tidy.whole(tidy.of(table, size="0.4m", component="W_Q", layer=1, step=8))
    curve = next(t for t in drawn(gradient_figure(table, "0.4m", "W_Q", "cosine")) if t.get("name") == "L1")
    assert curve["y"][run.steps("0.4m").index(8)] == pytest.approx(whole["cosine"].median(), rel=1e-3)


def test_one_seed_has_its_own_interval_and_many_layers_have_a_colour_bar(run: SyntheticRun) -> None:
    one = tidy.of(run.table("gradients"), size="0.4m", seed=1, component="W_out")
    row = tidy.of(one, layer=0, step=8).iloc[0]
    curve = next(t for t in drawn(gradient_figure(one, "0.4m", "W_out", "cosine")) if t.get("name") == "L0")
    expected = [8, row["cosine_low"], row["cosine_high"]]
    assert curve["customdata"][run.steps("0.4m").index(8)] == pytest.approx(expected, rel=1e-3)
    many = pd.concat([tidy.of(one, layer=0).assign(layer=layer) for layer in range(12)])
    traces = drawn(gradient_figure(many, "0.4m", "W_out", "cosine"))
    assert len(traces) == 12 + 1
    assert traces[-1]["marker"]["colorbar"]["ticktext"] == ["L0", "L5", "L11"]
    norms = drawn(gradient_norm_figure(run.table("gradients"), "0.4m"))
    assert [trace["name"] for trace in norms if "name" in trace] == ["seed 1", "seed 2", "seed 3"]


def test_nothing_empty_is_ever_drawn(run: SyntheticRun) -> None:
    nothing = run.table("convergence").assign(cka=math.nan)
    with pytest.raises(ValueError, match="no biased CKA of mlp_out"):
        convergence_heatmap(nothing, "0.4m", "mlp_out")
    with pytest.raises(ValueError, match="settling"):
        settling_figure(run.table("settling"), "0.4m", "nowhere", steps=[0, 1])
    with pytest.raises(ValueError, match="rank"):
        rank_figure(run.table("rank"), "0.4m", "nowhere")
    with pytest.raises(ValueError, match="W_E"):
        embedding_rank_figure(run.table("rank").assign(proportional=math.nan), "0.4m")
    with pytest.raises(ValueError, match="surprisal"):
        surprisal_figure(run.table("surprisal"), "9b")
    with pytest.raises(ValueError, match="KL"):
        kl_figure(run.table("seeds").assign(kl=math.nan), ["0.4m"])
    with pytest.raises(ValueError, match="no cosine_previous of gradients of OV"):
        gradient_figure(run.table("gradients"), "0.4m", "OV", "cosine_previous")
    with pytest.raises(ValueError, match="gradient norm"):
        gradient_norm_figure(run.table("gradients"), "9b")
    with pytest.raises(ValueError, match="surprisal"):
        sizes_figure(run.table("surprisal"), [])
    with pytest.raises(ValueError, match="settling"):
        settling_by_depth(run.table("settling"), "nowhere", sizes=["0.4m"], steps=[0, 1])


def test_an_unknown_estimator_is_refused(run: SyntheticRun) -> None:
    with pytest.raises(ValueError, match="biased, debiased"):
        convergence_heatmap(run.table("convergence"), "0.4m", "mlp_out", estimator="unbiased")


def test_what_never_settles_stands_at_the_right_edge(run: SyntheticRun) -> None:
    table = tidy.of(run.table("settling"), size="0.4m", component="mlp_out", tau=0.9, seed=1).copy()
    table.loc[table["layer"] == 2, ["settling_step", "low", "high"]] = pd.NA
    steps = run.steps("0.4m")
    (dots,) = drawn(settling_figure(table, "0.4m", "mlp_out", steps=steps))
    edge = steps_axis.never_position(steps)
    assert dots["x"][2] == edge
    assert max(place for i, place in enumerate(dots["x"]) if i != 2) < steps_axis.position(max(steps))
    assert dots["marker"]["symbol"][2] == "triangle-right-open"
    assert dots["customdata"][2][1] == "never"


def test_intervals_reach_from_low_to_high(run: SyntheticRun) -> None:
    settling = run.table("settling")
    traces = drawn(settling_figure(settling, "0.4m", "mlp_out", steps=run.steps("0.4m")))
    dots = next(trace for trace in traces if trace["name"] == "seed 2")
    row = tidy.whole(tidy.of(settling, size="0.4m", component="mlp_out", tau=0.9, seed=2, layer=0)).iloc[0]
    assert dots["x"][0] - dots["error_x"]["arrayminus"][0] == pytest.approx(steps_axis.position(row["low"]), abs=2e-4)
    assert dots["x"][0] + dots["error_x"]["array"][0] == pytest.approx(steps_axis.position(row["high"]), abs=2e-4)


def test_a_seed_keeps_its_colour_where_others_are_missing(run: SyntheticRun) -> None:
    table = run.table("surprisal")
    both = drawn(surprisal_figure(table, "0.4m", seeds=[1, 2, 3]))
    one = drawn(surprisal_figure(tidy.of(table, seed=3), "0.4m", seeds=[1, 2, 3]))
    colours = [{t["name"]: t["line"]["color"] for t in traces if "name" in t} for traces in (both, one)]
    assert colours[0]["seed 3"] == colours[1]["seed 3"] != colours[0]["seed 1"]


def test_bands_lie_behind_all_curves_and_between_low_and_high(run: SyntheticRun) -> None:
    traces = drawn(kl_figure(run.table("seeds"), ["0.4m", "1.6m"]))
    assert ["fill" in trace for trace in traces] == [True, True, False, False]
    band, table = traces[0], tidy.of(run.table("seeds"), size="0.4m")
    assert band["y"] == [*table["high"].round(4), *reversed(table["low"].round(4).tolist())]


def test_a_band_is_broken_where_an_edge_is_missing(run: SyntheticRun) -> None:
    table = tidy.of(run.table("seeds"), size="0.4m").copy()
    table.loc[table["step"] == 16, "high"] = math.nan
    traces = drawn(kl_figure(table, ["0.4m"]))
    assert ["fill" in trace for trace in traces] == [True, True, False]


def test_the_unigram_is_a_line_with_its_value(run: SyntheticRun) -> None:
    figure = sizes_figure(run.table("surprisal"), run.sizes)
    assert [(shape.y0, shape.y1) for shape in figure.plotly().layout.shapes] == [(6.3, 6.3)]
    assert figure.plotly().layout.annotations[0].text == "unigram 6.30"


def test_rank_is_shown_per_layer_and_by_colour_bar_when_layers_are_many(run: SyntheticRun) -> None:
    table = run.table("rank")
    few = drawn(rank_figure(table, "0.4m", "OV"))
    assert [trace["name"] for trace in few] == ["L0", "L1", "L2", "L3"]
    here = tidy.of(table, size="0.4m", component="OV", layer=3, step=1000)["proportional"].median()
    assert few[3]["y"][-1] == pytest.approx(here, abs=5e-5)  # four decimals are kept
    many = pd.concat([table.assign(layer=table["layer"] + 4 * i) for i in range(4)])
    traces = drawn(rank_figure(many, "0.4m", "W_in"))
    assert not any(trace["showlegend"] for trace in traces)
    assert traces[-1]["marker"]["colorbar"]["ticktext"] == ["L0", "L7", "L15"]


def test_names_that_look_like_tags_are_shown_as_they_are(run: SyntheticRun) -> None:
    name = "<a href='javascript:alert(1)'>14m</a>"
    table = run.table("seeds").replace({"size": {"0.4m": name}})
    for trace in drawn(kl_figure(table, [name, "1.6m"])):
        assert "<a" not in str(trace)


def test_one_layer_has_a_curve_per_seed_with_the_tau_line(run: SyntheticRun) -> None:
    table = tidy.whole(tidy.of(run.table("convergence"), size="0.4m", component="mlp_out", layer=1))
    figure = layer_figure(table, "L1.mlp_out of 0.4m", tau=0.8)
    curves = [trace for trace in drawn(figure) if trace["mode"] == "lines+markers"]
    assert [curve["name"] for curve in curves] == ["seed 1", "seed 2", "seed 3"]
    mine = tidy.of(table, seed=2).sort_values("step")
    assert curves[1]["y"] == mine["cka"].round(4).tolist()
    (chance,) = [
        trace for trace in drawn(figure) if trace["mode"] == "lines" and trace.get("name", "").startswith("texts")
    ]
    assert chance["y"] == [0.1] * len(mine)
    assert not [t for t in drawn(layer_figure(table, estimator="debiased")) if t.get("name") == chance["name"]]
    assert figure.plotly().layout.shapes[0].y0 == 0.8
    assert figure.plotly().layout.title.text == "L1.mlp_out of 0.4m"


def test_a_layer_without_any_cka_says_why(run: SyntheticRun) -> None:
    table = tidy.whole(tidy.of(run.table("convergence"), size="0.4m", component="mlp_out", layer=1))
    figure = layer_figure(table.assign(cka=math.nan, reason="no variance at the last step"))
    assert not figure.plotly().data
    assert "no variance at the last step" in figure.plotly().layout.annotations[0].text
