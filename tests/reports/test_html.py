from __future__ import annotations

import json
import math
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from phasescope.errors import PhasescopeError
from phasescope.reports import write_report
from phasescope.reports.kit import tidy
from phasescope.reports.kit.steps_axis import position
from tests.reports.page import Page
from tests.reports.tables import SyntheticRun, make_run


def page_of(run: SyntheticRun, folder: Path) -> Page:
    page = Page(write_report(run, folder / "report.html").read_text(encoding="utf-8"))
    for figure in page.figures:
        assert figure.numbers, f"{figure.title} is empty"
        assert figure.caption
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    return page


@pytest.fixture(scope="module")
def page(run: SyntheticRun, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(run, tmp_path_factory.mktemp("page"))


def test_everything_that_was_measured_is_drawn(page: Page) -> None:
    titles = Counter(figure.title for figure in page.figures)
    # Each component: a heat map and settling steps, in each of the two sizes.
    assert all(titles[name] == 4 for name in ("attn_out", "ov_out", "mlp_out", "resid_post"))
    assert titles["ov_out by head"] == 2
    assert all(titles[f"{name} (weight)"] == 2 for name in ("W_in", "W_out", "W_Q", "W_K", "W_V", "W_O"))
    assert all(titles[f"{name} (circuit)"] == 2 for name in ("OV", "QK"))
    assert titles["mlp_out (activations)"] == 2
    assert titles["W_E and W_U"] == 2
    assert titles["Norm over all parameters"] == titles["Gradient against weight"] == 2
    assert titles["Cosine with the batch before"] == titles["Cosine with the checkpoint before"] == 2
    assert titles["Surprisal"] == titles["KL between seeds"] == 3  # each size, and both compared
    assert titles["Settling of mlp_out by depth"] == 1
    assert not [note for note in page.notes if "heads" not in note]  # which this run was not asked for


def test_the_findings_and_the_methods_are_in_the_text(page: Page, run: SyntheticRun) -> None:
    text = " ".join(page.text.split())
    assert "settles first, at step" in text
    assert "furthest apart at step" in text
    assert run.manifest["inputs"]["hash"] in text
    assert "2 sizes × 3 seeds × 12 steps" in text
    assert "2025-11-21 09:34 UTC" in text


def test_captions_say_how_many_and_what_the_interval_is(page: Page) -> None:
    captions = {figure.title: figure.caption for figure in page.figures}
    assert "n = 128 sampled positions" in captions["ov_out by head"]
    assert "median of 3 seeds" in captions["ov_out by head"]
    assert "95 % bootstrap interval over sequences" in captions["KL between seeds"]
    assert "4,590 tokens in 18 sequences" in captions["Surprisal"]
    assert "median over heads and 3 seeds" in captions["OV (circuit)"]
    for title in (
        "OV (circuit)",
        "W_E and W_U",
        "Norm over all parameters",
        "Coefficients",
        "all, wh_island and 1 more",
    ):
        assert "Bands: phases of KL between seeds" in captions[title]


def test_choosing_a_seed_or_an_estimator_shows_its_numbers(page: Page, run: SyntheticRun) -> None:
    figure = next(f for f in page.figures if f.title == "mlp_out" and f.traces[0]["type"] == "heatmap")
    assert set(figure.variants) == {
        "median|debiased",
        *(f"{seed}|{estimator}" for seed in (1, 2, 3) for estimator in ("biased", "debiased")),
    }
    cells = figure.variants["2|debiased"][0]
    here = tidy.whole(tidy.of(run.table("convergence"), size="0.4m", component="mlp_out", seed=2, layer=1, step=32))
    assert cells["z"][1][cells["meta"]["steps"].index(32)] == pytest.approx(here["cka_debiased"].item(), abs=5e-4)


def test_choosing_a_matrix_shows_its_gradients(page: Page, run: SyntheticRun) -> None:
    figure = next(f for f in page.figures if f.title == "Gradient against weight")
    assert set(figure.variants) == {"OV", "W_in", "W_Q"}
    curve = next(trace for trace in figure.variants["W_in"] if trace.get("name") == "L1")
    here = tidy.of(run.table("gradients"), size="0.4m", component="W_in", layer=1, step=32)["ratio"]
    assert curve["y"][run.steps("0.4m").index(32)] == pytest.approx(here.median(), rel=1e-3)
    last = next(f for f in page.figures if f.title == "Cosine with the checkpoint before")
    assert "OV" not in last.variants  # circuits have none
    assert "to ± 0.015" in last.caption
    assert "mean over 11 batches" in figure.caption


def test_a_run_without_gradients_has_no_part_about_them(small: SyntheticRun, tmp_path: Path) -> None:
    without = replace(small, tables=small.tables | {"gradients": small.tables["gradients"].iloc[:0]})
    page = page_of(without, tmp_path)
    assert not any("radient" in note for note in page.notes)
    assert not any("radient" in figure.title for figure in page.figures)


def test_choosing_tau_shows_its_settling_steps(page: Page, run: SyntheticRun) -> None:
    figure = next(f for f in page.figures if f.title == "mlp_out" and f.traces[0]["type"] != "heatmap")
    assert set(figure.variants) == {"0.8", "0.95"}
    dots = next(trace for trace in figure.variants["0.8"] if trace["name"] == "seed 1")
    table = tidy.whole(tidy.of(run.table("settling"), size="0.4m", component="mlp_out", seed=1, tau=0.8))
    assert [row[1] for row in dots["customdata"]] == table.sort_values("layer")["settling_step"].tolist()


def test_the_page_asks_nothing_of_any_network(page: Page) -> None:
    for tag, attrs in page.tags:
        for name in ("src", "href", "data", "action", "srcset"):
            value = attrs.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, f"<{tag} {name}={value}>"
    policy = next(a["content"] or "" for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_plotly_is_inside_once(page: Page) -> None:
    assert sum("plotly.js v" in script[:400] for _, script in page.scripts) == 1
    assert not any("sendDataToCloud" in script for kind, script in page.scripts if kind == "drawing")


def test_names_are_text_wherever_they_stand(small: SyntheticRun, tmp_path: Path) -> None:
    nasty = "</script><script>alert('x')</script>"
    tables = {
        name: table.replace({"size": {"0.4m": nasty}}).replace({"component": {"attn_out": nasty}})
        for name, table in small.tables.items()
    }
    manifest = json.loads(json.dumps(small.manifest).replace('"0.4m"', json.dumps(nasty)))
    manifest |= {"family": nasty, "source": nasty, "engine": nasty, "sites": [nasty]}
    manifest["failed"] = [{"size": nasty, "seed": 1, "step": 4, "reason": f"<img src=x onerror=alert(1)> {nasty}"}]
    manifest["inputs"] = dict.fromkeys(manifest["inputs"], nasty)
    manifest["versions"] = {nasty: nasty, "phasescope": nasty}
    page = page_of(SyntheticRun(small.path, tables, manifest, [nasty, "1.6m"]), tmp_path)
    assert len([script for kind, script in page.scripts if kind == ""]) == 2  # plotly and ours
    assert not any(tag == "img" for tag, _ in page.tags)
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    assert page.text.count(nasty) > 20
    # plotly reads tags in the names of traces: there, they are escaped once more
    assert not any(nasty in str(trace.get("name", "")) for figure in page.figures for trace in figure.traces)


def test_one_seed_says_that_none_can_be_compared(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, depths={"0.4m": 2, "1.6m": 2}, seeds=(7,), steps=(0, 4, 64)), tmp_path)
    assert not any(figure.title == "KL between seeds" for figure in page.figures)
    assert sum("There is one seed of this size" in note for note in page.notes) == 2
    assert "one seed" in next(figure.caption for figure in page.figures if figure.title == "ov_out by head")


def test_one_size_has_nothing_to_be_compared_with(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, depths={"0.4m": 2}, steps=(0, 4, 64)), tmp_path)
    assert "Only 0.4m was captured" not in " ".join(page.notes)
    assert not any(figure.title.startswith("Sizes") for figure in page.figures)


