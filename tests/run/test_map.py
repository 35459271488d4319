"""A measure of one's own, of every site and checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import phasescope as ps
from phasescope.analyses.own import cells
from phasescope.analyses.reader import sample_weights
from phasescope.cli import app
from phasescope.errors import BadArgumentError, PhasescopeWarning
from phasescope.measures import Draws, FinalState, State, interval, linear_cka
from phasescope.store import RunFolder, verify


def spread(x: torch.Tensor) -> torch.Tensor:
    """The total variance of a site."""
    return x.double().var(0).sum()


def value(table: object, **where: object) -> float:
    rows = table
    for name, wanted in where.items():
        rows = rows[rows[name].isna() if wanted is None else rows[name] == wanted]  # type: ignore[index]
    assert len(rows) == 1  # type: ignore[arg-type]
    return float(rows["value"].iloc[0])  # type: ignore[index]


def test_every_site_head_and_checkpoint_is_measured(run: ps.Run) -> None:
    table = run.map(spread, sites=["mlp_out", "L1.ov_out", "z"], steps="all")
    assert list(table.columns[:9]) == [
        "size",
        "seed",
        "step",
        "site",
        "layer",
        "component",
        "head",
        "other",
        "quantity",
    ]
    # Two layers of mlp_out; of ov_out the sum and two heads; two heads of z in two layers, which have no sum.
    assert len(table) == 2 * 4 * (2 + 3 + 4)
    for component, layer, head in [("mlp_out", 0, None), ("ov_out", 1, None), ("ov_out", 1, 1), ("z", 1, 0)]:
        x = run.layer(layer, component, head=head).activations(2, 4).double().numpy()
        expected = ((x - x.mean(0)) ** 2).sum() / (len(x) - 1)
        found = value(table, seed=2, step=4, component=component, layer=layer, head=head)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert table["low"].isna().all()
    assert (table["quantity"] == "spread").all()


def test_pairs(run: ps.Run) -> None:
    def first(x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
        return {"x": float(x.sum()), "y": float(y.sum()), "cka": float(linear_cka(x, y))}

    def sums(layer: int, seed: int, step: int, component: str = "mlp_out") -> float:
        return float(run.layer(layer, component).activations(seed, step).sum())

    final = run.map(first, "mlp_out,L1.ov_out", "0,4", pairs="final", name="to_final")
    assert value(final, seed=2, step=4, layer=1, component="mlp_out", quantity="y") == sums(1, 2, 16)
    assert value(final, seed=2, step=4, layer=1, component="mlp_out", quantity="x") == sums(1, 2, 4)
    assert set(final["other"]) == {16}
    convergence = run.layer(1, "mlp_out").convergence()
    expected = convergence[(convergence["seed"] == 2) & (convergence["step"] == 4)]["cka"].item()
    found = value(final, seed=2, step=4, layer=1, component="mlp_out", quantity="cka")
    np.testing.assert_allclose(found, expected, rtol=1e-9)

    previous = run.map(first, "mlp_out", "all", pairs="previous", name="to_previous")
    assert sorted(set(previous["step"])) == [1, 4, 16]
    assert value(previous, seed=1, step=4, layer=0, quantity="y") == sums(0, 1, 1)

    seeds = run.map(first, "mlp_out", "all", pairs="seeds", name="of_seeds")
    assert set(zip(seeds["seed"], seeds["other"], strict=True)) == {(1, 2)}
    assert value(seeds, step=4, layer=0, quantity="x") == sums(0, 1, 4)
    assert value(seeds, step=4, layer=0, quantity="y") == sums(0, 2, 4)

    layers = run.map(first, "mlp_out,resid_post,ov_out", "last", pairs="layers", name="of_layers")
    assert set(zip(layers["layer"], layers["other"], strict=True)) == {(0, 1)}
    assert layers["head"].isna().all()
    assert value(layers, seed=2, component="resid_post", quantity="y") == sums(1, 2, 16, "resid_post")
    with pytest.raises(ps.PhasescopeError, match="nothing to compare: two layers are needed"):
        run.map(first, "z", "last", pairs="layers", name="of_z")


def test_what_is_compared_in_several_rounds_is_the_same(run: ps.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def product(x: torch.Tensor, y: torch.Tensor) -> float:
        x *= 2  # a function that spoils what it is given spoils it for itself alone
        y *= 3
        return float((x * y).sum())

    for pairs in ("final", "previous", "seeds"):
        once = run.map(product, "mlp_out,ov_out", "all", pairs=pairs, name=f"once_{pairs}")
        with monkeypatch.context() as patch:
            patch.setattr(cells, "_HELD", 1)
            again = run.map(product, "mlp_out,ov_out", "all", pairs=pairs, name=f"again_{pairs}")
        keys = ["seed", "step", "site", "head"]
        columns = [*keys, "value"]
        assert (
            once.sort_values(keys)[columns]
            .reset_index(drop=True)
            .equals(again.sort_values(keys)[columns].reset_index(drop=True))
        )


def test_intervals_are_those_of_our_own_resampling(run: ps.Run) -> None:
    ours = run.analyse("convergence", options=ps.analyses.Options(resamples=40, seed=3))["convergence"]

    def cka(x: torch.Tensor, y: torch.Tensor) -> float:
        return float(linear_cka(x, y))

    found = run.map(cka, "mlp_out", "all", pairs="final", resamples=40, seed=3)
    both = found.merge(ours[ours["head"].isna()], on=["seed", "step", "site"], suffixes=("", "_ours"))
    assert len(both) == 16
    np.testing.assert_allclose(both["value"], both["cka"], rtol=1e-9)
    inputs = run.reader.inputs
    draws = Draws(sample_weights(inputs.sequences, inputs.sampled, 40, 3))
    for row in both.itertuples():
        layer = run.layer(row.layer, "mlp_out", size=row.size)
        last, x = (layer.activations(seed=row.seed, step=step) for step in (16, row.step))
        drawn, _ = FinalState(last).resampled(State(x), draws)
        low, high = interval(drawn, torch.tensor(row.value, dtype=torch.float64))
        # To 1e-6: replicates of few samples are made in float32.
        np.testing.assert_allclose([row.low, row.high], [float(low), float(high)], rtol=1e-6)


def test_it_is_kept_until_the_function_or_what_it_reads_changes(held: Path, tmp_path: Path) -> None:
    shutil.copytree(held, tmp_path / "run")
    run, calls = ps.open_run(tmp_path / "run"), []

    def counted(x: torch.Tensor) -> float:
        calls.append(1)
        return float(x.norm())

    first = run.map(counted, "mlp_out", "last")
    made = len(calls)
    assert made == 4 + 1  # once more, to see whether it gives the same
    assert ps.open_run(tmp_path / "run").map(counted, "mlp_out", "last").equals(first)
    assert len(calls) == made
    assert run.measured == ["counted"]
    assert run.table("counted").equals(first)
    run.map(counted, "mlp_out", "all")
    assert len(calls) == made + 16 + 1

    def counted(x: torch.Tensor) -> float:  # type: ignore[no-redef]
        return float(x.norm()) + 1

    np.testing.assert_allclose(run.map(counted, "mlp_out", "last")["value"], first["value"] + 1)
    assert not [finding for finding in verify(RunFolder(tmp_path / "run")) if finding.problem]
    (tmp_path / "run/checkpoints/tiny/seed2/step00000004.h5").unlink()
    with pytest.raises(ps.PhasescopeError, match="counted was measured of other shards than are there now"):
        ps.open_run(tmp_path / "run").show("counted")
    with pytest.warns(PhasescopeWarning, match="has lost shards"):
        again = ps.open_run(tmp_path / "run").map(counted, "mlp_out", "all")
    assert len(again) == 14


def of_scale(scale: float) -> object:
    def scaled(x: torch.Tensor) -> float:
        return scale * float(x.norm())

    return scaled


def test_a_value_that_a_function_closes_over_is_part_of_it(run: ps.Run) -> None:
    one, two = (run.map(of_scale(scale), "L0.mlp_out", "last")["value"] for scale in (1.0, 2.0))  # type: ignore[arg-type]
    np.testing.assert_allclose(two, 2 * one)


def test_where_it_raises_the_value_is_missing_with_the_reason(run: ps.Run) -> None:
    def picky(x: torch.Tensor) -> dict[str, float]:
        if abs(float(x.sum()) - bad) < 1e-6:
            raise ZeroDivisionError("no spread\nat all")
        return {"a": 1.0, "b": float("nan")}

    bad = float(run.layer(0, "mlp_out").activations(1, 0).sum())
    table = run.map(picky, "mlp_out", "all")
    lost = table[(table["layer"] == 0) & (table["seed"] == 1) & (table["step"] == 0)]
    assert sorted(lost["quantity"]) == ["a", "b"]
    assert set(lost["reason"]) == {"ZeroDivisionError: no spread"}
    assert lost["value"].isna().all()
    assert len(table) == 2 * 16
    assert set(table[table["quantity"] == "b"]["reason"]) == {"it gave NaN", "ZeroDivisionError: no spread"}


def draws(x: torch.Tensor) -> float:
    return float(torch.rand(()))


@pytest.mark.parametrize(
    ("function", "arguments", "said"),
    [
        (lambda x: 1.0, {}, r"kept under its name, and '<lambda>' is none: give it one .* name=\"spread\""),
        (
            lambda x: x.mean(0),
            {"name": "means"},
            r"means of L0.mlp_out of tiny/seed1/step0 gave an array of shape \[16\]",
        ),
        (lambda x: "much", {"name": "words"}, "words of .* gave a str, where a number is expected"),
        (lambda x: None, {"name": "none"}, "gave a NoneType, where a number"),
        (lambda x: {}, {"name": "empty"}, "gave an empty dict"),
        (lambda x: {"a": [1, 2]}, {"name": "lists"}, "gave a list, where a number"),
        (
            lambda x: 1 / 0,
            {"name": "never"},
            "gave no number for any of 16 .* ZeroDivisionError: division by zero. Put",
        ),
        (lambda x: 1.0, {"name": "convergence"}, "convergence is a table of phasescope's own"),
        (lambda x: 1.0, {"name": "../up"}, "'../up' is none"),
        (lambda x, y: 1.0, {"name": "one", "pairs": "finale"}, "no pairs 'finale'. Did you mean final"),
        (lambda x: 1.0, {"name": "one", "sites": "mlp_uot"}, "did not record 'mlp_uot' of tiny. Did you mean mlp_out"),
        (lambda x: 1.0, {"name": "one", "sites": "L7.mlp_out"}, "did not record 'L7.mlp_out'"),
        (lambda x: 1.0, {"name": "one", "steps": 5}, "no step 5"),
        (lambda x: 1.0, {"name": "one", "resamples": -1}, "number of resamples from 0"),
        ("spred", {}, "no measure 'spred'"),
    ],
)
def test_bad_input_is_one_sentence(run: ps.Run, function: object, arguments: dict[str, object], said: str) -> None:
    before = run.measured
    with pytest.raises(ps.PhasescopeError, match=said):
        run.map(function, **{"sites": "mlp_out", "steps": "all"} | arguments)  # type: ignore[arg-type]
    assert run.measured == before


def test_one_that_draws_is_noted(run: ps.Run) -> None:
    with pytest.warns(PhasescopeWarning, match="draws is not deterministic: of L0.mlp_out of tiny/seed1/step16"):
        table = run.map(draws, "mlp_out", "last")
    assert "Seed what it draws" in table.attrs["note"]


@settings(max_examples=10)
@given(st.sampled_from([1, 2.5, True, np.float32(3), np.int64(4), torch.tensor(5), np.array(6.0)]))
def test_numbers_of_any_kind(found: object) -> None:
    from phasescope.analyses.own.calling import _number

    assert _number(found) == float(found)  # type: ignore[arg-type]


def test_replicates_that_fail_do_not_count() -> None:
    from phasescope.analyses.own.mapping import _bounds

    drawn = [{"a": 1.0}, {}, {"a": 3.0}, {"a": 2.0}]
    low, high = interval(torch.tensor([1.0, torch.nan, 3.0, 2.0]), torch.tensor(2.0), 0.9)
    assert _bounds({"a": 2.0}, drawn, 0.9) == {"a": (float(low), float(high))}


def test_it_is_shown_and_stands_in_the_report(run: ps.Run, tmp_path: Path) -> None:
    run.map(ps.measure(units="squares")(spread), "mlp_out,L0.z", resamples=20)
    figure = run.show("spread")
    assert [trace.name for trace in figure.data] == ["L0", "L1"]
    assert figure.layout.yaxis.title.text == "spread (squares)"
    assert len([trace for trace in run.show("spread", "z").data if trace.name]) == 1  # heads of one layer: their median
    with pytest.raises(BadArgumentError, match=r"keeps no measure 'spred'.* Did you mean spread"):
        run.show("spred")
    with pytest.raises(BadArgumentError, match=r"no component 'mlp'. Did you mean mlp_out"):
        run.show("spread", "mlp")
    run.map(lambda x, y: float((x - y).norm()), "mlp_out", "last", pairs="layers", name="apart")
    assert run.show("apart").data[0].type == "heatmap"
    text = run.report_markdown(tmp_path / "report.md", own=["spread", "apart"]).read_text("utf-8")
    assert "## Measures of your own" in text
    assert "The total variance of a site." in text
    assert "From results/own/spread.parquet" in text
    assert "compared with later layers" in text


def test_it_has_phases_and_is_linked_to_those_of_behaviour(run: ps.Run) -> None:
    run.map(spread, "mlp_out,L0.z", "all")
    phases = run.phases_of("spread")
    # Both seeds and their mean, of two layers and two heads.
    assert len(phases.groupby(["site", "head", "seed"], dropna=False)) == 3 * 4
    assert set(phases["quantity"]) == {"spread"}
    shares = run.link_of("spread")
    assert {"quantity", "head", "curve", "share"} <= set(shares.columns)
    rows = shares[
        (shares["site"] == "blocks.0.hook_mlp_out") & (shares["curve"] == "surprisal") & (shares["seed"] == 1)
    ]
    assert rows["reason"].iloc[0] or rows["share"].sum() == pytest.approx(1)
    lags = run.lags_of("spread")
    assert len(lags) == 4 * lags["curve"].nunique()
    assert lags["head"].notna().sum() == 2 * lags["curve"].nunique()
    run.map(lambda x, y: float((x - y).norm()), "mlp_out", "all", pairs="seeds", name="apart")
    assert set(run.phases_of("apart")["other"]) == {2}
    with pytest.raises(ps.PhasescopeError, match="pairs of seeds has no curve for each seed"):
        run.link_of("apart")


def test_the_command(run: ps.Run, held: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import phasescope as ps\n\n@ps.measure(sites='mlp_out', units='nats')\ndef size(x):\n    return x.norm()\n"
    )
    where = ["--tables", str(run.folder.made)]
    said = CliRunner().invoke(app, ["map", str(held), f"{tmp_path}/mine.py:size", "--json", *where])
    assert said.exit_code == 0, said.stderr
    assert len(json.loads(said.stdout)) == 2 * 2 * 4
    said = CliRunner().invoke(app, ["map", str(held), f"{tmp_path}/mine.py:size", *where])
    assert "L1.mlp_out" in said.stdout
    report = ["report", str(held), "--format", "md", "--out", str(tmp_path / "r.md"), "--with", "size", *where]
    assert CliRunner().invoke(app, report).exit_code == 0
    assert "size of mlp_out, tiny" in (tmp_path / "r.md").read_text("utf-8")
    for asked, wrong in [
        ("mine.py:sise", "has no function 'sise'. Did you mean size"),
        ("none.py:size", "There is no file"),
    ]:
        said = CliRunner().invoke(app, ["map", str(held), f"{tmp_path}/{asked}", *where])
        assert said.exit_code == 2
        assert wrong in " ".join(said.stderr.split())
