from __future__ import annotations

import shutil
import socket
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, BertForPreTraining

from phasescope.errors import BadCheckpointError, PhasescopeError, PhasescopeWarning
from phasescope.suites import Checkpoint
from phasescope.suites.device import resolve_device
from phasescope.suites.load import commit_of, load_config, load_model, open_model
from phasescope.suites.tokenizer import load_tokenizer
from tests.suites.conftest import VOCABULARY, tiny_model, tiny_tokenizer

BIAS = "gpt_neox.layers.1.mlp.dense_h_to_4h.bias"


@pytest.fixture
def checkpoint(checkpoint_folder: Path) -> Checkpoint:
    return Checkpoint("toy", "14m", 1, 8, str(checkpoint_folder))


@pytest.fixture
def change_weights(checkpoint_folder: Path) -> Callable[[Callable[[dict[str, torch.Tensor]], object]], None]:
    """Change the tensors in the checkpoint's file."""

    def change(edit: Callable[[dict[str, torch.Tensor]], object]) -> None:
        file = checkpoint_folder / "model.safetensors"
        tensors = {name: tensor.clone() for name, tensor in load_file(file).items()}
        edit(tensors)
        save_file(tensors, file, metadata={"format": "pt"})

    return change


def test_the_model_is_the_one_that_was_saved(checkpoint: Checkpoint) -> None:
    model = load_model(checkpoint)
    assert not model.training
    assert (model.dtype, model.device.type) == (torch.float32, "cpu")
    saved = tiny_model().state_dict()
    loaded = model.state_dict()
    assert loaded.keys() == saved.keys()
    assert all(torch.equal(loaded[name], saved[name]) for name in saved)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        assert torch.equal(model(tokens).logits, tiny_model().eval()(tokens).logits)


def test_loading_leaves_the_random_numbers_alone(checkpoint: Checkpoint) -> None:
    before = torch.get_rng_state()
    load_model(checkpoint)
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_is_asked_of_a_network(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_model(checkpoint)
    load_tokenizer(checkpoint)
    load_config(checkpoint)
    assert commit_of(checkpoint) is None


def test_nothing_is_printed_and_settings_are_put_back(
    checkpoint: Checkpoint, change_weights: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    load_model(checkpoint)
    change_weights(lambda tensors: tensors.pop(BIAS))
    with pytest.raises(BadCheckpointError):
        load_model(checkpoint)
    assert capfd.readouterr() == ("", "")
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


@pytest.mark.parametrize(("asked", "got"), [(None, torch.bfloat16), ("float32", torch.float32)])
def test_the_dtype_is_the_checkpoints_unless_asked(tmp_path: Path, asked: str | None, got: torch.dtype) -> None:
    tiny_model().to(torch.bfloat16).save_pretrained(tmp_path)
    model = load_model(Checkpoint("toy", "14m", 0, 8, str(tmp_path)), dtype=asked)
    assert {parameter.dtype for parameter in model.parameters()} == {got}


def test_a_checkpoint_that_tells_no_dtype_has_that_of_its_weights(
    checkpoint: Checkpoint, change_config: Callable[..., None], change_weights: Callable[..., None]
) -> None:
    change_config(dtype=None)
    assert load_model(checkpoint).dtype == torch.float32
    change_weights(lambda tensors: tensors.update({name: tensor.half() for name, tensor in tensors.items()}))
    assert load_model(checkpoint).dtype == torch.float16


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors.pop(BIAS), rf"the file lacks {BIAS}\."),
        (lambda tensors: tensors.pop("embed_out.weight"), r"the file lacks lm_head\.weight\."),
        (lambda tensors: tensors.update(extra=torch.zeros(2)), r"the file has unexpected extra\."),
        (
            lambda tensors: tensors.update({BIAS: torch.zeros(65)}),
            rf"has mis-shaped {BIAS} \(is \(65,\), should be \(64,\)\)",
        ),
        (
            lambda tensors: (tensors.pop(BIAS), tensors.update(extra=torch.zeros(2))),
            rf"the file lacks {BIAS}; it has unexpected extra\.",
        ),
        (lambda tensors: tensors[BIAS].__setitem__(3, torch.nan), f"has NaN or infinity in {BIAS}"),
        (lambda tensors: tensors[BIAS].__setitem__(3, -torch.inf), f"has NaN or infinity in {BIAS}"),
        # Infinities of both signs: their sum is NaN.
        (lambda tensors: tensors[BIAS][:2].copy_(torch.tensor([torch.inf, -torch.inf])), f"infinity in {BIAS}"),
        (
            lambda tensors: [tensor.fill_(torch.nan) for tensor in tensors.values()],
            r"NaN or infinity in .* and 24 more",
        ),
    ],
)
def test_weights_that_do_not_fit_are_named(
    checkpoint: Checkpoint, change_weights: Callable[..., None], edit: Callable[..., Any], message: str
) -> None:
    change_weights(edit)
    with pytest.raises(BadCheckpointError, match=message) as caught:
        load_model(checkpoint)
    assert checkpoint.label in str(caught.value)
    assert checkpoint.location in str(caught.value)


