"""What heads write is kept as two factors where that is smaller: the same vectors, products and ranks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from phasescope.errors import PhasescopeError
from phasescope.hooks import Reading, TappedModel, get_engine
from phasescope.measures import linear_cka
from phasescope.probes.activations import ActivationProbe
from phasescope.store import new_container, open_container, recorded_site, site_shape
from tests.hooks.zoo import batch, make

SITE = "blocks.1.attn.hook_ov_out"


def written(path: Path, model: TappedModel, reading: Reading, storage: str, copies: int) -> Path:
    """The shard of so many equal batches, as a capture writes them."""
    samples = len(reading.activations[next(iter(reading.activations))])
    inputs = SimpleNamespace(positions=np.zeros((samples * copies, 1)), sequences=samples * copies)
    probe = ActivationProbe(model, inputs, storage)  # type: ignore[arg-type]
    with new_container(path, "shard", {}) as writer:
        for copy in range(copies):
            probe.write(writer, reading, copy * samples)
    return path


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        ("GPT-NeoX, parallel", "torch"),
        ("GPT-NeoX, parallel", "transformer_lens"),
        ("Llama", "torch"),  # grouped heads
        ("Llama", "transformer_lens"),
        ("Granite", "torch"),  # multiplied before it is added
        ("DeepSeek V3", "torch"),  # latent
        ("OLMoE", "torch"),
    ],
)
def test_vectors_are_those_of_the_model(tmp_path: Path, name: str, engine: str) -> None:
    """1e-6 of their size: one product in float32 either way."""
    tokens, positions = batch()
    model = get_engine(engine).open(make(name))
    full, split = (model.read(tokens, positions, ["L1.ov_out"], split=split) for split in (False, True))
    wanted = full["L1.ov_out"].numpy()
    assert np.array_equal(split["L1.ov_out"].numpy(), wanted)
    copies = 200 // len(wanted)
    path = written(tmp_path / "shard.h5", model, split, "float32", copies)
    with open_container(path, "shard") as shard:
        found, shape = recorded_site(shard, SITE), site_shape(shard, SITE)
        some = recorded_site(shard, SITE, slice(0, len(wanted)))
    assert found.matrices is not None
    repeated = np.concatenate([wanted] * copies)
    assert found.values.shape[:2] == repeated.shape[:2] == shape[:2] == repeated.shape[:2]
    assert shape == repeated.shape
    scale = float(np.abs(wanted).max())
    np.testing.assert_allclose(found.whole(), repeated, rtol=0, atol=1e-6 * scale)
    np.testing.assert_allclose(some.whole(), wanted, rtol=0, atol=1e-6 * scale)
    np.testing.assert_allclose(found.total(), repeated.sum(1), rtol=0, atol=3e-6 * scale)
    for head in range(shape[1]):
        own, x = found.coordinates(head), repeated[:, head].astype(np.float64)
        np.testing.assert_allclose(found.head(head), repeated[:, head], rtol=0, atol=1e-6 * scale)
        np.testing.assert_allclose(own @ own.T, x @ x.T, rtol=0, atol=3e-6 * scale**2 * x.shape[1])
        other = np.random.default_rng(0).normal(size=(len(x), 5))
        mine, theirs = (float(linear_cka(one, other, debiased=True)) for one in (own, x))
        assert mine == pytest.approx(theirs, abs=1e-6)


def test_any_tool_gets_the_vectors_back(tmp_path: Path) -> None:
    """As the page on the format says."""
    tokens, positions = batch()
    model = get_engine("torch").open(make("GPT-NeoX, parallel"))
    reading = model.read(tokens, positions, ["L1.ov_out"], split=True)
    with h5py.File(written(tmp_path / "shard.h5", model, reading, "float32", 40)) as shard:
        values = shard[f"activations/{SITE}"]
        assert values.attrs["axes"].decode() == "samples heads d_head"
        matrices = shard[values.attrs["times"].decode()]
        vectors = np.einsum("shd,hdm->shm", values[...], matrices[...])
    wanted = reading["L1.ov_out"].numpy()
    np.testing.assert_allclose(vectors[: len(wanted)], wanted, rtol=0, atol=1e-6 * float(np.abs(wanted).max()))


def test_few_samples_are_kept_as_they_are(tmp_path: Path) -> None:
    tokens, positions = batch()
    model = get_engine("torch").open(make("GPT-NeoX, parallel"))
    reading = model.read(tokens, positions[:, :1], ["L1.ov_out"], split=True)
    with open_container(written(tmp_path / "shard.h5", model, reading, "float32", 1), "shard") as shard:
        assert shard.names() == [f"activations/{SITE}"]
        assert np.array_equal(recorded_site(shard, SITE).whole(), reading["L1.ov_out"].numpy())


def test_matrices_take_half_the_room_only_where_nothing_is_lost(tmp_path: Path) -> None:
    tokens, positions = batch()
    for dtype, kept in ((torch.float16, "float16"), (torch.float32, "float32")):
        whole = make("GPT-NeoX, parallel")
        whole.load_state_dict({name: value.to(dtype).float() for name, value in whole.state_dict().items()})
        model = get_engine("torch").open(whole)
        reading = model.read(tokens, positions, ["L1.ov_out"], split=True)
        path = written(tmp_path / f"{kept}.h5", model, reading, "float16", 40)
        with open_container(path, "shard") as shard:
            found = recorded_site(shard, SITE)
        assert found.matrices is not None
        assert (str(found.matrices.dtype), str(found.values.dtype)) == (kept, "float16")


def test_factors_that_do_not_fit_are_damage(tmp_path: Path) -> None:
    tokens, positions = batch()
    model = get_engine("torch").open(make("GPT-NeoX, parallel"))
    reading = model.read(tokens, positions, ["L1.ov_out"], split=True)
    path = written(tmp_path / "shard.h5", model, reading, "float32", 40)
    with h5py.File(path, "r+") as shard:
        values = shard[f"head_matrices/{SITE}"][:1]
        del shard[f"head_matrices/{SITE}"]
        shard[f"head_matrices/{SITE}"] = values
    with open_container(path, "shard") as shard, pytest.raises(PhasescopeError, match="head_matrices"):
        recorded_site(shard, SITE)
