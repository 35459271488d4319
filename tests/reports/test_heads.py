"""How it is shown what heads look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console, RenderableType

from phasescope.analyses import Options
from phasescope.analyses.heads import ABSENT
from phasescope.analyses.heads.bumps import bump_rows, strongest_rows
from phasescope.analyses.heads.columns import BUMPS, REPETITION, SCORES
from phasescope.analyses.heads.scores import score_table
from phasescope.analyses.reader import as_table
from phasescope.measures import bootstrap_weights
from phasescope.reports.heads.figures import gain_figure, head_map, strongest_figure
from phasescope.reports.heads.section import heads_part
from phasescope.reports.heads.sentences import formed_sentence, induction_finding
from phasescope.reports.heads.terminal import heads_view
from tests.analyses.test_heads import planted

OPTIONS = Options(resamples=50)


def plain_text(view: RenderableType) -> str:
    console = Console(width=80, no_color=True)
    with console.capture() as captured:
        console.print(view)
    return captured.get()


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    runs = [planted(20.0, np.inf), planted(40.0, 300.0, seed=1)]
    runs[1] = type(runs[1])(**{**vars(runs[1]), "seed": 4})
    weights = bootstrap_weights(16, 50, 0).numpy()
    return {
        "heads": score_table(runs, {16: weights}, 0.95).astype(SCORES),
        "repetition": as_table([row for run in runs for row in strongest_rows(run, weights, OPTIONS)], REPETITION),
        "induction_heads": as_table([row for run in runs for row in bump_rows(run, weights, OPTIONS)], BUMPS),
    }


class Held:
    """What the part reads of a run."""

    sizes = ("1m",)
    path = Path("nowhere")

    def __init__(self, tables: dict[str, pd.DataFrame]) -> None:
        self.table: Any = tables.__getitem__


def test_figures_are_of_plotlys_schema(tables: dict[str, pd.DataFrame]) -> None:
    part = heads_part(Held(tables))  # type: ignore[arg-type]
    assert [panel.title for panel in part.panels] == [
        "Every head", "The strongest induction head", "What repeating is worth",
    ]  # fmt: skip
    for panel in part.panels:
        panel.figure.plotly()
    assert len(part.panels[0].variants) == 4  # the other scores
    assert "Infinity" not in part.panels[0].figure_json


def test_rings_are_where_heads_form(tables: dict[str, pd.DataFrame]) -> None:
    figure = head_map(tables["heads"], "induction", tables["induction_heads"])
    [_, rings] = figure.data
    assert sorted((layer, head) for layer, head, _ in rings["customdata"]) == [(1, 0), (1, 1)]
    assert len(head_map(tables["heads"], "entropy", tables["induction_heads"]).data) == 1
    star = strongest_figure(tables["repetition"], tables["induction_heads"], ["1m"]).data[-1]
    assert 15 < star["customdata"][0][0] < 45
    assert gain_figure(tables["repetition"], ["1m"]).layout["shapes"]
    with pytest.raises(ValueError, match="no value"):
        head_map(tables["heads"], "surprise")


def test_sentences_name_the_heads_of_each_seed(tables: dict[str, pd.DataFrame]) -> None:
    told = formed_sentence("1m", tables["induction_heads"])
    assert told.startswith("The induction heads of 1m form at step ")
    assert "median over 2 seeds" in told
    assert "seed 3: L1.0; seed 4: L1.0 and L1.1" in told
    one = formed_sentence("1m", tables["induction_heads"][tables["induction_heads"]["seed"] == 3])
    assert "one seed, 95 % interval" in one
    none = tables["induction_heads"].assign(forms_step=np.nan, reason="no head does")
    assert formed_sentence("1m", none) == "No induction head of 1m forms: no head does."
    assert formed_sentence("2m", none[:0]) == ""


def test_a_sentence_sets_them_beside_the_kl_between_seeds(tables: dict[str, pd.DataFrame]) -> None:
    kl = {"curve": "kl", "seed": pd.NA, "name": "sharp divergence"}
    for start, said in ((60.0, "factor 1.9 ["), (15.0, "after the KL")):
        rows = pd.DataFrame([kl | {"start": start, "start_low": start - 3, "start_high": start + 3}])
        told = induction_finding("1m", tables | {"phases": rows}, 2)  # type: ignore[arg-type]
        assert said in told
    none = tables | {"phases": rows[:0]}
    assert "factor" not in induction_finding("1m", none, 2)  # type: ignore[arg-type]


def test_the_terminal_shows_each_head(tables: dict[str, pd.DataFrame]) -> None:
    text = plain_text(heads_view(tables.__getitem__))
    assert "strongest" in text
    assert "L1.0" in text
    assert max(map(len, text.splitlines())) <= 80
    empty = {name: table[:0] for name, table in tables.items()}
    empty["repetition"].attrs["absent"] = ABSENT
    assert "phasescope visit RUN --behaviour heads" in plain_text(heads_view(empty.__getitem__))
    empty["heads"].attrs["absent"] = ABSENT
    assert heads_part(Held(empty)).notes == [ABSENT]  # type: ignore[arg-type]