def test_large_values_whose_sum_overflows_are_no_infinity(
    checkpoint: Checkpoint, change_weights: Callable[..., None]
) -> None:
    change_weights(lambda tensors: tensors[BIAS].fill_(1e38))
    assert load_model(checkpoint).state_dict()[BIAS].sum() == torch.inf


def test_buffers_that_old_checkpoints_kept_are_ignored(
    checkpoint: Checkpoint, change_weights: Callable[..., None]
) -> None:
    attention = "gpt_neox.layers.0.attention."
    old = {
        attention + "bias": torch.ones(1, 1, 64, 64, dtype=torch.bool),
        attention + "masked_bias": torch.tensor(-1e9),
        attention + "rotary_emb.inv_freq": torch.ones(1),
    }
    change_weights(lambda tensors: tensors.update(old))
    assert load_model(checkpoint).config.num_hidden_layers == 2


def test_a_config_that_disagrees_with_the_weights(checkpoint: Checkpoint, change_config: Callable[..., None]) -> None:
    change_config(num_hidden_layers=3)
    with pytest.raises(BadCheckpointError, match=r"the file lacks gpt_neox\.layers\.2\.\S+, .* and 8 more"):
        load_model(checkpoint)
    change_config(num_hidden_layers=1)
    with pytest.raises(BadCheckpointError, match=r"has unexpected gpt_neox\.layers\.1\."):
        load_model(checkpoint)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"model_type":', "not a valid JSON file"),
        ("{}", "Unrecognized model"),
        ('{"model_type": "zorg"}', "model type `zorg` but Transformers does not recognize"),
        ('{"model_type": "gpt_neox", "hidden_size": "wide"}', "hidden_size"),
        ('{"model_type": "vit"}', "Unrecognized configuration class"),
    ],
)
def test_a_config_that_cannot_be_used(checkpoint: Checkpoint, content: str, reason: str) -> None:
    Path(checkpoint.location, "config.json").write_text(content)
    with pytest.raises(BadCheckpointError, match=rf"14m/seed1/step8 in .* cannot be loaded: .*{reason}"):
        load_model(checkpoint)


def test_remote_code_does_not_run_unless_asked(checkpoint: Checkpoint, change_config: Callable[..., None]) -> None:
    mark = Path(checkpoint.location, "ran")
    Path(checkpoint.location, "remote.py").write_text(f"open({str(mark)!r}, 'w')\nclass Config: ...\n")
    change_config(model_type="remote", auto_map={"AutoConfig": "remote.Config", "AutoModelForCausalLM": "remote.Model"})
    for load in (load_config, load_model):
        with pytest.raises(BadCheckpointError, match="trust_remote_code"):
            load(checkpoint)
    assert not mark.exists()


