"""Checkpoints as trainers leave them: adapters, distributed checkpoints, ranks, named tensors in one file."""

from __future__ import annotations

import json
import pickle
import re
import shutil
import sys
import warnings
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributed import checkpoint as dcp
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.suites import Checkpoint, open_suite
from phasescope.suites.load import load_model
from phasescope.suites.tokenizer import load_tokenizer
from tests.suites.conftest import tiny_model, tiny_tokenizer
from tests.suites.hub_server import HubServer, Repository

IDS = torch.arange(12).reshape(2, 6)


def logits(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def same(checkpoint: Checkpoint, model: PreTrainedModel) -> None:
    assert torch.equal(logits(load_model(checkpoint)), logits(model))


def tiny_gpt2(**changes: Any) -> PreTrainedModel:
    torch.manual_seed(3)
    settings = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 128, "n_positions": 64, **changes}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt2", **settings))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def biased(seed: int = 0) -> PreTrainedModel:
    """A model whose biases and norms are not what they begin with, so that it matters how they are put together."""
    model = tiny_model(seed)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A suite's folder with the configuration of its models."""
    folder = tmp_path / "mine"
    tiny_model().config.save_pretrained(folder)
    return folder


# Named tensors in one file


@pytest.mark.parametrize(
    ("name", "inside", "before"),
    [
        ("step8.pt", None, ""),
        ("epoch=0-step=8.ckpt", "state_dict", "model."),
        ("ckpt_8.pt", "model", "_orig_mod."),
        ("checkpoint-8.pth", "model_state_dict", "net.module."),
    ],
)
def test_a_state_dict_in_a_file(root: Path, name: str, inside: str | None, before: str) -> None:
    state = {before + name: tensor for name, tensor in tiny_model().state_dict().items()}
    optimiser = {"optimizer": {"state": {0: torch.zeros(3)}}, "iter_num": 8}
    torch.save({inside: state, **optimiser} if inside else state, root / name)
    torch.save({"a": torch.zeros(1)}, root / "optimizer.pt")
    suite = open_suite(root)
    assert [(one.label, one.location) for one in suite] == [("mine/seed0/step8", str(root / name))]
    same(suite.checkpoints[0], tiny_model())


def test_config_and_prefix_are_given(tmp_path: Path) -> None:
    tiny_model().save_pretrained(tmp_path / "config")
    (tmp_path / "mine").mkdir()
    state = {f"student.{name}": tensor for name, tensor in tiny_model(seed=5).state_dict().items()}
    teacher = {f"teacher.{name}": tensor for name, tensor in tiny_model(seed=6).state_dict().items()}
    torch.save({**teacher}, tmp_path / "mine" / "step1.pt")
    torch.save(state, tmp_path / "mine" / "step2.pt")
    first, second = open_suite(tmp_path / "mine", config=tmp_path / "config", prefix="student.")
    same(second, tiny_model(seed=5))
    with pytest.raises(BadCheckpointError, match=r"lacks .*gpt_neox.*; it has unexpected teacher\."):
        load_model(first)
    with pytest.raises(
        BadCheckpointError, match=r"no config\.json that says of which model.* name its folder with --c"
    ):
        load_model(open_suite(tmp_path / "mine").checkpoints[0])
    with pytest.raises(PhasescopeError, match=r"mine has no config\.json: name the folder of a model's configuration"):
        open_suite(tmp_path / "mine", config=tmp_path / "mine")


def test_a_capture_of_files(saved_model: Path, tmp_path: Path) -> None:
    from phasescope import capture
    from phasescope.visits.recorded import suite_of

    (tmp_path / "mine").mkdir()
    for step in (1, 2):
        state = {f"model.{name}": tensor for name, tensor in tiny_model(seed=step).state_dict().items()}
        torch.save({"state_dict": state}, tmp_path / "mine" / f"epoch=0-step={step}.ckpt")
    (tmp_path / "texts.txt").write_text("the cat sat on the mat. " * 40)
    texts, out = tmp_path / "texts.txt", tmp_path / "run"
    run = capture(tmp_path / "mine", texts, out, config=saved_model, sequences=4, context=16)
    assert run.manifest["failed"] == []
    assert [key.step for key in run.reader.keys] == [1, 2]
    assert run.manifest["config"] == str(saved_model)
    assert [one.config for one in suite_of(run.manifest)] == [str(saved_model)] * 2