def test_one_step_has_no_trajectory_and_its_numbers_are_said(tmp_path: Path) -> None:
    page = page_of(make_run(tmp_path, steps=(512,)), tmp_path)
    assert not page.figures
    assert any("Only one step, 512, was captured" in note for note in page.notes)
    assert any("nats per token (median of 3 seeds); token frequencies alone give 6.30" in note for note in page.notes)
    assert any("KL between seeds to show. It is 0." in note for note in page.notes)


def test_a_component_without_cka_is_said_with_its_reason(small: SyntheticRun, tmp_path: Path) -> None:
    table = small.table("convergence").copy()
    table.loc[table["component"] == "attn_out", ["cka", "cka_debiased"]] = math.nan
    table.loc[table["component"] == "attn_out", "reason"] = "no variance at the last step"
    page = page_of(replace(small, tables=small.tables | {"convergence": table}), tmp_path)
    assert not any(figure.title == "attn_out" for figure in page.figures)
    assert page.notes.count("attn_out has no CKA at any step: no variance at the last step.") == 4


def test_no_cka_at_all_leaves_the_rest(small: SyntheticRun, tmp_path: Path) -> None:
    table = small.table("convergence").assign(cka=math.nan, cka_debiased=math.nan, reason="activations are not finite")
    page = page_of(replace(small, tables=small.tables | {"convergence": table}), tmp_path)
    titles = {figure.title for figure in page.figures}
    assert "OV (circuit)" in titles
    assert "mlp_out" not in titles
    assert "ov_out by head" not in titles