def test_files_that_are_missing_are_named(checkpoint: Checkpoint) -> None:
    Path(checkpoint.location, "model.safetensors").unlink()
    with pytest.raises(
        BadCheckpointError,
        match=r"14m/seed1/step8 has no weights that can be read in .*step8: neither model\.safetensors",
    ):
        load_model(checkpoint)
    Path(checkpoint.location, "config.json").unlink()
    for load in (load_model, load_config):
        with pytest.raises(BadCheckpointError, match=r"14m/seed1/step8 has no config\.json in "):
            load(checkpoint)
    shutil.rmtree(checkpoint.location)
    with pytest.raises(BadCheckpointError, match=r"The folder of 14m/seed1/step8, .*, is gone"):
        load_model(checkpoint)


def test_the_config_is_the_saved_one(checkpoint: Checkpoint) -> None:
    assert (load_config(checkpoint).hidden_size, load_config(checkpoint).vocab_size) == (32, VOCABULARY)


def test_the_tokenizer_tells_where_tokens_are(checkpoint: Checkpoint) -> None:
    encoded = load_tokenizer(checkpoint)("Ah!", return_offsets_mapping=True)
    assert encoded["offset_mapping"] == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize("above", [1, 2, 3])
def test_the_tokenizer_may_lie_in_a_folder_above(checkpoint: Checkpoint, above: int) -> None:
    for file in Path(checkpoint.location).glob("tokenizer*"):
        file.unlink()
    with pytest.raises(BadCheckpointError, match=r"has no tokenizer: put a tokenizer\.json into .* or a folder above"):
        load_tokenizer(checkpoint)
    tiny_tokenizer().save_pretrained(Path(checkpoint.location).parents[above - 1])
    assert load_tokenizer(checkpoint).get_vocab() == tiny_tokenizer().get_vocab()


def test_a_bare_tokenizer_file_is_enough(checkpoint: Checkpoint, change_config: Callable[..., None]) -> None:
    Path(checkpoint.location, "tokenizer_config.json").unlink()
    assert load_tokenizer(checkpoint).get_vocab() == tiny_tokenizer().get_vocab()
    assert load_tokenizer(checkpoint).eos_token == "<|endoftext|>"
    # An end of text that the tokenizer does not mark as special is a default of the configuration, not a fact.
    change_config(eos_token_id=2)
    assert load_tokenizer(checkpoint).eos_token is None
    above = Path(checkpoint.location).parent
    Path(checkpoint.location, "tokenizer.json").rename(above / "tokenizer.json")
    assert load_tokenizer(checkpoint).get_vocab() == tiny_tokenizer().get_vocab()


