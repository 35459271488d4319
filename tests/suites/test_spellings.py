"""Weights under the names of torchtitan and OLMo-core: the same model, to the last operation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel

from phasescope.errors import BadCheckpointError
from phasescope.suites import open_suite
from phasescope.suites.load import load_model
from tests.suites.test_left_by_trainers import save_distributed

IDS = torch.arange(24).reshape(2, 12)
HEADS, KEPT, WIDTH, LAYERS, THETA = 4, 2, 32, 2, 1000.0


def config(kind: str) -> PretrainedConfig:
    turning = {"rope_type": "default", "rope_theta": THETA}
    settings: dict[str, Any] = {
        "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": KEPT,
        "intermediate_size": 48, "vocab_size": 64, "max_position_embeddings": 64, "tie_word_embeddings": False,
        "rope_parameters": turning,
    }  # fmt: skip
    if kind == "olmo3":
        each = {"full_attention": turning, "sliding_attention": turning}
        settings |= {"layer_types": ["full_attention"] * LAYERS, "rope_parameters": each}
    return AutoConfig.for_model(kind, **settings)


def weights(names: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    made = {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in names.items()}
    return {name: 1 + 0.2 * one if one.ndim == 1 else 0.3 * one for name, one in made.items()}


def titan() -> dict[str, Tensor]:
    head = WIDTH // HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "tok_embeddings.weight": (64, WIDTH), "norm.weight": (WIDTH,), "output.weight": (64, WIDTH),
    }  # fmt: skip
    for layer in range(LAYERS):
        shapes |= {f"layers.{layer}.{name}.weight": shape for name, shape in {
            "attention.wq": (WIDTH, WIDTH), "attention.wk": (KEPT * head, WIDTH), "attention.wv": (KEPT * head, WIDTH),
            "attention.wo": (WIDTH, WIDTH), "feed_forward.w1": (48, WIDTH), "feed_forward.w2": (WIDTH, 48),
            "feed_forward.w3": (48, WIDTH), "attention_norm": (WIDTH,), "ffn_norm": (WIDTH,),
        }.items()}  # fmt: skip
    return weights(shapes)


def core(kind: str) -> dict[str, Tensor]:
    head = WIDTH // HEADS
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.weight": (64, WIDTH), "lm_head.norm.weight": (WIDTH,), "lm_head.w_out.weight": (64, WIDTH),
    }  # fmt: skip
    for layer in range(LAYERS):
        own: dict[str, tuple[int, ...]] = {
            "attention.w_q": (WIDTH, WIDTH), "attention.w_k": (KEPT * head, WIDTH),
            "attention.w_v": (KEPT * head, WIDTH), "attention.w_out": (WIDTH, WIDTH),
            "feed_forward.w1": (48, WIDTH), "feed_forward.w2": (WIDTH, 48), "feed_forward.w3": (48, WIDTH),
            "attention_norm": (WIDTH,), "feed_forward_norm": (WIDTH,),
        }  # fmt: skip
        if kind != "llama":
            own |= {"attention.q_norm": (WIDTH,), "attention.k_norm": (KEPT * head,)}
        shapes |= {f"blocks.{layer}.{name}.weight": shape for name, shape in own.items()}
    return weights(shapes)


def norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return x / (x.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight


def rotations(length: int) -> Tensor:
    """One complex number for each position and pair of entries of a head."""
    each = THETA ** (-torch.arange(0, WIDTH // HEADS, 2, dtype=torch.float64) / (WIDTH // HEADS))
    angles = torch.outer(torch.arange(length, dtype=torch.float64), each)
    return torch.polar(torch.ones_like(angles), angles)


def turned(x: Tensor, pairs: bool) -> Tensor:
    """Queries or keys [batch, position, head, entry], whose pairs are neighbours, or entry i and i + half."""
    real = x.unflatten(-1, (-1, 2)) if pairs else x.unflatten(-1, (2, -1)).transpose(-1, -2)
    whole = torch.view_as_complex(real.contiguous()) * rotations(x.shape[1])[:, None]
    parts = torch.view_as_real(whole)
    return parts.flatten(-2) if pairs else parts.transpose(-1, -2).flatten(-2)


def attended(q: Tensor, k: Tensor, v: Tensor, pairs: bool) -> Tensor:
    q, k = (turned(one.unflatten(-1, (-1, WIDTH // HEADS)), pairs) for one in (q, k))
    k, v = (one.repeat_interleave(HEADS // KEPT, 2) for one in (k, v.unflatten(-1, (-1, WIDTH // HEADS))))
    scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / (WIDTH // HEADS) ** 0.5
    scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf)
    return torch.einsum("bhqk,bkhe->bqhe", scores.softmax(-1), v).flatten(-2)


def by_hand_titan(w: Mapping[str, Tensor], eps: float) -> Tensor:
    """Llama as its own code and torchtitan compute it: neighbours are turned as one complex number."""
    x = w["tok_embeddings.weight"][IDS]
    for layer in range(LAYERS):
        of = {name: w[f"layers.{layer}.{name}.weight"] for name in (
            "attention_norm", "ffn_norm", *(f"attention.w{one}" for one in "qkvo"),
            *(f"feed_forward.w{one}" for one in "123"),
        )}  # fmt: skip
        y = norm(x, of["attention_norm"], eps)
        x = x + attended(*(y @ of[f"attention.w{one}"].T for one in "qkv"), pairs=True) @ of["attention.wo"].T
        y = norm(x, of["ffn_norm"], eps)
        gated = functional.silu(y @ of["feed_forward.w1"].T) * (y @ of["feed_forward.w3"].T)
        x = x + gated @ of["feed_forward.w2"].T
    return norm(x, w["norm.weight"], eps) @ w["output.weight"].T


def by_hand_core(w: Mapping[str, Tensor], eps: float, reordered: bool) -> Tensor:
    """OLMo-core's blocks: norms before, or behind, with queries and keys normed; halves of a head are turned."""
    x = w["embeddings.weight"][IDS]
    for layer in range(LAYERS):
        at = f"blocks.{layer}."
        of = {name.removeprefix(at).removesuffix(".weight"): one for name, one in w.items() if name.startswith(at)}
        y = x if reordered else norm(x, of["attention_norm"], eps)
        q, k, v = (y @ of[f"attention.w_{one}"].T for one in "qkv")
        if reordered:
            q, k = norm(q, of["attention.q_norm"], eps), norm(k, of["attention.k_norm"], eps)
        y = attended(q, k, v, pairs=False) @ of["attention.w_out"].T
        x = x + (norm(y, of["attention_norm"], eps) if reordered else y)
        y = x if reordered else norm(x, of["feed_forward_norm"], eps)
        y = (functional.silu(y @ of["feed_forward.w1"].T) * (y @ of["feed_forward.w3"].T)) @ of["feed_forward.w2"].T
        x = x + (norm(y, of["feed_forward_norm"], eps) if reordered else y)
    return norm(x, w["lm_head.norm.weight"], eps) @ w["lm_head.w_out.weight"].T