def test_cells_without_cka_are_explained(small: SyntheticRun, tmp_path: Path) -> None:
    table = small.table("convergence").copy()
    hole = (table["step"] == 0) & (table["component"] == "mlp_out")
    table.loc[hole, "cka"] = math.nan
    table.loc[hole, "reason"] = "no variance at this step"
    page = page_of(replace(small, tables=small.tables | {"convergence": table}), tmp_path)
    figure = next(f for f in page.figures if f.title == "mlp_out")
    assert "Empty cells have no CKA: no variance at this step." in figure.caption
    assert all(row[0] is None for row in figure.traces[0]["z"])


@pytest.mark.parametrize("name", ["convergence", "settling", "rank", "surprisal", "seeds"])
@pytest.mark.parametrize("how", ["refused", "empty"])
def test_a_table_that_is_not_there_is_said(small: SyntheticRun, tmp_path: Path, name: str, how: str) -> None:
    tables = {known: table for known, table in small.tables.items() if known != name}
    if how == "empty":
        tables[name] = pd.DataFrame()
    page = page_of(replace(small, tables=tables), tmp_path)
    assert page.notes
    if how == "refused":
        assert any(f"The run has no {name} table" in note for note in page.notes)


def test_a_run_of_nothing_but_failures_still_has_a_report(small: SyntheticRun, tmp_path: Path) -> None:
    failed = [{**entry, "reason": "truncated"} for entry in small.manifest["checkpoints"]]
    empty = SyntheticRun(small.path, {}, small.manifest | {"failed": failed}, [])
    page = page_of(empty, tmp_path)
    assert not page.figures
    assert "Checkpoints that could not be read" in page.text
    assert page.text.count("truncated") == len(failed)


def test_half_of_the_checkpoints_bad_is_said_and_the_rest_is_shown(small: SyntheticRun, tmp_path: Path) -> None:
    keys = [(entry["size"], entry["seed"], entry["step"]) for entry in small.manifest["checkpoints"]]
    bad = [key for key in keys if (key[1] + (0, 4, 16, 64).index(key[2])) % 2 == 0]

    def without(table: pd.DataFrame) -> pd.DataFrame:
        if not {"size", "seed", "step"} <= set(table):
            return table
        each = zip(table["size"], table["seed"].fillna(-1), table["step"].fillna(-1), strict=True)
        return table[[key not in bad for key in each]]

    failed = [{"size": size, "seed": seed, "step": step, "reason": "truncated"} for size, seed, step in bad]
    left = [c for c in small.manifest["checkpoints"] if (c["size"], c["seed"], c["step"]) not in bad]
    tables = {name: without(table) for name, table in small.tables.items()}
    manifest = small.manifest | {"failed": failed}
    broken = SyntheticRun(small.path, tables, manifest | {"checkpoints": left}, small.sizes)
    page = page_of(broken, tmp_path)
    note = next(note for note in page.notes if "could not be read" in note)
    assert note.startswith(f"{len(bad)} of {len(bad) + len(left)} checkpoints could not be read")
    seed, steps = bad[0][1], [step for size, seed, step in bad if (size, seed) == bad[0][:2]]
    assert f"0.4m seed {seed} at steps {', '.join(map(str, steps))}" in note
    assert any(figure.title == "mlp_out" for figure in page.figures)


def test_phases_lie_behind_the_figures_of_a_size_and_are_named(page: Page) -> None:
    named = "phases of KL between seeds (95 % intervals): uniform, from the first step sharp divergence, from step 20 "
    assert " ".join(page.text.split()).count(f"Bands in the figures: {named}[16, 24]") == 2
    with_bands = Counter(f.title for f in page.figures if "phases of KL between seeds (orange" in f.caption)
    # Of each size: a heat map and settling of every component, heads, behaviour, heuristics.
    assert {title: with_bands[title] for title in ("mlp_out", "ov_out by head", "Surprisal", "KL between seeds")} == {
        "mlp_out": 4, "ov_out by head": 2, "Surprisal": 2, "KL between seeds": 2
    }  # fmt: skip
    assert with_bands["Correlation of words"] == 2
    heat_map = next(f for f in page.figures if f.title == "mlp_out")
    strips = [s for s in heat_map.drawing["layout"]["shapes"] if s["type"] == "rect"]
    assert [(s["x0"], s["x1"]) for s in strips] == [tuple(map(position, (20, 128))), tuple(map(position, (128, 1000)))]
    assert all(strip["y0"] > 1 for strip in strips)  # beside the cells, which would hide it