@pytest.mark.parametrize("bias", [True, False])
def test_gpt2_as_nanogpt_saves_it(tmp_path: Path, bias: bool) -> None:
    """Its layers are linear: matrices are transposed; without biases it adds none."""
    model = tiny_gpt2()
    model.config.save_pretrained(tmp_path / "nano")
    state = dict(model.state_dict())
    if not bias:
        for name in [name for name in state if name.endswith(".bias")]:
            model.get_parameter(name).data.zero_()
            del state[name]
    turned = re.compile(r"c_attn\.weight|c_proj\.weight|c_fc\.weight")
    state = {f"_orig_mod.{n}": t.T.contiguous() if turned.search(n) else t for n, t in state.items()}
    torch.save({"model": state, "model_args": {"n_layer": 2}, "iter_num": 5}, tmp_path / "nano" / "ckpt_5.pt")
    same(open_suite(tmp_path / "nano").checkpoints[0], model)


def test_a_state_dict_of_another_architecture(root: Path) -> None:
    torch.save(tiny_gpt2().state_dict(), root / "step8.pt")
    with pytest.raises(
        BadCheckpointError, match=r"step8\.pt do not fit its config\.json: .* lacks gpt_neox.* and \d+ m"
    ):
        load_model(open_suite(root).checkpoints[0])


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return eval, ("1/0",)


def test_more_than_tensors_in_a_file_is_refused(root: Path) -> None:
    torch.save({"state_dict": tiny_model().state_dict(), "hyper_parameters": Bomb()}, root / "step8.ckpt")
    (root / "step9.ckpt").write_bytes(b"no pickle")
    refused, damaged = open_suite(root)
    with pytest.raises(BadCheckpointError, match="is refused: it holds more than tensors"):
        load_model(refused)
    with pytest.raises(BadCheckpointError, match=r"step9\.ckpt is (refused|truncated)"):
        load_model(damaged)


# Distributed checkpoints


def save_distributed(folder: Path, content: Mapping[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dcp.save(dict(content), checkpoint_id=folder, no_dist=True)


@pytest.mark.parametrize("below", ["", "pytorch_model_fsdp_0", "model_and_optim"])
def test_a_distributed_checkpoint(root: Path, below: str) -> None:
    content = {"model": tiny_model().state_dict(), "optim": {"x": torch.zeros(2)}, "step": 8, "note": "anything"}
    save_distributed(root / "step-8" / below, content)
    suite = open_suite(root)
    assert suite.steps() == (8,)
    same(suite.checkpoints[0], tiny_model())


def test_a_tensor_that_several_ranks_hold_in_parts(root: Path) -> None:
    """As FSDP shards it: the rows of each matrix in the files of two ranks, put together by torch's reader."""
    model = tiny_model()
    save_distributed(root / "step8", model.state_dict())
    _split_in_two(root / "step8", "gpt_neox.embed_in.weight", model.state_dict()["gpt_neox.embed_in.weight"])
    checkpoint = open_suite(root).checkpoints[0]
    same(checkpoint, model)
    (root / "step8" / "__1_0.distcp").unlink()
    with pytest.raises(BadCheckpointError, match=r"lacks the files of 1 of 2 ranks in .*step8: __1_0\.distcp"):
        load_model(checkpoint)


def _split_in_two(folder: Path, name: str, whole: Tensor) -> None:
    """Rewrite the metadata of one tensor: its second half in the file of another rank."""
    import io

    from torch.distributed.checkpoint.filesystem import FileSystemReader, _StorageInfo
    from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex

    metadata = FileSystemReader(folder).read_metadata()
    half = whole.shape[0] // 2
    sizes = torch.Size([half, *whole.shape[1:]])
    metadata.state_dict_metadata[name].chunks = [
        ChunkStorageMetadata(torch.Size([start, 0]), sizes) for start in (0, half)
    ]
    old = next(index for index in metadata.storage_data if index.fqn == name)
    del metadata.storage_data[old]
    for rank, start in enumerate((0, half)):
        buffer = io.BytesIO()
        torch.save(whole[start : start + half].clone(), buffer)
        file = folder / f"__{rank}_0.distcp"
        before = file.read_bytes() if file.exists() else b""
        file.write_bytes(before + buffer.getvalue())
        index = MetadataIndex(name, torch.Size([start, 0]), rank)
        metadata.storage_data[index] = _StorageInfo(file.name, len(before), len(buffer.getvalue()))
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))


def test_metadata_that_would_run_code_is_refused(root: Path) -> None:
    save_distributed(root / "step8", tiny_model().state_dict())
    metadata = pickle.loads((root / "step8" / ".metadata").read_bytes())
    metadata.planner_data = Bomb()
    (root / "step8" / ".metadata").write_bytes(pickle.dumps(metadata))
    with pytest.raises(BadCheckpointError, match=r"\.metadata is refused: it holds builtins\.eval, more than"):
        load_model(open_suite(root).checkpoints[0])