def test_a_slow_tokenizer_is_refused(checkpoint: Checkpoint) -> None:
    folder = Path(checkpoint.location)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "CTRLTokenizer"}')
    (folder / "vocab.json").write_text('{"<unk>": 0, "a": 1}')
    (folder / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(BadCheckpointError, match=r"tokenizer of 14m/seed1/step8 in .* is a slow one.*save a fast one"):
        load_tokenizer(checkpoint)


def test_a_damaged_tokenizer_is_named(checkpoint: Checkpoint) -> None:
    Path(checkpoint.location, "tokenizer.json").write_text("{")
    with pytest.raises(BadCheckpointError, match=r"14m/seed1/step8 in .* cannot be loaded"):
        load_tokenizer(checkpoint)


def test_a_model_is_opened_with_its_unembedding_tied_or_not(checkpoint: Checkpoint, tmp_path: Path) -> None:
    opened = open_model(checkpoint).get_output_embeddings().weight
    assert torch.equal(opened, load_model(checkpoint).get_output_embeddings().weight)
    tied = tiny_model(tie_word_embeddings=True)
    tied.save_pretrained(tmp_path / "tied")
    assert "embed_out.weight" not in load_file(tmp_path / "tied" / "model.safetensors")
    opened = open_model(Checkpoint("toy", "14m", 0, 8, str(tmp_path / "tied"))).get_output_embeddings().weight
    assert torch.equal(opened, tied.get_input_embeddings().weight)


@pytest.mark.parametrize("pickled", [False, True])
def test_a_masked_model_saved_with_another_head_is_opened(tmp_path: Path, pickled: bool) -> None:
    """As MultiBERTs' checkpoints are: BertForPreTraining, which predicts the next sentence too."""
    config = AutoConfig.for_model(
        "bert", hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, vocab_size=61
    )
    saved = BertForPreTraining(config)
    saved.save_pretrained(tmp_path)
    checkpoint = Checkpoint("multiberts", "base", 0, 20, str(tmp_path))
    if pickled:
        torch.save(saved.state_dict(), tmp_path / "pytorch_model.bin")
        (tmp_path / "model.safetensors").unlink()
    opened = load_model(checkpoint)
    assert type(opened).__name__ == "BertForMaskedLM"
    assert torch.equal(opened.cls.predictions.bias, saved.cls.predictions.bias)
    torch.save({**saved.state_dict(), "surplus": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    (tmp_path / "model.safetensors").unlink(missing_ok=True)
    with pytest.raises(BadCheckpointError, match=r"has unexpected surplus\."):
        load_model(checkpoint)


def test_devices(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_device("cpu") == resolve_device(torch.device("cpu")) == "cpu"
    assert resolve_device() in ("cpu", "mps", "cuda")
    assert load_model(checkpoint, device="auto").device.type == resolve_device()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto") == "cuda"
    assert resolve_device("cuda:1") == "cuda:1"
    with pytest.raises(PhasescopeError, match=r"There is no device 'cuda:2' here\. Did you mean cuda:"):
        resolve_device("cuda:2")
    with pytest.raises(PhasescopeError, match=r"There is no device 'gpu' here\. .*There are: auto, cuda"):
        resolve_device("gpu")


def test_two_embeddings_of_a_model_that_ties_them_are_told(tmp_path: Path) -> None:
    """transformers keeps both, and says so where nobody reads it."""
    folder = tmp_path / "step8"
    made = tiny_model(tie_word_embeddings=False)
    made.save_pretrained(folder)
    checkpoint = Checkpoint("toy", "14m", 0, 8, str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_model(checkpoint)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"tie_word_embeddings": false', '"tie_word_embeddings": true'))
    with pytest.warns(PhasescopeWarning, match=r"toy 14m says tie_word_embeddings, and its files hold an unembedding"):
        model = open_model(checkpoint)
    assert torch.equal(model.get_output_embeddings().weight, made.get_output_embeddings().weight)
    tied = tmp_path / "tied"
    tiny_model(tie_word_embeddings=True).save_pretrained(tied)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_model(Checkpoint("toy", "14m", 0, 8, str(tied)))


def test_a_missing_unembedding_names_the_setting_that_ties_it(tmp_path: Path) -> None:
    folder = tmp_path / "step8"
    tiny_model(tie_word_embeddings=True).save_pretrained(folder)
    config = folder / "config.json"
    config.write_text(config.read_text().replace('"tie_word_embeddings": true', '"tie_word_embeddings": false'))
    with pytest.raises(BadCheckpointError, match=r"lacks .*set tie_word_embeddings to true in config.json"):
        open_model(Checkpoint("toy", "14m", 0, 8, str(folder)))


def test_a_family_that_transformers_has_dropped_is_named_with_its_last_version(
    checkpoint: Checkpoint, change_config: Callable[..., None]
) -> None:
    change_config(model_type="transfo-xl")
    for load in (load_config, load_model):
        with pytest.raises(BadCheckpointError, match=r"transfo-xl model, .* no longer has: 4\.57 was the last"):
            load(checkpoint)


def test_experts_of_unequal_shapes_are_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tests.hooks import zoo

    zoo.make("OLMoE").save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    name = "model.layers.0.mlp.experts.1.down_proj.weight"
    tensors[name] = tensors[name][:, :-1].contiguous()
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadCheckpointError, match="experts of one layer have unequal shapes"):
        load_model(Checkpoint("toy", "tiny", 1, 0, str(tmp_path)))
