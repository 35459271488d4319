"""The public face of a run."""

from pathlib import Path

import pytest

import phasescope as ps


@pytest.fixture(scope="module")
def run(captured: Path) -> ps.Run:
    return ps.open_run(captured)


def test_a_run_tells_what_it_holds(run: ps.Run) -> None:
    assert run.sizes == ["tiny", "small"]
    assert run.seeds("small") == [1, 2]
    assert run.steps("small") == [0, 1, 4, 16]
    assert "16 checkpoints of toy" in repr(run)
    assert run.inputs.tokens.shape == (12, 32)


def test_one_layer(run: ps.Run) -> None:
    layer = run.layer(1, "mlp_out", size="tiny")
    assert layer.activations(seed=1, step=4).shape == (12, 16)
    convergence = layer.convergence()
    assert list(convergence.columns[:5]) == ["seed", "step", "cka", "low", "high"]
    assert len(convergence) == 2 * 4
    weights = layer.effective_rank("W_out")
    assert weights[["seed", "step"]].drop_duplicates().shape[0] == len(weights) == 8
    assert weights["proportional"].between(0, 1).all()
    assert len(layer.effective_rank()) == 8
    assert len(layer.effective_rank("OV")) == 8 * 2
    assert set(layer.settling()["tau"]) == {0.8, 0.9, 0.95}


def test_one_head(run: ps.Run) -> None:
    whole = run.layer(2, "ov_out", size="small")
    parts = [run.layer(2, "ov_out", size="small", head=head) for head in range(3)]
    total = sum(part.activations(1, 4) for part in parts)
    assert (whole.activations(1, 4) - total).abs().max() < 1e-6  # three float32 terms in another order
    assert len(parts[0].convergence()) == 8
    assert not parts[0].convergence()["cka"].equals(whole.convergence()["cka"])
    with pytest.raises(ps.PhasescopeError, match="no head 3"):
        run.layer(2, "ov_out", size="small", head=3)
    with pytest.raises(ps.PhasescopeError, match="mlp_out has no heads: leave out the head"):
        run.layer(1, "mlp_out", size="small", head=0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1, "mlp_out", None), "Several sizes"),
        ((1, "mlp_out", "smal"), "Did you mean small"),
        ((1, "mlp_uot", "small"), "Did you mean mlp_out"),
        ((1, "resid_pre", "small"), "did not record"),
        ((5, "mlp_out", "small"), "nearest is 2"),
    ],
)
def test_what_a_run_does_not_hold(run: ps.Run, arguments: tuple[int, str, str | None], said: str) -> None:
    with pytest.raises(ps.PhasescopeError, match=said):
        run.layer(*arguments)


@pytest.mark.parametrize(("seed", "step", "said"), [(3, 4, "nearest is 2"), (1, 5, "nearest is 4")])
def test_seeds_and_steps_that_are_not_there(run: ps.Run, seed: int, step: int, said: str) -> None:
    with pytest.raises(ps.PhasescopeError, match=said):
        run.layer(1, "mlp_out", size="small").activations(seed=seed, step=step)


def test_unknown_weights_offer_the_nearest(run: ps.Run) -> None:
    with pytest.raises(ps.PhasescopeError, match="Did you mean W_out"):
        run.layer(1, "mlp_out", size="small").effective_rank("W_otu")


def test_what_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(ps.PhasescopeError, match="no such folder"):
        ps.open_run(tmp_path / "nowhere")
    with pytest.raises(ps.PhasescopeError, match="is not a run"):
        ps.open_run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ps.PhasescopeError, match="damaged"):
        ps.open_run(tmp_path)
    (tmp_path / "run.json").write_text('{"schema": 99}')
    with pytest.raises(ps.PhasescopeError, match="format version 99"):
        ps.open_run(tmp_path)


def test_a_layer_can_be_plotted(run: ps.Run) -> None:
    figure = run.layer(1, "mlp_out", size="small").plot()
    assert len(figure.data) >= 2