def test_every_caption_says_where_its_numbers_are(page: Page, run: SyntheticRun) -> None:
    for figure in page.figures:
        sources = re.search(r"From (results/\w+\.parquet(?:, results/\w+\.parquet)*)\.", figure.caption)
        assert sources, figure.title
        for source in sources[1].split(", "):
            assert source.removeprefix("results/").removesuffix(".parquet") in run.tables, figure.title


def test_what_rank_explains_is_drawn(page: Page, run: SyntheticRun) -> None:
    figure = next(f for f in page.figures if f.title == "Rank and settling of mlp_out")
    shown = [trace for trace in figure.traces if trace["xaxis"] == "x"]
    table = run.table("rank")
    table = table[(table["component"] == "W_out") & (table["step"] == 1000)].sort_values(["size", "layer", "seed"])
    assert sorted(y for trace in shown for y in trace["y"]) == pytest.approx(sorted(table["proportional"]), abs=5e-5)
    settling = tidy.whole(tidy.of(run.table("settling"), component="mlp_out", tau=0.9))
    known = {(r.size, r.layer, r.seed): "never" if pd.isna(r.settling_step) else r.settling_step
             for r in settling.itertuples()}  # fmt: skip
    told = {(trace["name"], row[0], row[1]): row[2] for trace in shown for row in trace["customdata"]}
    assert told == known
    assert "Rank of W_out and when it settles (mlp_out)" in figure.caption


def test_seeds_with_steps_of_their_own(small: SyntheticRun, tmp_path: Path) -> None:
    def without(table: pd.DataFrame) -> pd.DataFrame:
        return table[~((table["seed"] == 2) & (table["step"] == 16))] if {"seed", "step"} <= set(table) else table

    checkpoints = [c for c in small.manifest["checkpoints"] if (c["seed"], c["step"]) != (2, 16)]
    tables = {name: without(table) for name, table in small.tables.items()}
    page = page_of(
        SyntheticRun(small.path, tables, small.manifest | {"checkpoints": checkpoints}, small.sizes), tmp_path
    )
    assert "Steps that a seed lacks" in page.text
    cells = next(f for f in page.figures if f.title == "mlp_out").variants["2|biased"][0]
    assert 16 not in cells["meta"]["steps"]
    assert len(cells["z"][0]) == len(cells["x"]) == 3


def test_the_report_is_written_whole_or_not_at_all(small: SyntheticRun, tmp_path: Path) -> None:
    path = write_report(small, tmp_path / "a" / "b" / "report.html")
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    before = path.read_text(encoding="utf-8")

    class Broken(SyntheticRun):
        def table(self, name: str) -> pd.DataFrame:
            raise RuntimeError(name)

    with pytest.raises(RuntimeError):
        write_report(Broken(small.path, {}, small.manifest, small.sizes), path)
    assert path.read_text(encoding="utf-8") == before
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


def test_a_place_that_cannot_be_written_is_a_clear_sentence(small: SyntheticRun, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PhasescopeError, match=r"cannot be written to .*report\.html"):
        write_report(small, tmp_path / "file" / "report.html")


@pytest.mark.slow
def test_a_large_run_stays_small(tmp_path: Path) -> None:
    """One size of 9 seeds × 154 steps × 24 layers; a page of five such has to stay under 8 MB with plotly inside."""
    steps = [0, *(2**power for power in range(10)), *range(1000, 143_001, 1000)]
    run = make_run(
        tmp_path, depths={"410m": 24}, heads=2, seeds=range(1, 10), steps=steps, components=("mlp_out", "ov_out")
    )
    path = write_report(run, tmp_path / "report.html")
    page = Page(path.read_text(encoding="utf-8"))
    library = max(len(script) for _, script in page.scripts)
    rest = path.stat().st_size - library
    # Plotly takes 2 MB where it is packed, as it is in a large page.
    assert 2_000_000 + 5 * rest < 8_000_000
    assert re.search(r"\d+ of 154 steps are drawn", page.text)


def test_a_page_that_would_be_too_large_packs_plotly(small: SyntheticRun, tmp_path: Path, monkeypatch: object) -> None:
    monkeypatch.setattr("phasescope.reports.page.html._LARGE", 1_000_000)
    path = write_report(small, tmp_path / "report.html")
    assert path.stat().st_size < 3_000_000
    page = Page(path.read_text(encoding="utf-8"))
    assert any(attrs.get("id") == "plotly-packed" for _, attrs in page.tags)
    assert not any("plotly.js v" in script[:400] for _, script in page.scripts)
