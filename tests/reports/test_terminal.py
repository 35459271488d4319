from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from phasescope.errors import PhasescopeError
from phasescope.reports import table_view
from phasescope.reports.convergence.medians import median_settling
from phasescope.reports.convergence.terminal import settling_table
from phasescope.reports.kit import tidy
from phasescope.reports.kit.cells import sparkline
from phasescope.reports.layer.terminal import layer_view
from phasescope.reports.rank.terminal import rank_table
from phasescope.reports.runs import capture_summary, run_info
from tests.reports.tables import SyntheticRun


def printed(view: RenderableType, width: int = 80) -> str:
    """As a terminal of that width shows it."""
    console = Console(file=io.StringIO(), width=width, color_system=None, highlight=False)
    console.print(view)
    text = console.file.getvalue()
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    return text


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
        ([1, None, 0], "█·▁"),
        ([math.nan, math.inf], "··"),
        ([], ""),
        ([2, 2, 2], "▁▁▁"),
    ],
)
def test_sparklines(values: list[float | None], shown: str) -> None:
    assert sparkline(values) == shown


def test_sparklines_on_a_fixed_scale_and_thinned() -> None:
    assert sparkline([0.0, 0.49, 1.0, 7.0], 0, 1) == "▁▄██"
    long = sparkline(range(1000), at_most=8)
    assert long == "▁▂▃▄▅▆▇█"


@pytest.mark.parametrize("name", ["convergence", "rank", "surprisal", "seeds", "gradients", "trajectories"])
@pytest.mark.parametrize("width", [80, 120])
def test_every_analysis_fits_the_terminal(run: SyntheticRun, name: str, width: int) -> None:
    text = printed(table_view(name, run.table), width)
    assert "0.4m" in text
    assert "1.6m" in text
    assert "…" not in text  # nothing is cut


def test_an_unknown_view_is_refused(run: SyntheticRun) -> None:
    with pytest.raises(PhasescopeError, match="weather"):
        table_view("weather", run.table)


def test_settling_is_the_median_with_its_range(run: SyntheticRun) -> None:
    text = printed(settling_table(run.table("settling"), run.table("convergence")))
    lines = [line.split() for line in text.splitlines() if line.split()[:1] == ["L0.mlp_out"]]
    middle = median_settling(tidy.whole(tidy.of(run.table("settling"), size="0.4m", tau=0.9)))
    row = middle[(middle["layer"] == 0) & (middle["component"] == "mlp_out")].iloc[0]
    assert lines[0][2:5] == [str(row["median"]), f"[{row['low']},", f"{row['high']}]"]


def test_a_site_that_never_settles_and_one_without_cka(run: SyntheticRun) -> None:
    settling = run.table("settling").copy()
    settling.loc[settling["layer"] == 1, ["settling_step", "low", "high"]] = None
    convergence = run.table("convergence").copy()
    convergence.loc[convergence["layer"] == 2, "cka"] = math.nan
    text = printed(settling_table(settling, convergence))
    assert any("L1.mlp_out" in line and line.rstrip().endswith(" never") for line in text.splitlines())
    assert any("L2.mlp_out" in line and "no CKA" in line for line in text.splitlines())


def test_rank_goes_from_the_first_to_the_last_step(run: SyntheticRun) -> None:
    text = printed(rank_table(run.table("rank")))
    here = tidy.of(run.table("rank"), size="0.4m", component="W_in", layer=0)
    first, last = (tidy.of(here, step=step)["proportional"].median() for step in (0, 1000))
    assert f"{first:.3f} → {last:.3f}" in text
    assert "W_E" in text


@pytest.mark.parametrize("name", ["convergence", "rank", "surprisal", "seeds", "gradients", "trajectories"])
def test_an_empty_table_is_said_in_words(run: SyntheticRun, name: str) -> None:
    text = printed(table_view(name, lambda wanted: run.table(wanted).iloc[:0]))
    assert text.startswith("There is no")


def test_one_layer_step_by_step(run: SyntheticRun) -> None:
    def mine(name: str) -> object:
        return tidy.whole(tidy.of(run.table(name), size="0.4m", layer=1, component="mlp_out"))

    text = printed(layer_view(mine("convergence"), mine("settling"), "L1.mlp_out of 0.4m", rank=mine("rank")))
    value = tidy.of(mine("convergence"), step=64, seed=2)["cka"].item()
    (line,) = [line.split() for line in text.splitlines() if line.split()[:1] == ["64"]]
    assert line[2] == f"{value:.3f}"
    assert text.count("0.95") >= 3  # τ, once per seed


def test_one_layer_says_why_it_has_no_cka(run: SyntheticRun) -> None:
    table = tidy.whole(tidy.of(run.table("convergence"), size="0.4m", layer=1, component="mlp_out"))
    table = table.assign(cka=math.nan, reason="no variance at the last step")
    text = printed(layer_view(table, run.table("settling").iloc[:0], "L1.mlp_out"))
    assert "Without CKA: no variance at the last step." in text


def test_info_and_capture_say_what_failed_and_what_is_missing(run: SyntheticRun) -> None:
    reason = "model.safetensors is [red]truncated[/red] \x1b[2J at byte 17"
    checkpoints = [c for c in run.manifest["checkpoints"] if c != {"size": "1.6m", "seed": 2, "step": 64}]
    gone = {"size": "1.6m", "seed": 2, "step": 64, "reason": reason}
    broken = replace(run, manifest=run.manifest | {"failed": [gone], "checkpoints": checkpoints})
    for view in (run_info(broken), capture_summary(broken)):
        text = " ".join(printed(view, 120).split())
        assert "model.safetensors is [red]truncated[/red] \\x1b[2J at byte 17" in text
    assert "Steps that a seed lacks" in printed(run_info(broken))


def test_a_capture_of_nothing_still_has_a_summary(run: SyntheticRun) -> None:
    failed = [{**entry, "reason": "truncated"} for entry in run.manifest["checkpoints"]]
    nothing = replace(run, sizes=[], manifest=run.manifest | {"failed": failed})
    text = printed(capture_summary(nothing))
    assert "none" in text
    assert "and 52 more" in text
