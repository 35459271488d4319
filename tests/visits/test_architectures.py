"""Whole captures of every architecture: surprisal, entropy and KL are those of the model's own logits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.hooks import get_architecture
from phasescope.store import ShardKey
from phasescope.suites import Checkpoint
from phasescope.suites.load import load_model
from tests.conftest import make_tokenizer
from tests.hooks import zoo

# The promise; float32 gives 1e-6 or so.
PROMISED = 1e-5
ROWS = 320


def suite_of(name: str, root: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Two seeds at one step, with a tokenizer that has special tokens and fewer entries than the models have rows."""
    tokenizer = make_tokenizer()
    assert isinstance(tokenizer, PreTrainedTokenizerFast)
    tokenizer.add_special_tokens({"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"})
    for seed in (1, 2):
        model = zoo.make(name, dtype, vocab_size=ROWS)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + 0.1 * seed)
        folder = root / "tiny" / f"seed{seed}" / "step4"
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return root


def own_log_probs(root: Path, seed: int, tokens: np.ndarray, vocabulary: int, tokenizer: Tokenizer) -> torch.Tensor:
    """log p of every entry for each token but the first, of the model's own logits: [sequences, context-1, vocab]."""
    model = load_model(Checkpoint("toy", "tiny", seed, 4, str(root / "tiny" / f"seed{seed}" / "step4")))
    architecture, ids = get_architecture(model.config), torch.from_numpy(tokens).long()
    with torch.no_grad(), architecture.while_read(model):
        if not architecture.masked:
            return model(ids, use_cache=False).logits[:, :-1, :vocabulary].log_softmax(-1)
        first, last, mask = (tokenizer.token_to_id(f"[{name}]") for name in ("CLS", "SEP", "MASK"))
        rows = []
        for sequence in ids.tolist():
            for place in range(1, len(sequence)):
                masked = [first, *sequence[:place], mask, *sequence[place + 1 :], last]
                rows.append(model(torch.tensor([masked])).logits[0, place + 1, :vocabulary].log_softmax(-1))
        return torch.stack(rows).unflatten(0, (len(tokens), -1))


@pytest.mark.parametrize("name", zoo.SAVED)
def test_outputs_are_those_of_the_models_own_logits(name: str, texts_file: Path, tmp_path: Path) -> None:
    root = suite_of(name, tmp_path / "toy")
    run = ps.capture(root, texts=texts_file, out=tmp_path / "run", sequences=6, context=12, output_sequences=2, batch=5)
    assert not run.manifest["failed"]
    inputs, tokenizer = run.inputs, Tokenizer.from_file(str(root / "tiny" / "seed1" / "step4" / "tokenizer.json"))
    tokens = inputs.tokens[: inputs.output_sequences]
    log_probs = [own_log_probs(root, seed, tokens, inputs.vocabulary, tokenizer) for seed in (1, 2)]
    targets = torch.from_numpy(tokens[:, 1:]).long()[..., None]
    for seed, wanted in zip((1, 2), log_probs, strict=True):
        with run.folder.open_shard(ShardKey("tiny", seed, 4)) as shard:
            surprisal, entropy = (torch.from_numpy(shard.read(f"outputs/{each}")) for each in ("surprisal", "entropy"))
        assert float((surprisal + wanted.gather(-1, targets)[..., 0]).abs().max()) <= PROMISED
        assert float((entropy + (wanted.exp() * wanted).sum(-1)).abs().max()) <= PROMISED
    with run.folder.open_cohort("tiny", 4) as cohort:
        kl = torch.from_numpy(cohort.read("kl"))
    wanted_kl = (log_probs[0].exp() * (log_probs[0] - log_probs[1])).sum(-1)
    assert float((kl[0, 1] - wanted_kl).abs().max()) <= PROMISED
    assert float(kl[0, 1].max()) > 1e-3


@pytest.mark.parametrize("name", ["GPT-2", "Gemma 2", "Mamba", "RWKV", "BERT"])
def test_half_precision_checkpoints(name: str, texts_file: Path, tmp_path: Path) -> None:
    """A bfloat16 checkpoint is computed in bfloat16 unless asked otherwise; what is measured stays float32."""
    root = suite_of(name, tmp_path / "toy", torch.bfloat16)
    options = {"texts": texts_file, "sequences": 4, "context": 8, "output_sequences": 1, "batch": 8}
    stored, exact = (ps.capture(root, out=tmp_path / str(dtype), dtype=dtype, **options) for dtype in (None, "float32"))
    read = []
    for run, dtype in ((stored, "bfloat16"), (exact, "float32")):
        assert not run.manifest["failed"]
        with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
            assert shard.attrs["dtype"] == dtype
            read.append(shard.read("outputs/surprisal"))
            assert read[-1].dtype == np.float32
    # Rounding to 8 bits, layer after layer: tenths of a nat, on surprisals of several.
    assert 0 < np.abs(read[0] - read[1]).mean() < 0.5