@pytest.mark.parametrize(("lie", "message"), [("size", "more than its files hold"), ("path", "files in other folders")])
def test_metadata_that_lies_is_told(root: Path, lie: str, message: str) -> None:
    from torch.distributed.checkpoint.filesystem import _StorageInfo

    save_distributed(root / "step8", tiny_model().state_dict())
    metadata = pickle.loads((root / "step8" / ".metadata").read_bytes())
    name = "gpt_neox.embed_in.weight"
    if lie == "size":
        metadata.state_dict_metadata[name].size = torch.Size([10**9, 10**6])
    else:
        shutil.copy(root / "step8" / "__0_0.distcp", root / "elsewhere.distcp")
        index = next(index for index in metadata.storage_data if index.fqn == name)
        old = metadata.storage_data[index]
        metadata.storage_data[index] = _StorageInfo("../elsewhere.distcp", old.offset, old.length)
    (root / "step8" / ".metadata").write_bytes(pickle.dumps(metadata))
    with pytest.raises(BadCheckpointError, match=message):
        load_model(open_suite(root).checkpoints[0])


@pytest.mark.parametrize("damage", ["metadata", "data"])
def test_a_damaged_distributed_checkpoint(root: Path, damage: str) -> None:
    save_distributed(root / "step8", tiny_model().state_dict())
    file = root / "step8" / (".metadata" if damage == "metadata" else "__0_0.distcp")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(BadCheckpointError, match=r"step8.* is truncated or damaged"):
        load_model(open_suite(root).checkpoints[0])


# Ranks of GPT-NeoX


def parts_of(model: PreTrainedModel, ranks: int, parallel: bool = True) -> list[dict[tuple[int, str], Tensor]]:
    """The tensors of each rank by layer and name, cut as Megatron-LM cuts them."""
    found: list[dict[tuple[int, str], Tensor]] = [{} for _ in range(ranks)]
    last = model.config.num_hidden_layers + 2
    for name, tensor in model.state_dict().items():
        if name == "gpt_neox.embed_in.weight":
            key = (0, "word_embeddings.weight")
        elif name.startswith("gpt_neox.final_layer_norm."):
            key = (last + 1, "norm." + name.rpartition(".")[2])
        elif name.startswith("gpt_neox.layers."):
            layer, rest = name.removeprefix("gpt_neox.layers.").split(".", 1)
            key = (int(layer) + 2, rest)
        else:
            key = (last + 2, "final_linear.weight")
        own = key[1]
        if re.search(r"query_key_value|dense_h_to_4h|word_emb|final_linear", own):
            cut = list(tensor.chunk(ranks, 0))
        elif re.search(r"(attention\.dense|4h_to_h)\.weight", own):
            cut = list(tensor.chunk(ranks, 1))
        elif re.search(r"(attention\.dense|4h_to_h)\.bias", own) and parallel:
            first = torch.randn_like(tensor)
            cut = [first, tensor - first] if ranks == 2 else [tensor]
        else:
            cut = [tensor] * ranks
        for rank in range(ranks):
            found[rank][key] = cut[rank].clone()
    return found


def save_ranks(folder: Path, model: PreTrainedModel, ranks: int, pipeline: bool) -> None:
    folder.mkdir()
    for rank, tensors in enumerate(parts_of(model, ranks)):
        layers: dict[int, dict[str, Tensor]] = {}
        for (layer, name), tensor in tensors.items():
            layers.setdefault(layer, OrderedDict())[name] = tensor
        if pipeline:
            for layer, content in layers.items():
                torch.save(content, folder / f"layer_{layer:02d}-model_{rank:02d}-model_states.pt")
        whole = {f"sequential.{layer}.{n}": t for layer, content in layers.items() for n, t in content.items()}
        content = {"module": None if pipeline else whole, "mp_world_size": ranks}
        torch.save(content, folder / f"mp_rank_{rank:02d}_model_states.pt")
    (folder / "zero_pp_rank_0_mp_rank_00_optim_states.pt").write_bytes(b"")


