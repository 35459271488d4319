"""Models that TransformerLens names: its own repositories, served by a small hub, against plain sums of products."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, einsum

import phasescope as ps
from phasescope.errors import BadCheckpointError, PhasescopeError, PhasescopeWarning
from phasescope.hooks import get_engine, select_sites
from phasescope.store import ShardKey
from phasescope.suites import Checkpoint, Suite, open_suite
from phasescope.suites.load import commit_of, load_config, load_model
from phasescope.suites.tokenizer import load_tokenizer
from tests.suites.conftest import tiny_tokenizer
from tests.suites.hub_server import HubServer, Repository

SOLU, ATTENTION_ONLY = "NeelNanda/SoLU_2L512W_C4_Code", "NeelNanda/Attn_Only_1L512W_C4_Code"
BEREN = "stanford-crfm/beren-gpt2-medium-x49"
TOKENIZER = "NeelNanda/gpt-neox-tokenizer-digits"
CONFIG: dict[str, Any] = {
    "d_model": 32,
    "n_layers": 2,
    "d_mlp": 48,
    "d_head": 12,
    "n_heads": 3,
    "n_ctx": 32,
    "d_vocab": 130,
    "act_fn": "solu_ln",
    "attn_only": False,
    "normalization": "LN",
    "tokenizer_name": TOKENIZER,
}
# The name of one ends as that of another.
STEPS = (50, 150, 1050)


def tensors_of(config: dict[str, Any], seed: int) -> dict[str, Tensor]:
    """Random tensors under the names that a HookedTransformer saves them by, nothing 0 or 1, buffers included."""
    generator = torch.Generator().manual_seed(seed)
    d, heads, d_head, d_mlp = (config[name] for name in ("d_model", "n_heads", "d_head", "d_mlp"))
    shapes: dict[str, tuple[int, ...]] = {
        "embed.W_E": (config["d_vocab"], d),
        "pos_embed.W_pos": (config["n_ctx"], d),
        "unembed.W_U": (d, config["d_vocab"]),
        "unembed.b_U": (config["d_vocab"],),
    }
    norms = {"ln_final": d}
    for layer in range(config["n_layers"]):
        for name in "QKV":
            shapes[f"blocks.{layer}.attn.W_{name}"] = (heads, d, d_head)
            shapes[f"blocks.{layer}.attn.b_{name}"] = (heads, d_head)
        shapes |= {f"blocks.{layer}.attn.W_O": (heads, d_head, d), f"blocks.{layer}.attn.b_O": (d,)}
        norms[f"blocks.{layer}.ln1"] = d
        if not config["attn_only"]:
            shapes |= {f"blocks.{layer}.mlp.W_in": (d, d_mlp), f"blocks.{layer}.mlp.b_in": (d_mlp,)}
            shapes |= {f"blocks.{layer}.mlp.W_out": (d_mlp, d), f"blocks.{layer}.mlp.b_out": (d,)}
            norms |= {f"blocks.{layer}.ln2": d, f"blocks.{layer}.mlp.ln": d_mlp}
    if config["normalization"] == "LN":
        shapes |= {f"{norm}.{part}": (width,) for norm, width in norms.items() for part in "wb"}
    tensors = {name: 0.4 * torch.randn(shape, generator=generator) + 0.1 for name, shape in shapes.items()}
    buffers = {f"blocks.{layer}.attn.IGNORE": torch.tensor(-1e5) for layer in range(config["n_layers"])}
    return {**tensors, **buffers, "blocks.0.attn.mask": torch.ones(config["n_ctx"], config["n_ctx"]).tril().bool()}


def computed(tensors: dict[str, Tensor], config: dict[str, Any], tokens: Tensor) -> dict[str, Tensor]:
    """What such a network is, in float64: every site `[batch, position, ...]` and `logits`."""
    t, read = {name: tensor.double() for name, tensor in tensors.items()}, {}

    def norm(x: Tensor, name: str) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        normal = centred / (centred.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
        return normal * t[f"{name}.w"] + t[f"{name}.b"] if config["normalization"] == "LN" else normal

    x = t["embed.W_E"][tokens] + t["pos_embed.W_pos"][: tokens.shape[1]]
    future = torch.ones(tokens.shape[1], tokens.shape[1]).triu(1).bool()
    for layer in range(config["n_layers"]):
        block = f"blocks.{layer}"
        read[f"{block}.hook_resid_pre"] = x
        normal = norm(x, f"{block}.ln1")
        q, k, v = (
            einsum("bpd,hde->bphe", normal, t[f"{block}.attn.W_{name}"]) + t[f"{block}.attn.b_{name}"] for name in "QKV"
        )
        scores = einsum("bqhe,bkhe->bhqk", q, k) / math.sqrt(config["d_head"])
        pattern = scores.masked_fill(future, -math.inf).softmax(-1)
        z = einsum("bhqk,bkhe->bqhe", pattern, v)
        attn_out = einsum("bphe,hed->bpd", z, t[f"{block}.attn.W_O"]) + t[f"{block}.attn.b_O"]
        read[f"{block}.attn.hook_pattern"] = pattern.transpose(1, 2)
        read[f"{block}.attn.hook_z"] = z
        read[f"{block}.attn.hook_ov_out"] = einsum("bphe,hed->bphd", v, t[f"{block}.attn.W_O"])
        read[f"{block}.hook_attn_out"] = attn_out
        x = x + attn_out
        if not config["attn_only"]:
            read[f"{block}.hook_resid_mid"] = x
            before = norm(x, f"{block}.ln2") @ t[f"{block}.mlp.W_in"] + t[f"{block}.mlp.b_in"]
            neurons = norm(before * before.softmax(-1), f"{block}.mlp.ln")
            read[f"{block}.mlp.hook_post"] = neurons
            read[f"{block}.hook_mlp_out"] = neurons @ t[f"{block}.mlp.W_out"] + t[f"{block}.mlp.b_out"]
            x = x + read[f"{block}.hook_mlp_out"]
        read[f"{block}.hook_resid_post"] = x
    return {**read, "logits": norm(x, "ln_final") @ t["unembed.W_U"] + t["unembed.b_U"]}


def repository(folder: Path, config: dict[str, Any], labels: tuple[int, ...]) -> Repository:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config))
    for label in labels:
        torch.save(tensors_of(config, label), folder / "checkpoints" / f"{folder.name}_{label}.pth")
    torch.save(tensors_of(config, 7), folder / "model_final.pth")
    return Repository({"main": folder})


@pytest.fixture
def solu(hub: HubServer, tmp_path: Path) -> Path:
    """The folder behind `transformer_lens:solu-2l`."""
    tiny_tokenizer().save_pretrained(tmp_path / "tokenizer")
    hub.repositories[TOKENIZER] = Repository({"main": tmp_path / "tokenizer"})
    hub.repositories[SOLU] = repository(tmp_path / "SoLU_2L512W_C4_Code", CONFIG, STEPS)
    return tmp_path / "SoLU_2L512W_C4_Code"


@pytest.fixture
def attention_only(hub: HubServer, solu: Path, tmp_path: Path) -> Suite:
    config = {**CONFIG, "attn_only": True, "n_layers": 1, "normalization": "LNPre", "act_fn": "gelu"}
    hub.repositories[ATTENTION_ONLY] = repository(tmp_path / "Attn_Only_1L512W_C4_Code", config, (1_100_000_000,))
    with pytest.warns(PhasescopeWarning, match="attn-only-1l are labelled by the tokens that the model had seen"):
        return open_suite("transformer_lens:attn-only-1l")


def change(solu: Path, label: int, **tensors: Tensor | None) -> Checkpoint:
    """The checkpoint with that label, in which these tensors are others, or not there."""
    changed = {**tensors_of(CONFIG, label), **{name.replace("__", "."): tensor for name, tensor in tensors.items()}}
    torch.save({name: tensor for name, tensor in changed.items() if tensor is not None}, _file(solu, label))
    return open_suite("transformer_lens:solu-2l").checkpoint("solu-2l", 0, label)


def _file(solu: Path, label: int) -> Path:
    return solu / "checkpoints" / f"{solu.name}_{label}.pth"


def test_files_become_checkpoints(solu: Path) -> None:
    suite = open_suite("transformer_lens:solu-2l")
    assert repr(suite) == (
        "Suite(SoLU_2L512W_C4_Code: 1 size × 1 seed × 3 steps = 3 checkpoints, from transformer_lens:solu-2l)"
    )
    assert suite.checkpoints[0].place == f"{SOLU}/checkpoints/SoLU_2L512W_C4_Code_50.pth"
    assert [one.step for one in open_suite(f"transformer_lens:{SOLU}")] == list(STEPS)


@pytest.mark.parametrize(
    ("name", "count", "last"),
    [
        ("pythia-70m", 154, Checkpoint("pythia-70m", "70m", 0, 143_000, "EleutherAI/pythia-70m", "step143000")),
        ("pythia-160m-seed1", 154, None),
        ("pythia-70m-v0", 143, None),
        (
            "stanford-gpt2-medium-b",
            609,
            Checkpoint(
                "beren-gpt2-medium-x49",
                "medium",
                49,
                400_000,
                BEREN,
                "checkpoint-400000",
            ),
        ),
    ],
)
def test_revisions_are_an_ordinary_suite_and_need_no_network(name: str, count: int, last: Checkpoint | None) -> None:
    suite = open_suite(f"transformer_lens:{name}")
    assert len(suite) == count
    assert last is None or suite.checkpoints[-1] == last


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sulo-2l", r"no model 'sulo-2l' with checkpoints\. Did you mean solu-2l\?"),
        ("gpt2-small", r"knows no checkpoints of gpt2\..*gpt2@step"),
        ("allenai/OLMo-1B", r"leave out 'transformer_lens:' and say how they are named: allenai/OLMo-1B@step"),
        ("NeelNanda/nothing", r"The hub shows no repository NeelNanda/nothing: check the spelling"),
        ("redwood_attn_2l", r"ArthurConmy/redwood_attn_2l holds no checkpoints of its training"),
    ],
)
def test_names_without_checkpoints(hub: HubServer, solu: Path, name: str, message: str) -> None:
    hub.repositories["ArthurConmy/redwood_attn_2l"] = Repository({"main": solu / "checkpoints"})
    with pytest.raises(PhasescopeError, match=message):
        open_suite(f"transformer_lens:{name}")


def test_the_file_is_that_of_its_label(solu: Path) -> None:
    for checkpoint in open_suite("transformer_lens:solu-2l"):
        wanted = tensors_of(CONFIG, checkpoint.step)
        assert torch.equal(load_model(checkpoint).get_input_embeddings().weight, wanted["embed.W_E"])


def test_config_tokenizer_and_commit(hub: HubServer, solu: Path) -> None:
    checkpoint = open_suite("transformer_lens:solu-2l").checkpoints[0]
    config = load_config(checkpoint)
    assert (config.model_type, config.vocab_size, config.num_attention_heads) == ("transformer_lens", 130, 3)
    assert load_tokenizer(checkpoint).get_vocab() == tiny_tokenizer().get_vocab()
    assert commit_of(checkpoint) == hub.repositories[SOLU].commits["main"]


@pytest.mark.parametrize("engine", ["transformer_lens", "torch", "nnsight"])
@pytest.mark.parametrize("which", ["solu", "attention only"])
def test_what_is_read_is_what_the_network_computes(solu: Path, attention_only: Suite, engine: str, which: str) -> None:
    suite = open_suite("transformer_lens:solu-2l") if which == "solu" else attention_only
    checkpoint = suite.checkpoints[-1]
    config = CONFIG if which == "solu" else {**CONFIG, "attn_only": True, "n_layers": 1, "normalization": "LNPre"}
    tensors = tensors_of(config, checkpoint.step)
    tapped = get_engine(engine).open(load_model(checkpoint))
    tokens = torch.randint(130, (2, 9), generator=torch.Generator().manual_seed(1))
    wanted = computed(tensors, config, tokens)
    read = tapped.read(tokens, torch.arange(9).expand(2, 9), select_sites(tapped.components(), tapped.n_layers))
    assert {site.name for site in read.activations} == wanted.keys() - {"logits"}
    for site, value in read.activations.items():
        reference = wanted[site.name].flatten(0, 1)
        # float32 against float64.
        assert float((value - reference).abs().max() / reference.abs().max()) < 1e-5, site
    weights = tapped.weights()
    named = {name for name in tensors if name.rpartition(".")[2].startswith("W_")} - {"pos_embed.W_pos"}
    assert weights.keys() == named
    assert all(torch.equal(weights[name], tensors[name]) for name in named)


def test_a_whole_capture(solu: Path, texts_file: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"texts": texts_file, "sequences": 6, "context": 12, "output_sequences": 2}
    out = tmp_path / "run"
    run = ps.capture("transformer_lens:solu-2l", out=out, engine="transformer_lens", steps=[50, 1050], **options)
    assert run.manifest["failed"] == []
    assert run.manifest["sites"] == ["attn_out", "mlp_out", "ov_out"]
    tokens = torch.from_numpy(run.inputs.tokens).long()
    wanted = computed(tensors_of(CONFIG, 50), CONFIG, tokens)
    with run.folder.open_shard(ShardKey("solu-2l", 0, 50)) as shard:
        surprisal = torch.from_numpy(shard.read("outputs/surprisal"))
        attn_out = torch.from_numpy(shard.read("activations/blocks.1.hook_attn_out"))
        singular = torch.from_numpy(shard.read("spectra/blocks.1.attn.OV"))
        assert shard.read("spectra/blocks.0.mlp.W_in").shape == (32,)
    log_probs = wanted["logits"][:2, :-1, : run.inputs.vocabulary].log_softmax(-1)
    expected = -log_probs.gather(-1, tokens[:2, 1:, None])[..., 0]
    assert float((surprisal - expected).abs().max()) < 1e-4
    last = torch.from_numpy(run.inputs.positions).long()[:, 0]
    reference = wanted["blocks.1.hook_attn_out"][torch.arange(6), last]
    assert float((attn_out - reference).abs().max() / reference.abs().max()) < 1e-5
    tensors = tensors_of(CONFIG, 50)
    circuit = tensors["blocks.1.attn.W_V"].double() @ tensors["blocks.1.attn.W_O"].double()
    assert float((singular - torch.linalg.svdvals(circuit)[:, :12]).abs().max()) < 1e-5 * float(singular.max())
    assert set(run.convergence().step) == {50, 1050}


def test_files_that_were_visited_make_room_for_others(solu: Path, texts_file: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"texts": texts_file, "sequences": 6, "context": 12, "output_sequences": 2}
    size = _file(solu, 50).stat().st_size
    run = ps.capture("transformer_lens:solu-2l", out=tmp_path / "run", cache_limit=int(2.5 * size), **options)
    assert run.manifest["failed"] == []
    assert run.steps() == list(STEPS)
    kept = [path.name for path in (tmp_path / "cache").rglob("*.pth")]
    assert len(kept) == 2
    assert "SoLU_2L512W_C4_Code_50.pth" not in kept


def test_models_without_an_mlp_say_so(attention_only: Suite, texts_file: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"texts": texts_file, "sequences": 6, "context": 12, "output_sequences": 2}
    with pytest.raises(PhasescopeError, match=r"no mlp_out in this transformer_lens model: its layers are atten"):
        ps.capture(attention_only, out=tmp_path / "run", sites=("mlp_out",), **options)
    run = ps.capture(attention_only, out=tmp_path / "run", **options)
    assert run.manifest["sites"] == ["attn_out", "ov_out"]
    assert run.steps() == [1_100_000_000]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"blocks__1__attn__W_Q": None}, r"do not fit its config\.json: the file lacks layers\.1\.attn\.q\.weight\."),
        ({"blocks__2__attn__b_O": torch.ones(32)}, r"has unexpected layers\.2\.attn\.o\.bias"),
        ({"embed__W_E": torch.ones(7, 32)}, r"mis-shaped tok_embed\.weight \(is \(7, 32\), should be \(130, 32\)\)"),
        ({"blocks__0__attn__W_Q": torch.ones(4, 32, 9)}, r"'blocks\.0\.attn\.W_Q' has shape \(4, 32, 9\), expected"),
        ({"rotary": torch.ones(2)}, r"don't know how to convert key 'rotary'"),
        ({"unembed__b_U": torch.full((130,), math.nan)}, r"has NaN or infinity in native\.head\.bias"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_a_bad_one(
    solu: Path, tensors: dict[str, Tensor | None], message: str
) -> None:
    checkpoint = change(solu, 50, **tensors)
    with pytest.raises(BadCheckpointError, match=message):
        load_model(checkpoint)


def test_repositories_without_an_unembedding_bias_have_one_of_zeros(solu: Path) -> None:
    model = load_model(change(solu, 50, unembed__b_U=None))
    assert torch.equal(model.get_output_embeddings().bias, torch.zeros(130))


def test_the_older_layout_is_turned_round(hub: HubServer, solu: Path, tmp_path: Path) -> None:
    """In repositories that end in _old, matrices multiply from the left and norms have another name."""
    old = {
        name.replace("ln_final", "norm").replace("ln", "norm"): tensor.mT if ".W_" in name else tensor
        for name, tensor in tensors_of(CONFIG, 50).items()
    }
    old["embed.W_E"], old["unembed.W_U"] = old["embed.W_E"].contiguous(), old["unembed.W_U"].contiguous()
    hub.repositories["NeelNanda/SoLU_2L_v10_old"] = repository(tmp_path / "SoLU_2L_v10_old", CONFIG, (50,))
    torch.save(old, tmp_path / "SoLU_2L_v10_old" / "checkpoints" / "SoLU_2L_v10_old_50.pth")
    found = load_model(open_suite("transformer_lens:solu-2l-pile").checkpoints[0]).state_dict()
    wanted = load_model(open_suite("transformer_lens:solu-2l").checkpoints[0]).state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_half_precision_stays_what_it_is(solu: Path) -> None:
    halves = {name: tensor.bfloat16() for name, tensor in tensors_of(CONFIG, 50).items() if tensor.is_floating_point()}
    torch.save(halves, _file(solu, 50))
    checkpoint = open_suite("transformer_lens:solu-2l").checkpoints[0]
    assert load_model(checkpoint).dtype == torch.bfloat16
    assert load_model(checkpoint, dtype="float32").dtype == torch.float32


def test_a_pickle_that_runs_code_is_refused(solu: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return exec, ("raise SystemExit('code was run')",)

    _file(solu, 50).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(BadCheckpointError, match=r"SoLU_2L512W_C4_Code_50\.pth is refused: it holds more than tensors"):
        load_model(open_suite("transformer_lens:solu-2l").checkpoints[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_head": None}, "cannot be loaded: 'd_head'"),
        ({"shortformer_pos": True}, "uses shortformer positional embeddings"),
        ({"act_fn": "quick_gelu"}, "Unsupported act_fn='quick_gelu'"),
        ({"tokenizer_name": None}, "names no tokenizer in its config.json"),
    ],
)
def test_a_config_that_cannot_be_used_is_named(solu: Path, changes: dict[str, Any], message: str) -> None:
    config = {name: value for name, value in {**CONFIG, **changes}.items() if value is not None}
    (solu / "config.json").write_text(json.dumps(config))
    checkpoint = open_suite("transformer_lens:solu-2l").checkpoints[0]
    with pytest.raises(BadCheckpointError, match=message):
        load_tokenizer(checkpoint)
        load_model(checkpoint)


def test_what_the_hub_answers_is_explained(hub: HubServer, solu: Path) -> None:
    first, second, _ = open_suite("transformer_lens:solu-2l")
    _file(solu, 50).unlink()
    with pytest.raises(BadCheckpointError, match=r"step50 is gone from the hub: .*_50\.pth"):
        load_model(first)
    hub.status = 500
    with pytest.raises(PhasescopeError, match=r"The hub answered 500 for NeelNanda/SoLU_2L512W_C4_Code") as caught:
        load_model(second)
    assert not isinstance(caught.value, BadCheckpointError)
    with pytest.raises(PhasescopeError, match="The hub answered 500 for NeelNanda/SoLU"):
        open_suite("transformer_lens:solu-2l")