def test_recurrent_models_have_what_they_have(texts_file: Path, tmp_path: Path) -> None:
    root = suite_of("Mamba 2", tmp_path / "toy")
    run = ps.capture(root, texts=texts_file, out=tmp_path / "run", sequences=6, context=12, output_sequences=2)
    assert run.manifest["sites"] == ["mixer_out"]
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        spectra = [name for name in shard.names() if name.startswith("spectra/blocks.0")]
        assert spectra == ["spectra/blocks.0.mixer.in_proj", "spectra/blocks.0.mixer.out_proj"]
        assert shard.attrs["heads"] == 0
    tables = run.analyse()
    assert set(tables["convergence"].component) == {"mixer_out"}
    run.report(tmp_path / "report.html")


def test_shared_keys_are_counted_in_the_shard(texts_file: Path, tmp_path: Path) -> None:
    root = suite_of("Llama", tmp_path / "toy")
    run = ps.capture(root, texts=texts_file, out=tmp_path / "run", sequences=6, context=12, output_sequences=2)
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        assert shard.attrs_of("spectra/blocks.0.attn.W_K")["key_values"] == 2
        assert shard.read("spectra/blocks.0.attn.W_K").shape == (4, 8)
        assert "spectra/blocks.1.mlp.W_gate" in shard.names()


def test_a_masked_tokenizer_without_a_mask_is_named(texts_file: Path, tmp_path: Path) -> None:
    root = suite_of("BERT", tmp_path / "toy")
    for path in root.rglob("tokenizer_config.json"):
        config = json.loads(path.read_text())
        path.write_text(json.dumps({name: value for name, value in config.items() if name != "mask_token"}))
    with pytest.raises(PhasescopeError, match=r"tokenizer of .* has no mask_token, which masked language models read"):
        ps.capture(root, texts=texts_file, out=tmp_path / "run", sequences=6, context=12, output_sequences=2)


def test_a_context_leaves_room_for_what_masked_models_read_beside_it(texts_file: Path, tmp_path: Path) -> None:
    root = suite_of("BERT", tmp_path / "toy")
    with pytest.raises(PhasescopeError, match="longer than the 62 these models allow"):
        ps.capture(root, texts=texts_file, out=tmp_path / "run", sequences=6, context=63, output_sequences=2)


def test_sites_by_module_path(texts_file: Path, tmp_path: Path) -> None:
    """A model of an architecture that is not known: its modules are listed, and can be named."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        "codegen", n_embd=32, n_layer=2, n_head=4, n_positions=64, rotary_dim=4, vocab_size=ROWS, bos_token_id=0
    )
    for step in (0, 4):
        torch.manual_seed(step)
        folder = tmp_path / "toy" / "tiny" / "seed1" / f"step{step}"
        AutoModelForCausalLM.from_config(config).save_pretrained(folder)
        make_tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    options = {"texts": texts_file, "sequences": 6, "context": 12, "output_sequences": 2}
    with pytest.raises(PhasescopeError, match=r"'codegen' model .*transformer\.h\.\{layer\}\.mlp\.fc_out"):
        ps.capture(tmp_path / "toy", out=tmp_path / "run", **options)
    modules = ("transformer.h.{layer}.mlp.fc_out:input=mlp_post", "transformer.h.{layer}=resid_post")
    run = ps.capture(tmp_path / "toy", out=tmp_path / "run", modules=modules, **options)
    assert run.manifest["sites"] == ["mlp_post", "resid_post"]
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        assert shard.read("activations/blocks.1.mlp.hook_post").shape == (6, 128)
        assert shard.read("activations/blocks.1.hook_resid_post").shape == (6, 32)
    wrong = ("transformer.h.{layer}.mlpp=mlp_out",)
    with pytest.raises(PhasescopeError, match=r"no module transformer\.h\.\{layer\}\.mlpp .*Did you mean"):
        ps.capture(tmp_path / "toy", out=tmp_path / "other", modules=wrong, **options)


def test_layers_say_how_far_they_attend(texts_file: Path, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from phasescope.cli import app

    root = suite_of("EXAONE 4", tmp_path / "toy")
    run = ps.capture(root, texts=texts_file, out=tmp_path / "run", sequences=6, context=12, output_sequences=2)
    with run.folder.open_shard(ShardKey("tiny", 1, 4)) as shard:
        told = [dict(shard.attrs_of(f"activations/blocks.{layer}.hook_mlp_out")) for layer in (0, 1)]
    assert [(each["attention"], each["positions"]) for each in told] == [("sliding:4", "rotary"), ("full", "none")]
    shown = CliRunner().invoke(app, ["info", str(tmp_path / "run")]).stdout
    assert "How layers attend" in shown
    assert "sliding:4" in shown
    shown = CliRunner().invoke(app, ["layer", str(tmp_path / "run"), "1", "mlp_out"]).stdout
    assert "Layer 1 attends to all tokens before, without positions." in shown
