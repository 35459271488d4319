"""Hybrids, whose layers differ: sites exist where they are, and everything that is made of a run knows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.hooks import Site, get_architecture, get_engine
from phasescope.probes.activations import _keeps_zeros, to_storage
from phasescope.store import ShardKey
from tests.conftest import make_tokenizer
from tests.hooks import zoo

ROWS = 320
OPTIONS: dict[str, Any] = {"sequences": 6, "context": 12, "output_sequences": 2}
KINDS = ["conv", "full_attention", "conv"]


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds at three steps of a hybrid of three layers."""
    root = tmp_path_factory.mktemp("hybrid") / "toy"
    for seed in (1, 2):
        for step in (1, 2, 4):
            model = zoo.make("LFM2", vocab_size=ROWS, num_hidden_layers=3, layer_types=KINDS)
            with torch.no_grad():
                generator = torch.Generator().manual_seed(seed)
                for parameter in model.parameters():
                    parameter.add_(torch.randn(parameter.shape, generator=generator) / (4 * step))
            folder = root / "tiny" / f"seed{seed}" / f"step{step}"
            model.save_pretrained(folder)
            make_tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    return root


def test_sites_are_recorded_where_they_are_and_analysed_beside_each_other(
    suite: Path, texts_file: Path, tmp_path: Path
) -> None:
    run = ps.capture(suite, texts=texts_file, out=tmp_path / "run", **OPTIONS)
    assert not run.manifest["failed"]
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        names = set(shard.names())
    for layer, kind in enumerate(KINDS):
        assert (f"activations/blocks.{layer}.mixer.hook_out" in names) == (kind == "conv")
        assert (f"activations/blocks.{layer}.hook_attn_out" in names) == (kind != "conv")
        assert f"activations/blocks.{layer}.hook_mlp_out" in names
        assert (f"spectra/blocks.{layer}.attn.OV" in names) == (kind != "conv")
    tables = run.analyse()
    table = tables["convergence"]
    layers = {component: set(rows["layer"]) for component, rows in table.groupby("component")}
    assert layers == {"mixer_out": {0, 2}, "attn_out": {1}, "ov_out": {1}, "mlp_out": {0, 1, 2}}
    run.report(tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "mixer_out" in page
    assert "attn_out" in page
    assert run.layer(2, "mixer_out", size="tiny").convergence()["cka"].notna().any()


@pytest.mark.parametrize("engine", ["torch", "nnsight"])
def test_modules_that_some_layers_have_are_read_there(suite: Path, engine: str) -> None:
    model = zoo.make("LFM2", num_hidden_layers=3, layer_types=KINDS)
    tokens, positions = zoo.batch()
    tapped = get_engine(engine).open(model, ["model.layers.{layer:0,2}.conv=attn_out"])
    sites = tapped.architecture.select(["attn_out"], 3)
    assert sites == [Site(layer, "attn_out") for layer in range(3)]
    read = tapped.read(tokens, positions, sites).activations
    wanted = [Site(0, "mixer_out"), Site(1, "attn_out"), Site(2, "mixer_out")]
    known = get_engine("torch").open(model).read(tokens, positions, wanted).activations
    for site, own in zip(sites, wanted, strict=True):
        torch.testing.assert_close(read[site], known[own], rtol=1e-5, atol=1e-6)


def test_layers_of_an_unknown_model_may_differ_too(monkeypatch: pytest.MonkeyPatch) -> None:
    model = zoo.make("LFM2", num_hidden_layers=3, layer_types=KINDS)
    monkeypatch.setattr("phasescope.hooks.registered.ARCHITECTURES", ())
    tapped = get_engine("torch").open(model, ["model.layers.{layer}.conv=mixer_out"])
    assert tapped.architecture.select(["mixer_out"], 3) == [Site(0, "mixer_out"), Site(2, "mixer_out")]
    assert len(tapped.read(*zoo.batch(), [Site(2, "mixer_out")]).activations) == 1
    with pytest.raises(PhasescopeError, match=r"There is no L1\.mixer_out .* mixer_out is in layer 0, 2"):
        tapped.read(*zoo.batch(), [Site(1, "mixer_out")])
    with pytest.raises(PhasescopeError, match=r"There is no layer 7 .* model of 3 layers"):
        get_architecture(model.config, ["model.layers.{layer:7}.conv=mixer_out"], model)
    with pytest.raises(PhasescopeError, match="Layer 1 has no module conv"):
        get_architecture(model.config, ["model.layers.{layer:1}.conv=mixer_out"], model)


def test_a_site_that_its_layer_lacks_is_said() -> None:
    model = zoo.make("Bamba")
    with pytest.raises(PhasescopeError, match=r"no L0\.attn_out in this bamba model, whose layers differ: .* layer 1"):
        get_engine("torch").open(model).read(*zoo.batch(), [Site(0, "attn_out")])


def test_kinds_that_do_not_add_up_are_said() -> None:
    config = zoo.make("LFM2").config
    config.layer_types = ["conv"]
    with pytest.raises(PhasescopeError, match="has 2 layers, and layer_types names the kinds of 1"):
        get_architecture(config)
    config.layer_types = ["conv", "chunked_attention"]
    with pytest.raises(PhasescopeError, match="layers of the kind chunked_attention, and phasescope knows"):
        get_architecture(config)


@pytest.fixture(scope="module")
def some_experts(texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    """Of a model whose first layer is dense, and whose second has experts."""
    root = tmp_path_factory.mktemp("some") / "toy"
    for step in (1, 4):
        folder = root / "tiny" / "seed1" / f"step{step}"
        model = zoo.make("Qwen3, experts and dense", vocab_size=ROWS)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(step)) / step)
        model.save_pretrained(folder)
        make_tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    sites = ("router", "routed", "mlp_post", "expert_out", "mlp_out")
    run = ps.capture(root, texts=texts_file, out=root.parent / "run", sites=sites, **OPTIONS)
    assert not run.manifest["failed"]
    return run