@pytest.mark.parametrize("pipeline", [True, False])
@pytest.mark.parametrize("ranks", [1, 2])
def test_ranks_are_put_together(root: Path, ranks: int, pipeline: bool) -> None:
    model = biased()
    save_ranks(root / "global_step8", model, ranks, pipeline)
    checkpoint = open_suite(root).checkpoints[0]
    assert checkpoint.label == "mine/seed0/step8"
    torch.testing.assert_close(logits(load_model(checkpoint)), logits(model), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("gone", ["layer_02-model_01", "layer_*-model_01", "layer_*-model_00"])
def test_a_missing_rank_is_named(root: Path, gone: str) -> None:
    save_ranks(root / "global_step8", biased(), 2, pipeline=True)
    for file in (root / "global_step8").glob(f"{gone}*"):
        file.unlink()
    rank = gone[-1]
    with pytest.raises(BadCheckpointError, match=rf"lacks files of model-parallel rank {rank} of 2 in .*global_step8"):
        load_model(open_suite(root).checkpoints[0])


# Adapters


@pytest.fixture
def adapted(tmp_path: Path) -> tuple[Path, PreTrainedModel]:
    """A suite of one adapter as the Trainer leaves it, and the model that it makes of its base."""
    peft = pytest.importorskip("peft")
    base = tmp_path / "base"
    tiny_model().save_pretrained(base)
    tiny_tokenizer().save_pretrained(base)
    settings = peft.LoraConfig(r=2, target_modules=["query_key_value"], init_lora_weights=False)
    torch.manual_seed(11)
    model = peft.get_peft_model(AutoModelForCausalLM.from_pretrained(base), settings)
    model.save_pretrained(tmp_path / "tuned" / "checkpoint-8")
    torch.save({"state": {}}, tmp_path / "tuned" / "checkpoint-8" / "optimizer.pt")
    return tmp_path / "tuned", model.merge_and_unload()


def test_an_adapter_is_merged_into_its_base(adapted: tuple[Path, PreTrainedModel]) -> None:
    root, whole = adapted
    suite = open_suite(root)
    assert [one.label for one in suite] == ["tuned/seed0/step8"]
    same(suite.checkpoints[0], whole)
    assert not torch.equal(logits(whole), logits(tiny_model()))
    assert load_tokenizer(suite.checkpoints[0]).get_vocab() == tiny_tokenizer().get_vocab()


def test_an_adapter_of_another_model(adapted: tuple[Path, PreTrainedModel], tmp_path: Path) -> None:
    root, _ = adapted
    checkpoint = open_suite(root).checkpoints[0]
    for model, message in (
        (tiny_model(hidden_size=64), r"does not fit the model that it names, .*base: .*size mismatch"),
        (tiny_gpt2(), r"does not fit the model that it names, .*: Target modules .* not found"),
        (tiny_model(num_hidden_layers=3), r"does not fit the model that it names, .*: it lacks .*layers\.2\."),
        (tiny_model(num_hidden_layers=1), r"does not fit the model that it names, .*: it has unexpected .*layers\.1\."),
    ):
        shutil.rmtree(tmp_path / "base")
        model.save_pretrained(tmp_path / "base")
        with pytest.raises(BadCheckpointError, match=message):
            load_model(checkpoint)
    shutil.rmtree(tmp_path / "base")
    with pytest.raises(BadCheckpointError, match=r"The model that .* adapts, .*base, is no folder here"):
        load_model(checkpoint)
    config = root / "checkpoint-8" / "adapter_config.json"
    config.write_text(json.dumps({"peft_type": "LORA"}))
    with pytest.raises(BadCheckpointError, match="does not say which model it adapts"):
        load_model(checkpoint)


def test_an_adapter_and_its_base_on_the_hub(hub: HubServer, adapted: tuple[Path, PreTrainedModel]) -> None:
    from phasescope.suites.load import commit_of, prepare

    root, whole = adapted
    folder = root / "checkpoint-8"
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "tiny/neox-14m"}))
    title = "Training in progress, step 8"
    hub.repositories["me/tuned"] = Repository({"main": folder}, titles={title: folder})
    (checkpoint,) = open_suite("me/tuned@commits:")
    prepare(checkpoint)
    asked = len(hub.requests)
    same(checkpoint, whole)
    assert not [line for line in hub.requests[asked:] if "resolve" in line]  # all was fetched
    assert commit_of(checkpoint) == hub.repositories["me/tuned"].commits[title]
    assert load_tokenizer(checkpoint).get_vocab() == tiny_tokenizer().get_vocab()


def test_an_adapter_without_peft_says_what_to_install(
    saved_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    folder = tmp_path / "tuned" / "checkpoint-8"
    folder.mkdir(parents=True)
    config = {"base_model_name_or_path": str(saved_model), "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(PhasescopeError, match=r"is an adapter, which needs PEFT: pip install 'phasescope\[peft\]'"):
        load_model(open_suite(tmp_path / "tuned").checkpoints[0])
