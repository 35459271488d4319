"""A run as labelled arrays, and for boards that show trainings."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import phasescope as ps
from phasescope.errors import BadArgumentError, MissingLibraryError
from phasescope.run.exporting import scalars


def test_labelled_arrays_are_the_runs(run: ps.Run) -> None:
    pytest.importorskip("xarray")
    found = run.to_xarray(sites="mlp_out,z,L1.ov_out", steps="all")
    assert found["mlp_out"].dims == ("seed", "step", "layer", "sample", "d_model")
    assert found["z"].dims == ("seed", "step", "layer", "sample", "head", "d_head")
    kept = run.layer(1, "z").activations(2, 4)
    np.testing.assert_array_equal(found["z"].sel(seed=2, step=4, layer=1).to_numpy(), kept.numpy())
    assert bool(found["ov_out"].sel(layer=0).isnull().all())  # it was not asked for
    at = found["mlp_out"].isel(sample=5)
    assert int(at["token"]) == run.inputs.tokens[int(at["sequence"]), int(at["position"])]
    mean = found["surprisal"].sel(seed=1, step=16).mean()
    table = run.surprisal()
    expected = table[(table["seed"] == 1) & (table["step"] == 16)]["surprisal"].item()
    assert float(mean) == pytest.approx(expected, rel=1e-6)
    assert found.attrs["size"] == "tiny"
    with pytest.raises(ps.PhasescopeError, match="did not record 'mlp_uot'"):
        run.to_xarray(sites="mlp_uot")


def test_every_number_has_a_name_of_its_own(run: ps.Run) -> None:
    def norm(x: torch.Tensor) -> float:
        return float(x.norm())

    run.map(norm, "L0.mlp_out,L1.z", "all")
    found = {seed: by_step for _, seed, by_step in scalars({name: run.table(name) for name in ("surprisal", "norm")})}
    assert list(found[1]) == [0, 1, 4, 16]
    table = run.table("norm")
    row = table[(table["seed"] == 1) & (table["step"] == 4) & (table["head"] == 1)].iloc[0]
    names = [name for name, value in found[1][4].items() if value == row["value"]]
    assert len(names) == 1
    assert "head1" in names[0]
    assert "blocks.1.attn.hook_z" in names[0]
    assert "surprisal/perplexity" in found[2][0]
    assert len(found[1][4]) == 3 + len([name for name in found[1][4] if name.startswith("surprisal/")])


def test_tensorboard_reads_what_is_written(run: ps.Run, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    place = run.export("tensorboard", ["surprisal"], tmp_path)
    events = EventAccumulator(str(place / "tiny" / "seed2"))
    events.Reload()
    table = run.surprisal()
    expected = table[table["seed"] == 2].sort_values("step")
    kept = events.Scalars("surprisal/surprisal")
    assert [event.step for event in kept] == expected["step"].tolist()
    np.testing.assert_allclose([event.value for event in kept], expected["surprisal"], rtol=1e-6)


def test_what_cannot_be_exported_is_one_sentence(run: ps.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadArgumentError, match=r"no board 'tensorbord'. Did you mean tensorboard"):
        run.export("tensorbord", ["surprisal"])
    with pytest.raises(BadArgumentError, match="The table settling has no step"):
        list(scalars({"settling": run.settling()}))
    for library in ("tensorboard", "wandb", "xarray"):
        monkeypatch.setitem(sys.modules, library, None)
        with pytest.raises(MissingLibraryError, match=rf"needs {library}, .* 'phasescope\[export\]'"):
            run.to_xarray() if library == "xarray" else run.export(library, ["surprisal"])


@pytest.mark.slow
def test_wandb_keeps_a_run_for_each_seed(run: ps.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_SILENT", "true")
    place = run.export("wandb", ["surprisal"], tmp_path, mode="offline")
    assert sorted(file.stat().st_size > 0 for file in place.rglob("*.wandb")) == [True, True]
