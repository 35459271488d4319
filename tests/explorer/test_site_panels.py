"""Panels that questions bring: what is drawn is what their tables say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import phasescope as ps
from phasescope.analyses import Options
from phasescope.explorer.choice import Choice
from phasescope.explorer.recorded import Recorded
from phasescope.explorer.site_panels import SitePanels
from phasescope.reports.lens.figures import SCORES
from phasescope.store.draws import Traces, keep_draws
from tests.conftest import PROSE


@pytest.fixture(scope="module")
def asked(suite_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked")
    (folder / "text.txt").write_text("\n\n".join([PROSE] * 20), encoding="utf-8")
    run = ps.capture(
        suite_folder, folder / "text.txt", folder / "run", sizes=["tiny"], sequences=20, context=32, positions=4,
        output_sequences=2, sites=("mlp_out",), behaviour=("heads", "lens"),
    )  # fmt: skip
    keep_losses(run)
    wanted = ("geometry", "drift", "heads", "lens", "probing", "learning_coefficient")
    run.analyse(*wanted, options=Options(resamples=20, labels=("position",)))
    return run.path


def keep_losses(run: ps.Run) -> None:
    """Losses of chains around every checkpoint, of which all diverged at step 16 with layer 0 free."""
    random = np.random.default_rng(0)
    sampling = {"lr": 1e-3, "n_beta": 10.0, "localization": 100.0}
    for key in run.folder.shards():
        traces = {}
        for at in ("full", "l0", "l1", "l1 h1"):
            losses = 5 + 0.01 * random.random((3, 20))
            losses[:, 5:] = np.nan if (at, key.step) == ("l0", 16) else losses[:, 5:]
            traces[at] = Traces(5.0, np.full((3, 20), 4.9), losses)
        keep_draws(run.folder, key, sampling, traces, {"inputs": run.inputs.hash})


def curve(figure: object, name: str) -> list[float]:
    return next(list(trace.y) for trace in figure.plotly().data if trace.name == name)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "table", "chosen", "where", "column"),
    [
        ("drift", "drift", "W_in", {"component": "W_in", "layer": 1}, "relative"),
        ("geometry", "geometry", "Hoyer", {"site": "blocks.1.hook_mlp_out", "measure": "hoyer"}, "value"),
        ("lens", "attribution", "What it adds to the right logit", {"layer": 1, "component": "mlp_out"}, "value"),
        ("probing", "probing", "Position in the window, accuracy", {"site": "blocks.1.hook_mlp_out"}, "accuracy"),
        ("probing", "probing", "Position in the window, selectivity", {"layer": 1}, "selectivity"),
        ("probing", "probing", "Position in the window, bits per label", {"layer": 1}, "bits"),
    ],
)
def test_curves_are_those_of_the_table(
    asked: Path, name: str, table: str, chosen: str, where: Mapping[str, object], column: str
) -> None:
    recorded = Recorded(ps.open_run(asked))
    panels = SitePanels(recorded)
    rows = recorded.run.table(table)
    for key, value in {**where, "seed": 1}.items():
        rows = rows[rows[key] == value]
    figure, says = panels.show(name, Choice("tiny", "mlp_out", 1, None), [1], chosen, None, 4)
    assert len(rows) == 4
    np.testing.assert_allclose(curve(figure, "seed 1"), rows.sort_values("step")[column], atol=5e-5)
    assert says.startswith("4 classes." if name == "probing" else "")
    assert (says != "") == (name == "probing")


def test_of_heads_the_strongest_or_the_one_that_is_chosen(asked: Path) -> None:
    recorded = Recorded(ps.open_run(asked))
    panels, rows = SitePanels(recorded), recorded.run.table("heads")
    rows = rows[(rows["layer"] == 1) & (rows["seed"] == 2) & (rows["score"] == "previous_token")]
    most = rows.groupby("step")["value"].max()
    figure, says = panels.show("heads", Choice("tiny", "mlp_out", 1, None), [2], "Previous token", None, 4)
    np.testing.assert_allclose(curve(figure, "seed 2"), most, atol=5e-5)
    assert says == "The head of layer 1 that has most, at each step."
    figure, says = panels.show("heads", Choice("tiny", "mlp_out", 1, 1), [2], "Previous token", None, 4)
    np.testing.assert_allclose(curve(figure, "seed 2"), rows[rows["head"] == 1].sort_values("step")["value"], atol=5e-5)
    assert says == "Head 1 of layer 1."


def test_the_lens_is_of_the_stream_after_a_layer_beside_another_token(asked: Path) -> None:
    recorded = Recorded(ps.open_run(asked))
    panels, rows = SitePanels(recorded), recorded.run.table("lens")
    rows = rows[(rows["layer"] == 0) & (rows["seed"] == 1) & (rows["score"] == "kl")].sort_values("step")
    choice = Choice("tiny", "mlp_out", 0, None)
    figure, says = panels.show("lens", choice, [1], "Logit lens: " + SCORES["kl"], None, 4)
    np.testing.assert_allclose(curve(figure, "seed 1"), rows["value"], atol=5e-5)
    np.testing.assert_allclose(curve(figure, "seed 1, beside another token"), rows["shuffled"], atol=5e-5)
    assert says == "KL of the model's output from the lens (nats), of the whole stream after layer 0."
    assert said(panels, "lens", choice, "Tuned lens: " + SCORES["kl"]) == "There is no tuned lens of layer 0 of tiny."
    assert "What it adds to the right logit" not in panels.choices("lens", Choice("tiny", "resid_post", 0, None))


def test_what_was_not_probed_is_said(asked: Path) -> None:
    panels = SitePanels(Recorded(ps.open_run(asked)))
    choice = Choice("tiny", "mlp_out", 1, None)
    assert "not probed for the next token" in said(panels, "probing", choice, "Next token, accuracy")
    assert "--probe-at z" in said(
        panels, "probing", Choice("tiny", "z", 1, None), "Position in the window, bits per label"
    )
    assert "heads are not, one by one" in said(panels, "probing", Choice("tiny", "z", 1, 0), "Next token, accuracy")


@pytest.mark.parametrize(
    ("chosen", "at", "head"), [("all weights", "full", None), ("this layer", "l1", None), ("this head", "l1 h1", 1)]
)
def test_coefficients_are_of_all_weights_of_the_layer_or_of_the_head(
    asked: Path, chosen: str, at: str, head: int | None
) -> None:
    recorded = Recorded(ps.open_run(asked))
    panels, rows = SitePanels(recorded), recorded.run.table("learning_coefficient")
    rows = rows[(rows["seed"] == 2) & (rows["at"] == at)].sort_values("step")
    figure, _ = panels.show("learning_coefficient", Choice("tiny", "z", 1, head), [2], chosen, None, 4)
    assert len(rows) == 4
    np.testing.assert_allclose(curve(figure, "seed 2"), rows["coefficient"], atol=5e-5)


def test_coefficients_in_doubt_are_counted(asked: Path) -> None:
    panels = SitePanels(Recorded(ps.open_run(asked)))
    choice = Choice("tiny", "mlp_out", 0, None)
    figure, says = panels.show("learning_coefficient", choice, [2], "this layer", None, 4)
    assert len(curve(figure, "seed 2")) == 3
    assert "4 coefficients in doubt: " in says
    assert "all chains diverged" in said(
        panels, "learning_coefficient", Choice("tiny", "mlp_out", 7, None), "this layer"
    )


def said(panels: SitePanels, name: str, choice: Choice, chosen: str) -> str:
    """The sentence in place of a figure."""
    figure, _ = panels.show(name, choice, [1], chosen, None, 4)
    return str(figure.plotly().layout.annotations[0].text).replace("<br>", " ")


def test_only_what_has_a_table_is_offered_and_what_is_always_there(asked: Path) -> None:
    offered = SitePanels(Recorded(ps.open_run(asked))).offered
    brought = ["drift", "geometry", "heads", "lens", "learning_coefficient", "probing"]
    assert sorted(offered) == sorted(["convergence", "rank", *brought])
    (asked / "results" / "heads.parquet").rename(asked / "heads.parquet")
    try:
        assert "heads" not in SitePanels(Recorded(ps.open_run(asked))).offered
    finally:
        (asked / "heads.parquet").rename(asked / "results" / "heads.parquet")
