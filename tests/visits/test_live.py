"""A live probe against what the models themselves compute."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook
from transformers import AutoModelForCausalLM, AutoTokenizer

from phasescope.errors import PhasescopeError
from phasescope.hooks import Site
from phasescope.suites import open_suite
from phasescope.visits.live.probe import LiveProbe, LiveReading, coarse_to_fine
from phasescope.visits.recorded import suite_of
from tests.suites.hub_server import Repository, serving
from tests.visits.test_architectures import suite_of as make_architecture

TEXT = "A layer that has settled says the same thing at every later step."


def read_all(folder: Path, site: str, text: str = TEXT, **chosen: Any) -> tuple[LiveProbe, dict[int, LiveReading]]:
    suite = open_suite(folder).select(sizes=["tiny"], seeds=[1], **chosen)
    probe = LiveProbe.prepare(suite, text, site)
    return probe, {reading.key.step: reading for reading in probe.readings()}


def own_mlp_out(folder: Path, layer: int, text: str) -> np.ndarray:
    """What the model's own MLP gives, seen by a hook of torch on the whole forward pass."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    seen: list[torch.Tensor] = []
    model.gpt_neox.layers[layer].mlp.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        model(torch.tensor([tokenizer.encode(text)]))
    return seen[0][0].double().numpy()


def test_a_reading_is_what_the_model_computes(suite_folder: Path) -> None:
    probe, readings = read_all(suite_folder, "L1.mlp_out")
    places = {step: suite_folder / "tiny" / "seed1" / f"step{step}" for step in readings}
    own = {step: own_mlp_out(place, 1, TEXT) for step, place in places.items()}
    assert list(readings) == [16, 0, 4, 1]
    assert "".join(probe.texts["tiny"].pieces) == TEXT
    for step, reading in readings.items():
        assert reading.activations is not None
        assert reading.norms is not None
        assert reading.cosines is not None
        x, y = own[step], own[16]
        # The same float32 products, whole or up to the site: what differs is the order of sums.
        np.testing.assert_allclose(reading.activations.numpy(), x, atol=1e-5)
        norms = np.sqrt((x**2).sum(1)), np.sqrt((y**2).sum(1))
        np.testing.assert_allclose(reading.norms.numpy(), norms[0], rtol=1e-4)
        np.testing.assert_allclose(reading.cosines.numpy(), (x * y).sum(1) / norms[0] / norms[1], atol=1e-4)
        xc, yc = x - x.mean(0), y - y.mean(0)
        cka = ((xc.T @ yc) ** 2).sum() / np.linalg.norm(xc.T @ xc) / np.linalg.norm(yc.T @ yc)
        assert reading.cka == pytest.approx(cka, abs=1e-4)
        values = np.linalg.svd(xc, compute_uv=False)[: reading.largest_rank]
        shares = values / values.sum()
        assert reading.effective_rank == pytest.approx(float(np.exp(-(shares * np.log(shares)).sum())), rel=1e-3)
        assert reading.against == 16


def test_nothing_after_the_site_is_computed(suite_folder: Path) -> None:
    done: list[str] = []
    handle = register_module_forward_hook(lambda module, _inputs, _output: done.append(type(module).__name__))
    try:
        read_all(suite_folder, "L0.attn_out", steps="last")
    finally:
        handle.remove()
    assert "GPTNeoXAttention" in done
    assert not {"GPTNeoXMLP", "GPTNeoXLayer", "GPTNeoXForCausalLM"} & set(done)


@pytest.mark.parametrize(("component", "whole"), [("z", "side by side"), ("ov_out", "sum")])
def test_heads_are_parts_of_the_whole(suite_folder: Path, component: str, whole: str) -> None:
    suite = open_suite(suite_folder).select(sizes=["tiny"], seeds=[1], steps="last")

    def values(head: int | None) -> torch.Tensor:
        (reading,) = LiveProbe.prepare(suite, TEXT, Site(0, component), head).readings()
        assert reading.activations is not None
        return reading.activations

    heads = [values(head) for head in range(2)]
    expected = torch.cat(heads, 1) if whole == "side by side" else heads[0] + heads[1]
    torch.testing.assert_close(values(None), expected)


def test_every_size_and_seed_is_compared_with_its_own_last_step(suite_folder: Path) -> None:
    probe = LiveProbe.prepare(open_suite(suite_folder), TEXT, "L0.mlp_out")
    readings = list(probe.readings())
    assert len(readings) == 16
    assert [reading.key.step for reading in readings[:4]] == [16] * 4
    assert [reading.key.step for reading in readings[4:8]] == [0] * 4
    assert all(reading.cka == pytest.approx(1.0) for reading in readings[:4])
    assert {reading.activations.shape[1] for reading in readings if reading.activations is not None} == {16, 24}


