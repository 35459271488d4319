"""How it is shown what layers would predict."""

from __future__ import annotations

import pandas as pd
import pytest
from rich.console import Console, RenderableType

from phasescope.analyses import Options
from phasescope.analyses.lens import ABSENT
from phasescope.analyses.lens.columns import ATTRIBUTION, DEPTH, LENS
from phasescope.analyses.lens.rows import attribution_rows, depth_rows, lens_rows
from phasescope.analyses.reader import as_table
from phasescope.reports.lens.figures import SCORES, attribution_curve, attribution_map, lens_map
from phasescope.reports.lens.section import lens_parts
from phasescope.reports.lens.sentences import lens_finding
from phasescope.reports.lens.terminal import lens_view
from tests.analyses.test_lens import planted

OPTIONS = Options(resamples=20)


def plain_text(view: RenderableType) -> str:
    console = Console(width=80, no_color=True)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    looks = [planted(step, seed) for seed in (1, 2) for step in (0, 8, 64)]
    return {
        "lens": as_table([row for look in looks for row in lens_rows(look, OPTIONS)], LENS),
        "lens_depth": as_table([row for look in looks for row in depth_rows(look, OPTIONS)], DEPTH),
        "attribution": as_table([row for look in looks for row in attribution_rows(look, OPTIONS)], ATTRIBUTION),
    }


def test_figures_are_of_plotlys_schema(tables: dict[str, pd.DataFrame]) -> None:
    [part] = lens_parts("1m", tables)  # type: ignore[arg-type]
    assert len(part.panels) == 5
    for panel in part.panels:
        panel.figure.plotly()
    assert len(part.panels[0].variants) == len(SCORES) - 1
    assert lens_parts("1m", {name: table[:0] for name, table in tables.items()}) == []  # type: ignore[arg-type]


def test_the_lowest_row_is_the_embedding(tables: dict[str, pd.DataFrame]) -> None:
    figure = lens_map(tables["lens"], "kl")
    assert figure.layout["yaxis"]["ticktext"] == ["embedding", "L0", "L1", "L2"]
    of_layers = tables["lens"].query("score == 'kl' and layer >= 0")["value"].max()
    assert figure.data[0]["zmax"] == pytest.approx(of_layers)
    with pytest.raises(ValueError, match="no value"):
        attribution_map(tables["attribution"], "mixer_out")


def test_layers_are_summed_up(tables: dict[str, pd.DataFrame]) -> None:
    names = {trace.get("name") for trace in attribution_curve(tables["attribution"]).data}
    assert {"embedding", "attention, all layers", "MLP, all layers", "rest", "bias"} <= names


def test_sentences(tables: dict[str, pd.DataFrame]) -> None:
    told = lens_finding("1m", tables, 2)  # type: ignore[arg-type]
    assert told.startswith("The likeliest next token of 1m is fixed after ")
    assert "of 3 layers at step 64" in told
    assert "at step 0 it was" in told
    assert "Most is added to the logit of the right token by" in told
    assert lens_finding("1m", {name: table[:0] for name, table in tables.items()}, 2) == ""  # type: ignore[arg-type]


def test_the_terminal_shows_layers_and_parts(tables: dict[str, pd.DataFrame]) -> None:
    text = plain_text(lens_view(tables.__getitem__))
    assert "embedding" in text
    assert "L1.mlp_out" in text
    assert max(map(len, text.splitlines())) <= 80
    empty = {name: table[:0] for name, table in tables.items()}
    empty["lens"].attrs["absent"] = ABSENT
    assert "phasescope visit RUN --behaviour lens" in " ".join(plain_text(lens_view(empty.__getitem__)).split())
