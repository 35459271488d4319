"""What a run gives access to: sites, layers, heads, matrices, spectra, tokens, checkpoints; own forward passes."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

import phasescope as ps
from phasescope.store import RunFolder


def test_what_there_is(run: ps.Run) -> None:
    assert run.components == ["ov_out", "pattern", "z", "attn_out", "mlp_out", "resid_post"]
    assert run.layers() == [0, 1]
    assert len(run.sites()) == 12
    assert run.sites("tiny")[0].startswith("blocks.0.")


def test_heads_are_an_axis_of_their_own(run: ps.Run, held: Path) -> None:
    with h5py.File(held / "checkpoints/tiny/seed2/step00000004.h5") as shard:
        kept = {name: shard[f"activations/blocks.1.attn.hook_{name}"][...] for name in ("z", "pattern", "ov_out")}
    for name in ("z", "pattern"):
        for heads in (False, True):
            found = run.layer(1, name).activations(2, 4, heads=heads)
            np.testing.assert_array_equal(found.numpy(), kept[name])
    assert run.layer(1, "z").activations(2, 4).shape == (16, 2, 8)
    assert torch.allclose(run.layer(1, "pattern").activations(2, 4).sum(-1), torch.ones(16, 2), atol=1e-6)
    ov = run.layer(1, "ov_out")
    np.testing.assert_array_equal(ov.activations(2, 4, heads=True).numpy(), kept["ov_out"])
    np.testing.assert_allclose(ov.activations(2, 4).numpy(), kept["ov_out"].sum(1), rtol=1e-6)
    np.testing.assert_array_equal(run.layer(1, "z", head=1).activations(2, 4).numpy(), kept["z"][:, 1])
    with pytest.raises(ps.PhasescopeError, match="mlp_out has no heads: leave out heads=True"):
        run.layer(1, "mlp_out").activations(2, 4, heads=True)


def test_matrices_and_spectra(run: ps.Run, held_suite: Path, captured: Path) -> None:
    layer = run.layer(1, "mlp_out")
    model = AutoModelForCausalLM.from_pretrained(held_suite / "tiny/seed1/step4")
    dense = model.gpt_neox.layers[1].mlp.dense_4h_to_h.weight.detach().T
    torch.testing.assert_close(layer.weight("W_out", seed=1, step=4), dense, rtol=0, atol=0)
    torch.testing.assert_close(
        layer.spectrum("W_out", 1, 4), torch.linalg.svdvals(dense.double()), rtol=1e-6, atol=1e-8
    )
    assert layer.weight("W_O", 1, 4).shape == (2, 8, 16)
    assert layer.spectrum("OV", 1, 4).shape == (2, 8)
    head = run.layer(1, "z", head=1)
    product = head.weight("W_V", 1, 4) @ head.weight("W_O", 1, 4)
    torch.testing.assert_close(
        head.spectrum("OV", 1, 4), torch.linalg.svdvals(product.double())[:8], rtol=1e-4, atol=1e-7
    )
    with pytest.raises(ps.PhasescopeError, match=r"Layer 1 has no 'W_otu'. Did you mean W_out"):
        layer.weight("W_otu", 1, 4)
    with pytest.raises(ps.PhasescopeError, match=r"no step 5 of tiny/seed1 in this run. The nearest is 4"):
        layer.spectrum("W_out", 1, 5)
    with pytest.raises(ps.PhasescopeError, match=r"keeps no weights of layer 1. A capture with --keep-weights"):
        ps.open_run(captured).layer(1, "mlp_out", "tiny").weight("W_out", 1, 4)


def test_tokens_and_how_surprising_they_were(run: ps.Run, held: Path) -> None:
    tokens = run.tokens
    assert list(tokens.columns) == ["sequence", "position", "token", "text", "word", "tag", "sampled"]
    assert len(tokens) == 8 * 16
    assert tokens["sampled"].sum() == 16
    at = tokens[(tokens["sequence"] == 3) & (tokens["position"] == 7)].iloc[0]
    assert at["token"] == run.inputs.tokens[3, 7]
    assert at["word"] == run.inputs.words[run.inputs.word_ids[3, 7]]
    assert at["tag"] == run.inputs.tags[run.inputs.word_ids[3, 7]]  # type: ignore[index]
    known = tokens[tokens["word"].notna()]
    assert all(text.strip() in word for text, word in zip(known["text"], known["word"], strict=True))
    assert not tokens.attrs

    found = run.token_surprisal(seeds=2, steps=[4, 16])
    assert found.groupby(["seed", "step"]).size().to_dict() == {(2, 4): 45, (2, 16): 45}
    with h5py.File(held / "checkpoints/tiny/seed2/step00000016.h5") as shard:
        kept = shard["outputs/surprisal"][...]
    row = found[(found["step"] == 16) & (found["sequence"] == 2) & (found["position"] == 9)].iloc[0]
    assert row["surprisal"] == kept[2, 8]
    assert row["token"] == run.inputs.tokens[2, 9]
    mean = run.token_surprisal(steps="last").groupby("seed")["surprisal"].mean()
    table = run.surprisal()
    np.testing.assert_allclose(mean, table[table["step"] == 16]["surprisal"], rtol=1e-6)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"sizes": "tiy"}, "no size 'tiy'. Did you mean tiny"),
        ({"seeds": 7}, "no seed 7 of tiny in this run. The nearest is 2"),
        ({"steps": 5}, "no step 5 in .*The nearest is 4"),
        ({"steps": "lgo"}, "Did you mean log"),
    ],
)
def test_checkpoints_that_are_not_there(run: ps.Run, wanted: dict[str, object], said: str) -> None:
    with pytest.raises(ps.PhasescopeError, match=said):
        run.token_surprisal(**wanted)  # type: ignore[arg-type]


def test_tokens_of_a_suite_that_is_gone_have_words_and_no_text(held: Path, tmp_path: Path) -> None:
    shutil.copytree(held, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    folder.write_manifest(folder.read_manifest() | {"source": str(tmp_path / "gone")})
    run = ps.open_run(tmp_path / "run")
    assert run.tokens["text"].isna().all()
    assert run.tokens["word"].notna().any()
    assert "tokenizer is not here" in run.tokens.attrs["text"]
    with pytest.raises(ps.PhasescopeError, match="no folder here"):
        run.checkpoint(step=4)


@pytest.mark.parametrize("engine", ["torch", "nnsight"])
def test_own_forward_passes(run: ps.Run, engine: str) -> None:
    checkpoint = run.checkpoint(seed=2, step=4)
    tokens = torch.tensor(checkpoint.tokenizer()("The layers of the suite").input_ids)[None]
    model = ps.tap(checkpoint.model(), engine=engine)
    read = model.read(tokens, sites=["mlp_out", "L1.z"])
    assert [site.short for site in read.activations] == ["L0.mlp_out", "L1.z", "L1.mlp_out"]
    assert read["L1.z"].shape == (tokens.shape[1], 2, 8)
    # At the run's own tokens and positions it is what the run kept.
    inputs = run.inputs
    own = model.read(torch.from_numpy(inputs.tokens), torch.from_numpy(inputs.positions), "L1.mlp_out")
    kept = run.layer(1, "mlp_out").activations(2, 4)
    torch.testing.assert_close(own["L1.mlp_out"], kept, rtol=1e-4, atol=1e-5)
    with pytest.raises(ps.PhasescopeError, match=r"L0.z was not read. Did you mean L1.z"):
        read["L0.z"]
    with pytest.raises(ps.PhasescopeError, match="Did you mean mlp_out"):
        model.read(tokens, sites="mlp_uot")
    with pytest.raises(ps.PhasescopeError, match=r"no engine 'trch'. Did you mean torch"):
        ps.tap(model.model, engine="trch")
