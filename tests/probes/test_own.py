"""Probes of users' own, in the pass of a visit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

import phasescope as ps
from phasescope.errors import BadArgumentError, PhasescopeWarning
from phasescope.probes import Probes
from phasescope.store import RunFolder, verify


@ps.probe(units="activation")
def means(model: ps.TappedModel, tokens: torch.Tensor, reading: Any) -> dict[str, torch.Tensor]:
    """What a probe can see: the tokens, what the pass read, and the model for passes of its own."""
    again = model.read(tokens, sites="L1.mlp_out")["L1.mlp_out"].view(*tokens.shape, -1)
    sampled = reading["L1.mlp_out"].view(len(tokens), -1, again.shape[-1])
    return {
        "all": again.mean(1).bfloat16(),
        "sampled": sampled.mean(1),
        "first": tokens[:, 0],
        "odd": tokens[:, 1] % 2 > 0,
    }


def captured_with(probe: str | tuple[str, ...], suite: Path, texts: Path, out: Path, **more: Any) -> ps.Run:
    return ps.capture(
        suite, texts=texts, out=out, sizes=["tiny"], seeds=[1], steps=[0, 4], sequences=12, context=32,
        output_sequences=4, batch=8, positions=2, sites="mlp_out", probe=probe, **more,
    )  # fmt: skip


def test_it_sees_every_batch_and_what_it_gives_is_kept(suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    run = captured_with("means", suite_folder, texts_file, tmp_path / "run")
    found = run.probed("means", 1, 4)
    assert {name: (tuple(array.shape), array.dtype) for name, array in found.items()} == {
        "all": ((12, 16), torch.float32),
        "sampled": ((12, 16), torch.float32),
        "first": ((12,), torch.int64),
        "odd": ((12,), torch.uint8),
    }
    np.testing.assert_array_equal(found["first"], run.inputs.tokens[:, 0])
    kept = run.layer(1, "mlp_out").activations(1, 4).view(12, 2, 16).mean(1)
    torch.testing.assert_close(found["sampled"], kept)
    model = ps.tap(run.checkpoint(step=4).model())
    again = model.read(torch.from_numpy(run.inputs.tokens), sites="L1.mlp_out")["L1.mlp_out"].view(12, 32, 16).mean(1)
    torch.testing.assert_close(found["all"], again, rtol=1e-2, atol=1e-2)  # bfloat16 has three digits
    assert not [finding for finding in verify(RunFolder(tmp_path / "run")) if finding.problem]
    assert run.manifest["asked"]["probe"] == ["means"]
    with pytest.raises(ps.PhasescopeError, match=r"has nothing of a probe 'mean'. Did you mean means"):
        run.probed("mean", 1, 4)
    with pytest.raises(ps.PhasescopeError, match=r"asked for something else .*probe"):
        captured_with((), suite_folder, texts_file, tmp_path / "run")


def _late(tokens: torch.Tensor) -> Any:
    if len(tokens) == 8:
        raise ValueError("the last batch\nis bad")
    return {"ones": torch.ones(len(tokens))}


BAD: dict[str, tuple[Any, str]] = {
    "late": (_late, "ValueError: the last batch"),
    "short": (lambda tokens: {"x": torch.ones(1)}, r"x is \[1\] for a batch of 4: its first axis is the batch"),
    "scalar": (lambda tokens: torch.tensor(1.0), "its first axis is the batch"),
    "words": (lambda tokens: {"x": np.array(["a"] * len(tokens))}, "where numbers are expected"),
    "named": (lambda tokens: {"x y": tokens}, "'x y' is none"),
    "empty": (lambda tokens: {}, "an empty dict"),
    "shapes": (lambda tokens: {"x": torch.ones(len(tokens), len(tokens))}, "the same in every batch"),
}


def test_those_that_fail_are_named_and_all_else_is_kept(suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    for name, (gives, _) in BAD.items():
        ps.probe(name=name)(lambda model, tokens, reading, gives=gives: gives(tokens))
    with pytest.warns(PhasescopeWarning) as told:
        run = captured_with(",".join([*BAD, "means"]), suite_folder, texts_file, tmp_path / "run", compare_seeds=False)
    assert run.layer(1, "mlp_out").activations(1, 4).shape == (24, 16)
    assert set(run.probed("means", 1, 4)) == {"all", "sampled", "first", "odd"}
    said = " ".join(str(one.message) for one in told)
    for name, (_, why) in BAD.items():
        assert re.search(f"The probe {name} failed and is passed over [^.]*{why}", said)
        with pytest.raises(ps.PhasescopeError, match=f"The probe {name} failed at tiny/seed1/step4, .*{why}"):
            run.probed(name, 1, 4)
    with h5py.File(tmp_path / "run/checkpoints/tiny/seed1/step00000004.h5") as shard:
        assert not shard.get("probes/late")
        assert list(shard["probes/means"]) == ["all", "first", "odd", "sampled"]
    assert not [finding for finding in verify(RunFolder(tmp_path / "run")) if finding.problem]


def test_what_cannot_be_asked() -> None:
    with pytest.raises(BadArgumentError, match=r"no probe 'mean'. Did you mean means"):
        Probes.of(probe="mean")
    with pytest.raises(BadArgumentError, match="remotely read ones are elsewhere"):
        Probes.of(probe="means", engine="nnsight", remote=True)