def said(model: PreTrainedModel) -> Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def close(one: Tensor, other: Tensor) -> bool:
    # transformers turns and norms in single precision, also in double: 24 bits, some dozen operations.
    return bool((one - other).abs().max() < 1e-4 * other.abs().max())


@pytest.mark.parametrize("prefix", ["", "model."])
def test_torchtitan(tmp_path: Path, prefix: str) -> None:
    state = {prefix + name: tensor for name, tensor in titan().items()}
    optimizer = {f"optimizer.state.{name}.exp_avg": torch.zeros_like(tensor) for name, tensor in titan().items()}
    state[f"{prefix}freqs_cis"] = rotations(64).to(torch.complex64)
    told = config("llama")
    told.save_pretrained(tmp_path / "config")
    save_distributed(tmp_path / "mine" / "step-8", {**state, **optimizer, "train_state.step": torch.tensor(8)})
    (checkpoint,) = open_suite(tmp_path / "mine", config=tmp_path / "config")
    model = load_model(checkpoint, dtype="float64")
    by_hand = by_hand_titan(titan(), told.rms_norm_eps)
    assert close(said(model), by_hand)
    for layer in model.model.layers:  # in the order of torchtitan it is another model
        query = layer.self_attn.q_proj.weight
        query.data = query.data.unflatten(0, (HEADS, 2, -1)).transpose(1, 2).flatten(0, 2)
    assert not close(said(model), by_hand)


