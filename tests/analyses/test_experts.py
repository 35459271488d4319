"""The question about experts, of a run of small mixtures, against loops over what the shards hold."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.experts import _tell_dropped
from phasescope.analyses.experts.routing import Routing
from phasescope.analyses.experts.use import Use
from phasescope.analyses.link.curves import behavioural_curves
from phasescope.errors import PhasescopeWarning
from phasescope.hooks import Site
from phasescope.reports.experts.figures import experts_figure, seeds_figure
from phasescope.reports.experts.section import experts_finding, experts_parts
from phasescope.reports.kit.tables import Tables
from phasescope.store import ShardKey
from tests.conftest import make_tokenizer
from tests.hooks import zoo

STEPS, SEQUENCES, K = (0, 2, 4), 12, 3
# Seeds of the same weights, and the last step is the last all the same: said at every analysis, and meant here.
pytestmark = pytest.mark.filterwarnings("ignore:Last steps of .* may not be what they seem")
TABLES = ("experts", "expert_loads", "experts_settling", "experts_by", "expert_pairs", "expert_seeds")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, texts_file: Path) -> ps.Run:
    """Three steps that move away from the first; the second seed is the first with its experts renumbered."""
    root = tmp_path_factory.mktemp("experts")
    for step in STEPS:
        for seed in (1, 2):
            model = zoo.make("OLMoE", vocab_size=320)
            noise = torch.Generator().manual_seed(step)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.add_((4 - step) * 0.2 * torch.randn(parameter.shape, generator=noise))
                if seed == 2:
                    _renumber(model)
            folder = root / "toy" / "tiny" / f"seed{seed}" / f"step{step}"
            model.save_pretrained(folder)
            make_tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    made = ps.capture(
        root / "toy",
        texts=texts_file,
        out=root / "run",
        sequences=SEQUENCES,
        context=12,
        output_sequences=8,
        positions=K,
        sites="routed",
    )
    assert not made.manifest["failed"]
    # The audit sees that seeds share matrices.
    return ps.open_run(root / "run", keep_suspect=True)


def _renumber(model: torch.nn.Module) -> None:
    order = [3, 0, 4, 1, 2]
    for layer in model.model.layers:
        for parameter in (layer.mlp.gate.weight, layer.mlp.experts.gate_up_proj, layer.mlp.experts.down_proj):
            parameter.copy_(parameter[order].clone())


@pytest.fixture(scope="module")
def tables(run: ps.Run) -> dict[str, pd.DataFrame]:
    return run.analyse("experts", options=Options(resamples=50, by=("position",)))


def chosen(run: ps.Run, step: int, layer: int = 1, seed: int = 1) -> list[set[int]]:
    with run.folder.open_shard(ShardKey("tiny", seed, step)) as shard:
        return [set(np.flatnonzero(row)) for row in shard.read(f"activations/{Site(layer, 'routed').name}")]


def value(table: pd.DataFrame, **wanted: object) -> pd.Series:
    rows = table[np.logical_and.reduce([table[name] == what for name, what in wanted.items()])]
    assert len(rows) == 1
    return rows.iloc[0]


@pytest.mark.parametrize("step", STEPS)
def test_loads_entropy_and_agreement_are_counted(run: ps.Run, tables: dict[str, pd.DataFrame], step: int) -> None:
    here, last = chosen(run, step), chosen(run, STEPS[-1])
    counts = [sum(expert in each for each in here) for expert in range(5)]
    loads = tables["expert_loads"].query(f"seed == 1 and layer == 1 and step == {step}")
    assert loads["load"].tolist() == pytest.approx([count / sum(counts) for count in counts])
    where = {"seed": 1, "layer": 1, "step": step}
    entropy = -sum(count / sum(counts) * math.log(count / sum(counts)) for count in counts if count)
    found = value(tables["experts"], measure="entropy", **where)
    assert found["value"] == pytest.approx(entropy)
    assert found["low"] <= found["value"] <= found["high"]
    assert found["choices"] == 2 * SEQUENCES * K
    found = value(tables["experts"], measure="agreement", **where)
    assert found["value"] == pytest.approx(np.mean([len(a & b) / len(b) for a, b in zip(here, last, strict=True)]))
    assert value(tables["experts"], measure="dead", **where)["value"] == counts.count(0)
    assert value(tables["experts"], measure="largest", **where)["value"] == pytest.approx(max(counts) / sum(counts))


def test_seeds_whose_experts_are_renumbered_agree_wholly(tables: dict[str, pd.DataFrame]) -> None:
    seeds = tables["expert_seeds"]
    assert len(seeds) == 2 * len(STEPS)
    assert seeds["value"].tolist() == pytest.approx([1.0] * len(seeds))
    assert (seeds["chance"] < 0.8).all()


def test_groups_are_of_the_token_that_is_routed(run: ps.Run, tables: dict[str, pd.DataFrame]) -> None:
    inputs, here = run.inputs, chosen(run, 4)
    group = value(tables["experts_by"], seed=1, layer=1, step=4, by="position", group="2 to 3")
    every, own = np.zeros(5), np.zeros(5)
    for sequence in range(inputs.output_sequences):
        for j, place in enumerate(inputs.positions[sequence]):
            for expert in here[sequence * K + j]:
                every[expert] += 1
                own[expert] += 2 <= place <= 3
    p, q = own / own.sum(), every / every.sum()
    assert group["value"] == pytest.approx(sum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a))
    assert group["choices"] == own.sum()
    assert group["expert"] == int(np.argmax(p / q))


def test_pairs_and_settling(run: ps.Run, tables: dict[str, pd.DataFrame]) -> None:
    here = chosen(run, 4)
    for row in tables["expert_pairs"].query("seed == 1 and layer == 1").itertuples():
        assert row.together == pytest.approx(np.mean([{row.expert, row.beside} <= each for each in here]))
    settling = tables["experts_settling"].query("seed == 1 and layer == 1")
    agreement = (
        tables["experts"].query("seed == 1 and layer == 1 and measure == 'agreement'").set_index("step")["value"]
    )
    for row in settling.itertuples():
        below = [step for step in STEPS if agreement[step] < row.tau]
        assert row.settling_step == next(step for step in STEPS if step > max(below, default=-1))


def test_it_is_shown(run: ps.Run, tables: dict[str, pd.DataFrame]) -> None:
    from rich.console import Console

    from phasescope.reports.experts.terminal import experts_view

    console = Console(width=160, record=True)
    console.print(experts_view(tables.__getitem__))
    shown = console.export_text()
    assert "tiny: experts" in shown
    assert "1.00" in shown
    read = Tables(lambda name: (tables[name], ""))
    (part,) = experts_parts("tiny", read)
    assert [panel.source for panel in part.panels] == ["experts", "experts", "expert_seeds"]
    assert "of its largest" in experts_finding("tiny", read, 2)
    curves = [
        trace for trace in experts_figure(tables["experts"], "entropy").to_plotly_json()["data"] if trace.get("name")
    ]
    assert {"L0", "L1", "all alike"} <= {trace["name"] for trace in curves}
    assert seeds_figure(tables["expert_seeds"]).to_plotly_json()["data"]


def test_a_run_without_experts_says_what_to_capture(pythia_run: Path) -> None:
    made = ps.open_run(pythia_run).analyse("experts")
    assert all(made[name].empty for name in TABLES)
    assert "with routed among its --sites" in made["experts"].attrs["absent"]


def test_routing_has_phases_and_stands_in_the_link(run: ps.Run, tables: dict[str, pd.DataFrame]) -> None:
    """Curve for curve the agreement of the table; what layers do is laid beside it, and routing beside behaviour."""
    curves = {one.name: one for one in behavioural_curves(run.reader, Options(resamples=50, by=("position",)))}
    wanted = tables["experts"].query("measure == 'agreement'")
    for layer in (0, 1):
        curve = curves[f"experts:agreement in layer {layer}"]
        assert (curve.seeds, curve.steps) == ([1, 2], list(STEPS))
        for seed, values in zip(curve.seeds, curve.of(curve.seeds), strict=True):
            mine = wanted[(wanted["layer"] == layer) & (wanted["seed"] == seed)].sort_values("step")
            np.testing.assert_array_equal(values, mine["value"])
    phases = run.table("phases")
    assert {"experts:agreement in layer 0", "experts:agreement in layer 1"} <= set(phases["curve"])
    lags = run.table("link_lags")
    assert {"experts:agreement in layer 0", "surprisal"} <= set(lags.query("component == 'routed'")["curve"])


def test_tokens_without_an_expert_are_told_of() -> None:
    chosen = np.ones((2, 3, 2, 4), dtype=bool)
    chosen[1, 0] = False
    routing = Routing("tiny", 1, 5, [0, 4], chosen, np.zeros((3, 2), dtype=int))
    with pytest.warns(PhasescopeWarning, match=r"The router of layer 5 of tiny sends 0\.17 of the sampled tokens to"):
        _tell_dropped("tiny", 5, [routing])
    use = {row[4]: row for row in Use.of(routing, Options(resamples=20)).rows() if row[2] == 0}
    assert use["agreement"][5] == 1.0  # of the tokens that have experts at the last step