def test_experts_are_recorded_beside_dense_layers(some_experts: ps.Run) -> None:
    run = some_experts
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        assert shard.read("activations/blocks.1.mlp.hook_router_probs").shape == (6, 5)
        assert "activations/blocks.0.mlp.hook_router_probs" not in shard.names()
        assert shard.read("spectra/blocks.1.mlp.experts.W_out").shape == (5, 20)
        assert shard.attrs_of("spectra/blocks.1.mlp.experts.W_out")["component"] == "experts.W_out"
        assert shard.read("spectra/blocks.0.mlp.W_out").shape == (32,)
    tables = run.analyse("convergence", "rank")
    assert set(tables["convergence"].query("component == 'router'")["layer"]) == {1}
    assert set(tables["rank"].query("component == 'experts.W_in'")["head"]) == set(range(5))


def test_what_chosen_experts_write_is_kept_and_not_compared(some_experts: ps.Run) -> None:
    run = some_experts
    name = "activations/blocks.1.mlp.hook_expert_out"
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        assert shard.attrs_of(name)["axes"] == "samples chosen d_model"
        assert shard.attrs_of("activations/blocks.1.mlp.hook_post")["axes"] == "samples chosen d_mlp"
        assert shard.attrs_of("activations/blocks.0.mlp.hook_post")["axes"] == "samples d_mlp"
        routed = shard.read("activations/blocks.1.mlp.hook_router_weights")
    layer = run.layer(1, "expert_out")
    written = layer.activations(1, 4)
    assert written.shape == (6, 2, 32)
    weights = torch.from_numpy(routed[routed != 0]).view(6, 2, 1)
    mlp_out = run.layer(1, "mlp_out").activations(1, 4)
    torch.testing.assert_close((weights * written).sum(1), mlp_out, rtol=1e-4, atol=1e-4)
    tables = run.analyse("convergence", "rank", "geometry")
    for table in tables.values():
        if "component" in table:
            assert "expert_out" not in set(table["component"])
            assert set(table.loc[table["component"] == "mlp_post", "layer"]) <= {0}
    assert {"expert_out", "mlp_post"} <= set(run.components)
    with pytest.raises(PhasescopeError, match=r"hook_expert_out is of the experts chosen, .* nothing compares it"):
        layer.convergence()
    with pytest.raises(PhasescopeError, match="expert_out has no heads"):
        layer.activations(1, 4, heads=True)
    with pytest.raises(PhasescopeError, match="expert_out is of the experts chosen"):
        run.map(len, sites="expert_out")
    assert run.layer(0, "mlp_post").convergence()["cka"].notna().any()


def test_the_number_of_an_expert_is_not_lost_in_half_precision() -> None:
    """The weight of an expert that was chosen may be too small for float16."""
    weights = torch.tensor([[1.0, 1e-9, 0.0], [0.5, 0.5, 0.0]])
    assert not _keeps_zeros(to_storage(weights, "float16", "routed"), weights)
    assert _keeps_zeros(to_storage(weights[1:], "float16", "routed"), weights[1:])


def test_gradients_of_experts_and_of_latent_attention(texts_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "toy" / "tiny" / "seed1" / "step4"
    zoo.make("DeepSeek V2", vocab_size=ROWS).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    run = ps.capture(
        tmp_path / "toy", texts=texts_file, out=tmp_path / "run", gradients="inputs", gradient_batches=2, **OPTIONS
    )
    assert not run.manifest["failed"]
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        names = set(shard.names())
        assert shard.read("spectra/blocks.1.attn.OV").shape == (4, 6)
    assert any(name.startswith("gradients/") and name.endswith("blocks.1.mlp.experts.W_out") for name in names)
    assert any(name.startswith("gradients/") and name.endswith("blocks.1.attn.W_KV_up") for name in names)
    assert not any(name.startswith("gradients/") and name.endswith("blocks.1.attn.W_Q") for name in names)
