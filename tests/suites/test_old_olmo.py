"""OLMo as its own code saved it is the model of transformers that computes the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from phasescope.errors import BadCheckpointError
from phasescope.suites import open_suite
from tests.conftest import make_tokenizer

WIDTH, LAYERS, HEADS, INNER, VOCABULARY = 32, 2, 4, 96, 320
# As the configurations of DataDecide (RMSNorm), OLMo 1 and OLMo 2 have them.
DATADECIDE = {"layer_norm_type": "rms", "layer_norm_with_affine": True, "layer_norm_eps": 1e-6, "weight_tying": False}
FIRST = {"layer_norm_type": "default", "layer_norm_with_affine": False, "clip_qkv": 0.3}
SECOND = {**DATADECIDE, "norm_after": True, "attention_layer_norm": True, "attention_layer_norm_with_affine": True}


def saved(folder: Path, **kind: Any) -> dict[str, Tensor]:
    """A checkpoint in the layout of `hf_olmo`, of random weights, which are returned."""
    config = {
        "model_type": "hf_olmo", "architectures": ["OLMoForCausalLM"], "d_model": WIDTH, "n_layers": LAYERS,
        "n_heads": HEADS, "mlp_ratio": 8, "mlp_hidden_size": 2 * INNER, "vocab_size": 300,
        "embedding_size": VOCABULARY, "max_sequence_length": 64, "activation_type": "swiglu", "alibi": False,
        "rope": True, "include_bias": False, "block_type": "sequential", "multi_query_attention": False,
        "weight_tying": True, "eos_token_id": 0, "pad_token_id": 1, "torch_dtype": "float32",
    } | kind  # fmt: skip
    kept = config.get("n_kv_heads") or HEADS
    shapes = {"wte": (VOCABULARY, WIDTH)} | ({} if config["weight_tying"] else {"ff_out": (VOCABULARY, WIDTH)})
    norms = config.get("layer_norm_with_affine", True)
    shapes |= {"ln_f": (WIDTH,)} if norms else {}
    for layer in range(LAYERS):
        parts: dict[str, tuple[int, ...]] = {
            "att_proj": (WIDTH + 2 * kept * WIDTH // HEADS, WIDTH), "attn_out": (WIDTH, WIDTH),
            "ff_proj": (2 * INNER, WIDTH), "ff_out": (WIDTH, INNER),
            **({"attn_norm": (WIDTH,), "ff_norm": (WIDTH,)} if norms else {}),
            **({"q_norm": (WIDTH,), "k_norm": (WIDTH,)} if config.get("attention_layer_norm") else {}),
        }  # fmt: skip
        shapes |= {f"blocks.{layer}.{name}": shape for name, shape in parts.items()}
    torch.manual_seed(1)
    weights = {
        f"model.transformer.{name}.weight": torch.randn(shape) / 4 if len(shape) > 1 else 1 + torch.randn(shape) / 4
        for name, shape in shapes.items()
    }
    folder.mkdir(parents=True)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    make_tokenizer().save_pretrained(folder)  # type: ignore[attr-defined]
    return {name.removeprefix("model.transformer."): value.double() for name, value in weights.items()}


def logits_by_hand(weights: dict[str, Tensor], tokens: Tensor, **kind: Any) -> Tensor:
    """What OLMo's own code computes, in float64: the order of its operations, written anew."""
    after, epsilon = kind.get("norm_after", False), kind.get("layer_norm_eps", 1e-5)

    def norm(x: Tensor, name: str) -> Tensor:
        if kind["layer_norm_type"] == "default":
            return torch.nn.functional.layer_norm(x, x.shape[-1:], eps=1e-5)
        return x * torch.rsqrt((x * x).mean(-1, keepdim=True) + epsilon) * weights[f"{name}.weight"]

    def turned(x: Tensor) -> Tensor:
        half = x.shape[-1] // 2
        rates = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
        angles = torch.outer(torch.arange(x.shape[-2], dtype=torch.float64), rates)
        angles = torch.cat([angles, angles], -1)
        return x * angles.cos() + torch.cat([-x[..., half:], x[..., :half]], -1) * angles.sin()

    def attention(x: Tensor, block: str) -> Tensor:
        each, kept = WIDTH // HEADS, kind.get("n_kv_heads") or HEADS
        qkv = x @ weights[f"{block}.att_proj.weight"].T
        if clip := kind.get("clip_qkv"):
            qkv = qkv.clamp(-clip, clip)
        q, k, v = qkv.split([WIDTH, kept * each, kept * each], -1)
        if kind.get("attention_layer_norm"):
            q, k = norm(q, f"{block}.q_norm"), norm(k, f"{block}.k_norm")
        q, k, v = (part.unflatten(-1, (-1, each)).transpose(0, 1) for part in (q, k, v))
        k, v = (part.repeat_interleave(HEADS // kept, 0) for part in (k, v))
        scores = turned(q) @ turned(k).transpose(-1, -2) / each**0.5
        scores = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf)
        return (scores.softmax(-1) @ v).transpose(0, 1).flatten(-2) @ weights[f"{block}.attn_out.weight"].T

    def gated(x: Tensor, block: str) -> Tensor:
        opened, gate = (x @ weights[f"{block}.ff_proj.weight"].T).chunk(2, -1)
        return (torch.nn.functional.silu(gate) * opened) @ weights[f"{block}.ff_out.weight"].T

    x = weights["wte.weight"][tokens]
    for layer in range(LAYERS):
        block = f"blocks.{layer}"
        for part, name in ((attention, f"{block}.attn_norm"), (gated, f"{block}.ff_norm")):
            x = x + (norm(part(x, block), name) if after else part(norm(x, name), block))
    return norm(x, "ln_f") @ weights.get("ff_out.weight", weights["wte.weight"]).T


@pytest.mark.parametrize(
    ("kind", "family"),
    [(DATADECIDE, "llama"), ({**DATADECIDE, "n_kv_heads": 2}, "llama"), (FIRST, "olmo"), (SECOND, "olmo2")],
    ids=["datadecide", "shared keys", "first", "second"],
)
def test_logits_are_those_of_its_own_code(kind: dict[str, Any], family: str, tmp_path: Path) -> None:
    weights = saved(tmp_path / "suite" / "step1", **kind)
    suite = open_suite(tmp_path / "suite")
    model = suite.checkpoints[0].model()
    assert model.config.model_type == family
    tokens = torch.randint(0, 300, (17,))
    with torch.no_grad():
        found = model(tokens[None]).logits[0].double()
    # float32 against float64: some thousand roundings of 6e-8, of logits around 1.
    assert (found - logits_by_hand(weights, tokens, **kind)).abs().max() < 2e-5
    assert suite.checkpoints[0].tokenizer().is_fast


def test_the_older_name_of_its_type_is_not_taken_for_that_of_transformers(tmp_path: Path) -> None:
    saved(tmp_path / "suite" / "step1", **FIRST, model_type="olmo")
    assert open_suite(tmp_path / "suite").checkpoints[0].model().config.hidden_size == WIDTH


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"alibi": True}, "alibi: True"),
        ({"layer_norm_type": "low_precision"}, "layer_norm_type: low_precision"),
        ({"clip_qkv": 8.0}, "clip_qkv: 8.0"),
    ],
)
def test_what_no_model_of_transformers_has_is_named(other: dict[str, Any], said: str, tmp_path: Path) -> None:
    saved(tmp_path / "suite" / "step1", **DATADECIDE | other)
    with pytest.raises(BadCheckpointError, match=f"no model of transformers has .*{said}"):
        open_suite(tmp_path / "suite").checkpoints[0].model()


def test_a_tensor_too_many_is_named_as_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "suite" / "step1"
    weights = saved(folder, **DATADECIDE)
    odd = {f"model.transformer.{name}": value.float() for name, value in weights.items()}
    save_file(odd | {"model.transformer.blocks.0.extra.weight": torch.ones(2)}, folder / "model.safetensors")
    with pytest.raises(BadCheckpointError, match=r"blocks\.0\.extra"):
        open_suite(tmp_path / "suite").checkpoints[0].model()