def test_a_bad_checkpoint_is_told_and_the_next_one_before_stands_in_for_a_bad_last(
    suite_folder: Path, tmp_path: Path
) -> None:
    seed = tmp_path / "tiny" / "seed1"
    shutil.copytree(suite_folder / "tiny" / "seed1", seed)
    for step in (16, 1):
        (seed / f"step{step}" / "model.safetensors").write_bytes(b"cut off")
    _, readings = read_all(tmp_path, "L1.mlp_out")
    assert list(readings) == [16, 4, 0, 1]
    assert all("tiny/seed1" in readings[step].reason and readings[step].cosines is None for step in (16, 1))
    assert [readings[step].against for step in (4, 0)] == [4, 4]
    assert readings[4].cka == pytest.approx(1.0)


def test_a_probe_stops_before_the_next_checkpoint(suite_folder: Path) -> None:
    probe = LiveProbe.prepare(open_suite(suite_folder), TEXT, "L0.mlp_out")
    readings = probe.readings()
    next(readings)
    probe.stop()
    assert list(readings) == []


def test_a_long_text_is_cut_with_a_notice_and_a_short_one_has_no_cka(suite_folder: Path) -> None:
    probe, readings = read_all(suite_folder, "L0.mlp_out", TEXT * 30, steps="last")
    assert probe.notices[0].endswith("the first 64 are read, the context of tiny.")
    assert readings[16].activations is not None
    assert len(readings[16].activations) == 64
    _, one = read_all(suite_folder, "L0.mlp_out", "A", steps="0,last")
    assert math.isnan(one[0].cka)
    assert math.isnan(one[0].effective_rank)
    assert one[0].cosines is not None
    assert bool(one[0].cosines.isfinite().all())


@pytest.mark.parametrize(
    ("site", "head", "text", "message"),
    [
        ("L9.mlp_out", None, TEXT, "no layer 9 .* The nearest is 1"),
        ("L1.mlp_uot", None, TEXT, "Did you mean L1.mlp_out"),
        ("L1.mixer_out", None, TEXT, "There is no mixer_out in this gpt_neox model"),
        ("L1.z", 5, TEXT, "L1.z of tiny has no head 5. The nearest is 1"),
        ("L1.mlp_out", 0, TEXT, "L1.mlp_out has no heads"),
        ("L1.mlp_out", None, "", "There is no text to read"),
    ],
)
def test_what_cannot_be_probed_is_said_before_anything_is_loaded(
    suite_folder: Path, site: str, head: int | None, text: str, message: str
) -> None:
    suite = open_suite(suite_folder).select(sizes=["tiny"])
    with pytest.raises(PhasescopeError, match=message):
        LiveProbe.prepare(suite, text, site, head)


def test_masked_models_read_what_is_put_around_a_text(tmp_path: Path) -> None:
    folder = make_architecture("BERT", tmp_path)
    suite = open_suite(folder).select(steps="last")
    probe = LiveProbe.prepare(suite.select(seeds=[suite.seeds()[0]]), TEXT, "L0.mlp_out")
    (text,) = probe.texts.values()
    assert (text.first, len(text.read)) == (1, len(text.tokens) + 2)
    (reading,) = probe.readings()
    assert reading.activations is not None
    assert len(reading.activations) == len(text.pieces)


def test_checkpoints_on_the_hub_are_fetched_in_the_order_of_reading(
    suite_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = suite_folder / "tiny" / "seed1"
    branches = {"main": folder / "step16", **{f"step{step}": folder / f"step{step}" for step in (0, 1, 4, 16)}}
    with serving({"toy/tiny": Repository(branches)}, tmp_path / "cache", monkeypatch):
        probe = LiveProbe.prepare(open_suite("toy/tiny"), TEXT, "L1.mlp_out")
        readings = list(probe.readings())
    assert [reading.key.step for reading in readings] == [16, 0, 4, 1]
    assert not any(reading.reason for reading in readings)


def test_coarse_to_fine_visits_every_step_once_and_halves_the_widest_gap() -> None:
    steps = [0, *(2**power for power in range(18))]
    order = coarse_to_fine(steps)
    assert sorted(order) == steps
    assert order[:3] == [2**17, 0, 2**8]
    assert coarse_to_fine([7]) == [7]
    assert coarse_to_fine([]) == []


def test_a_runs_suite_is_opened_again(captured: Path, suite_folder: Path, tmp_path: Path) -> None:
    import phasescope as ps

    manifest = ps.open_run(captured).manifest
    assert len(suite_of(manifest)) == 16
    assert len(suite_of({**manifest, "checkpoints": manifest["checkpoints"][:3]})) == 3
    with pytest.raises(PhasescopeError, match="name its new place with --suite"):
        suite_of({**manifest, "source": str(tmp_path / "gone")})
    with pytest.raises(PhasescopeError, match="recorded while its models trained"):
        suite_of({**manifest, "source": "training"})
    assert len(suite_of({**manifest, "source": "training"}, str(suite_folder))) == 16
    with pytest.raises(PhasescopeError, match="No checkpoint of this run"):
        suite_of({**manifest, "checkpoints": [{"size": "other", "seed": 1, "step": 0}]})