@pytest.mark.parametrize("kind", ["llama", "olmo2", "olmo3"])
def test_olmo_core(tmp_path: Path, kind: str) -> None:
    """As it leaves a step: weights below, and beside them a configuration that is of the training, not of a model."""
    told = config(kind)
    told.save_pretrained(tmp_path / "mine")
    step = tmp_path / "mine" / "step8"
    optim = {f"state.{name}.exp_avg": torch.zeros_like(tensor) for name, tensor in core(kind).items()}
    save_distributed(step / "model_and_optim", {"model": core(kind), "optim": optim})
    (step / "config.json").write_text(json.dumps({"model": {"d_model": WIDTH}, "dataset": {}}))
    (checkpoint,) = open_suite(tmp_path / "mine")
    by_hand = by_hand_core(core(kind), told.rms_norm_eps, reordered=kind != "llama")
    assert close(said(load_model(checkpoint, dtype="float64")), by_hand)


def test_llama_as_its_own_code_saved_it(tmp_path: Path) -> None:
    config("llama").save_pretrained(tmp_path / "mine")
    torch.save(titan(), tmp_path / "mine" / "step8.pth")
    (checkpoint,) = open_suite(tmp_path / "mine")
    assert close(said(load_model(checkpoint, dtype="float64")), by_hand_titan(titan(), config("llama").rms_norm_eps))


def test_names_of_transformers_are_read_as_they_are(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_config(config("llama"))
    model.config.save_pretrained(tmp_path / "mine")
    save_distributed(tmp_path / "mine" / "step8", {"model": model.state_dict()})
    (checkpoint,) = open_suite(tmp_path / "mine")
    assert torch.equal(said(load_model(checkpoint)), said(model))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers.0.attention.wqkv.weight": torch.zeros(3)}, r"has unexpected layers\.0\.attention\.wqkv\.weight"),
        ({"freqs_cis": 2 * rotations(64)}, r"has unexpected freqs_cis"),
        ({"freqs_cis": rotations(64)[:, :2]}, r"has unexpected freqs_cis"),
        ({"layers.1.attention.wq.weight": torch.zeros(9, WIDTH)}, r"layers\.1\.self_attn\.q_proj\.weight"),
    ],
)
def test_what_is_not_known_is_told(tmp_path: Path, change: Mapping[str, Tensor], message: str) -> None:
    config("llama").save_pretrained(tmp_path / "mine")
    save_distributed(tmp_path / "mine" / "step8", {**titan(), **change})
    (checkpoint,) = open_suite(tmp_path / "mine")
    with pytest.raises(BadCheckpointError, match=message):
        load_model(checkpoint)


def test_a_model_whose_names_are_not_known(tmp_path: Path) -> None:
    """torchtitan's Qwen has other names and another order: nothing is guessed."""
    config("qwen3").save_pretrained(tmp_path / "mine")
    save_distributed(tmp_path / "mine" / "step8", titan())
    (checkpoint,) = open_suite(tmp_path / "mine")
    with pytest.raises(BadCheckpointError, match=r"lacks .*; it has unexpected .*layers\.0\.attention"):
        load_model(checkpoint)


def test_the_names_are_all_those_of_the_model() -> None:
    from phasescope.suites.spellings import spellings

    for kind in ("llama", "olmo2", "olmo3"):
        with torch.device("meta"):
            there = set(AutoModelForCausalLM.from_config(config(kind)).state_dict())
        for one in spellings(config(kind)):
            assert set(one.names(config(kind)).values()) == there
    assert not spellings(config("qwen3"))
