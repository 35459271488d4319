"""Every architecture: what is read is what its name says, and every engine reads the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from phasescope.errors import PhasescopeError
from phasescope.hooks import ARCHITECTURES, Site, TappedModel, get_architecture, get_engine
from phasescope.hooks.output import check_unembedding, unembedding_of
from phasescope.hooks.projections import Concatenated, Gated, Half, Interleaved
from phasescope.measures import logits_from_hidden
from tests.hooks import matrix, zoo

ENTRIES = {name: get_architecture(zoo.make(name).config) for name in zoo.MODELS}
# What the last layer of each has.
LAST = {name: entry.in_layer(len(entry.of_layers) - 1) for name, entry in ENTRIES.items()}
WITH_HEADS = [name for name, entry in LAST.items() if {"ov_out", "pattern", "z"} <= set(entry.components)]
# The norm comes after the sum, so residual streams do not add up: the layer's two norms.
POST_NORM = {
    "OPT, norm after (350m)": ("self_attn_layer_norm", "final_layer_norm"),
    **dict.fromkeys(("BERT", "RoBERTa", "ELECTRA"), ("attention.output.LayerNorm", "output.LayerNorm")),
}
# A norm or a gate comes after the MLP's output matrix.
GEMMA4 = ("Gemma 4", "Gemma 4, experts", "Gemma 4, small")
AFTER_W_OUT = {*GEMMA4, "OLMo 2", "OLMo 3", "EXAONE 4", "Gemma 2", "Gemma 3", "GLM-4", "OLMo Hybrid", "RWKV"}
# One module for queries, keys and values, of attention that asks PyTorch for its scores.
FUSED = [
    name
    for name, entry in ENTRIES.items()
    if entry.attention
    and isinstance(entry.attention.projections, Concatenated | Interleaved)
    and name not in ("MPT", "Bloom")
]
GATED = [
    name
    for name, entry in LAST.items()
    # Of LFM2's MLP the activation function is no module; Falcon H1 multiplies what the gate gives; Zamba2's shared MLP
    # has a small matrix of each layer's own beside it.
    if "mlp.W_gate" in entry.matrices and name not in ("RWKV", "LFM2", "Falcon H1", "Zamba2")
]
WITH_NEURONS = [
    name
    for name, entry in LAST.items()
    if {"mlp_post", "mlp_out"} <= set(entry.components) and "mlp.W_out" in entry.matrices and name not in AFTER_W_OUT
]


def everything(name: str, before_last: int = 0) -> tuple[TappedModel, dict[str, torch.Tensor]]:
    """A model in float64, and the components of its last layer (or before) at all positions of one batch."""
    tapped = get_engine("torch").open(zoo.make(name, torch.float64))
    tokens, _ = zoo.batch()
    positions = torch.arange(tokens.shape[1]).expand(len(tokens), -1)
    layer = tapped.n_layers - 1 - before_last
    sites = [Site(layer, component) for component in tapped.components()]
    read = tapped.read(tokens, positions, [site for site in sites if tapped.architecture.has(site)])
    return tapped, {site.component: value for site, value in read.activations.items()}


def test_every_entry_has_a_model_here_and_every_model_an_entry() -> None:
    assert all(
        any((entry.model_type, entry.when) == (each.model_type, each.when) for each in ENTRIES.values())
        for entry in ARCHITECTURES
    )


def test_the_matrix_in_the_docs_is_what_was_measured() -> None:
    """The sites and weights of every engine are equal to the torch engine's, or the engine says that it has none."""
    assert matrix.in_page() == matrix.table(), "run python -m tests.hooks.matrix"


def _gate(name: str, tapped: TappedModel) -> torch.Tensor:
    """What the last layer's attention is multiplied by before its output projection, by sample and head."""
    layer, given = tapped.architecture.modules(tapped.model)[-1], []
    query = layer.get_submodule(LAST[name].attention.projections.query)
    handle = query.register_forward_hook(lambda _, inputs, output: given.append(output))
    with torch.no_grad(), tapped.architecture.while_read(tapped.model):
        tapped.model(zoo.batch()[0], use_cache=False)
    handle.remove()
    return given[0].flatten(0, 1).unflatten(1, (4, 2, -1))[:, :, 1].sigmoid()


@pytest.mark.parametrize("name", WITH_HEADS)
def test_heads_write_what_they_attend_to(name: str) -> None:
    """Σ_k pattern[q, h, k] · ov_out[k, h] = z[q, h] · W_O[h]: ties pattern, values, z and W_O to one another."""
    tapped, read = everything(name)
    tokens, _ = zoo.batch()
    batch, context = tokens.shape
    z = read["z"] / _gate(name, tapped) if isinstance(LAST[name].attention.projections, Gated) else read["z"]
    ov_out, pattern = (read[part].unflatten(0, (batch, context)) for part in ("ov_out", "pattern"))
    W_O = tapped.weights()[f"blocks.{tapped.n_layers - 1}.attn.W_O"]
    mixed = torch.einsum("bqhk,bkhd->bqhd", pattern, ov_out).flatten(0, 1)
    # float64, but eager attention takes its softmax in float32.
    torch.testing.assert_close(mixed, torch.einsum("shd,hdm->shm", z, W_O), rtol=1e-5, atol=1e-5)
    # What is missing in a row is the sink's.
    sink = read["sink"].unflatten(0, (batch, context)) if "sink" in read else torch.zeros(())
    assert float((pattern.sum(-1) + sink - 1).abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("name", "before_last"),
    [
        *((name, 0) for name in zoo.MODELS if name not in (*POST_NORM, "Gemma 4, small")),
        *(
            (name, 1)
            for name, entry in ENTRIES.items()
            if len({id(kind) for kind in entry.of_layers}) > 1 and name != "Gemma 4, small"
        ),
    ],
)
def test_what_is_added_to_the_residual_stream_adds_up(name: str, before_last: int) -> None:
    _, read = everything(name, before_last)
    mixing = [part for part in ("attn_out", "mixer_out") if part in read]
    sums = {"resid_post": [*mixing, *(part for part in ("mlp_out",) if part in read)]}
    if "resid_mid" in read:
        sums["resid_mid"] = mixing
    for stream, added in sums.items():
        difference = read[stream] - read["resid_pre"] - sum(read[part] for part in added)
        assert float(difference.abs().max()) < 1e-6, f"{stream} is not resid_pre + {' + '.join(added)}"


@pytest.mark.parametrize("name", POST_NORM)
def test_where_the_norm_comes_after_the_streams_are_normalised_sums(name: str) -> None:
    tapped, read = everything(name)
    layer = tapped.architecture.modules(tapped.model)[-1]
    first, second = (layer.get_submodule(path) for path in POST_NORM[name])
    with torch.no_grad():
        middle = first(read["resid_pre"] + read["attn_out"])
        torch.testing.assert_close(read["resid_mid"], middle, rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(read["resid_post"], second(middle + read["mlp_out"]), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", WITH_NEURONS)
def test_the_mlp_writes_its_neurons_through_its_output_matrix(name: str) -> None:
    tapped, read = everything(name)
    last = tapped.n_layers - 1
    W_out = tapped.weights()[f"blocks.{last}.mlp.W_out"]
    module = tapped.architecture.modules(tapped.model)[last].get_submodule(LAST[name].matrices["mlp.W_out"])
    bias = 0 if module.bias is None else module.bias.detach()
    own = LAST[name].taps["mlp_out"].scale
    scale = getattr(tapped.architecture.modules(tapped.model)[last], own) if own else 1
    # Falcon H1's MLP multiplies what its output matrix gives.
    scale = tapped.model.config.mlp_multipliers[1] if name == "Falcon H1" else scale
    torch.testing.assert_close(read["mlp_out"], (read["mlp_post"] @ W_out + bias) * scale, rtol=1e-10, atol=1e-10)


def test_what_a_row_of_the_pattern_leaves_is_what_the_softmax_gives_to_the_sink() -> None:
    """One position attends to itself and to the sink alone: the sink's share is σ(sink - score)."""
    model = zoo.make("gpt-oss", torch.float64)
    tapped, scores = get_engine("torch").open(model), []
    attention = tapped.architecture.modules(model)[0].self_attn
    for module in (attention.q_proj, attention.k_proj):
        module.register_forward_hook(
            lambda _module, _inputs, output: scores.append(output[:, 0].unflatten(1, (-1, 12)))
        )
    tokens, _ = zoo.batch()
    site = Site(0, "sink")
    sink = tapped.read(tokens, torch.zeros(len(tokens), 1, dtype=torch.int64), [site]).activations[site]
    query, key = scores[0], scores[1].repeat_interleave(2, 1)
    wanted = torch.sigmoid(attention.sinks - (query * key).sum(-1) / 12**0.5)
    torch.testing.assert_close(sink, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ["MiniCPM 3", "DeepSeek V2", "DeepSeek V2, Lite", "DeepSeek V3"])
def test_latent_matrices_make_the_products_that_stand_for_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first position, where nothing is turned; what the norms divide by is put in."""
    model = zoo.make(name, torch.float64)
    tapped, scored, given = get_engine("torch").open(model), [], []
    own = torch.nn.functional.scaled_dot_product_attention

    def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **named: Any) -> torch.Tensor:
        scored.append([each[:, :, 0].detach() for each in (query, key, value)])
        return own(query, key, value, **named)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    attention = tapped.architecture.modules(model)[-1].self_attn
    attention.kv_a_proj_with_mqa.register_forward_hook(
        lambda _, inputs, output: given.append((inputs[0][:, 0], output))
    )
    with torch.no_grad(), tapped.architecture.while_read(model):
        model(zoo.batch()[0], use_cache=False)
    x, down = given[0][0], given[0][1][:, 0, :16]
    W_Q, W_K, W_V = (tapped.weights()[f"blocks.1.attn.W_{letter}"] for letter in "QKV")
    assert W_Q.shape == W_K.shape == (4, 32, 14)
    assert W_V.shape == (4, 32, 6)

    def norm(latent: torch.Tensor, module: torch.nn.Module) -> torch.Tensor:
        return (latent.square().mean(-1) + module.variance_epsilon).rsqrt()[:, None, None]

    of_queries = norm(attention.q_a_proj(x), attention.q_a_layernorm) if attention.q_a_proj is not None else 1
    of_keys = norm(down, attention.kv_a_layernorm)
    query, key, value = (torch.einsum("bd,hdk->bhk", x, W) for W in (W_Q, W_K, W_V))
    key = torch.cat([key[..., :10] * of_keys, key[..., 10:]], -1)
    # The halves of what is turned may change places: norms are compared there.
    for found, made in zip(scored[-1], (query * of_queries, key, value * of_keys), strict=True):
        plain = min(10, made.shape[-1])
        torch.testing.assert_close(found[..., :plain], made[..., :plain], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(
            found[..., plain:].norm(dim=-1), made[..., plain:].norm(dim=-1), rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize("name", GATED)
def test_the_activation_function_is_given_what_the_gate_gives(name: str) -> None:
    tapped = get_engine("torch").open(zoo.make(name, torch.float64))
    entry, layer, last = LAST[name], tapped.architecture.modules(tapped.model)[-1], tapped.n_layers - 1
    place, given = entry.matrices["mlp.W_gate"], []
    module = layer.get_submodule(place.module if isinstance(place, Half) else place)
    mlp = layer.get_submodule(entry.taps["mlp_post"].module.rpartition(".")[0])
    activation = next(child for path, child in mlp.named_children() if path in ("act_fn", "activation_fn", "act"))
    module.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    tokens, positions = zoo.batch()
    site = Site(last, "mlp_post")
    neurons = tapped.read(tokens, positions, [site]).activations[site]
    weights = tapped.weights()
    biases = {}
    for part in ("gate", "in"):
        place = entry.matrices[f"mlp.W_{part}"]
        bias = layer.get_submodule(place.module if isinstance(place, Half) else place).bias
        bias = torch.zeros(()) if bias is None else bias.detach()
        biases[part] = bias.chunk(2)[place.number] if isinstance(place, Half) and bias.ndim else bias
    gate, up = (given[0].detach() @ weights[f"blocks.{last}.mlp.W_{part}"] + biases[part] for part in ("gate", "in"))
    with torch.no_grad():
        wanted = (activation(gate) * up).flatten(0, 1)
    rows = (torch.arange(len(tokens))[:, None] * tokens.shape[1] + positions).flatten()
    torch.testing.assert_close(neurons, wanted[rows], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", FUSED)
def test_queries_and_keys_of_fused_projections_are_those_that_attention_scores(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the first position, where a rotary embedding turns nothing."""
    model = zoo.make(name, torch.float64)
    tapped, scored, given = get_engine("torch").open(model), [], []
    own = torch.nn.functional.scaled_dot_product_attention

    def attend(query: torch.Tensor, key: torch.Tensor, *rest: object, **named: object) -> torch.Tensor:
        scored.append((query, key))
        return own(query, key, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attend)
    entry, heads = tapped.architecture, tapped.heads
    assert entry.attention is not None
    assert heads is not None
    module = entry.modules(model)[-1].get_submodule(entry.attention.projections.module)  # type: ignore[attr-defined]
    module.register_forward_hook(lambda _, inputs, output: given.append(inputs[0]))
    with torch.no_grad():
        model(zoo.batch()[0], use_cache=False)
    weights, inputs = tapped.weights(), given[0]
    for letter, found in zip("QK", scored[-1], strict=True):
        W = weights[f"blocks.{tapped.n_layers - 1}.attn.W_{letter}"]
        ours = torch.einsum("bd,hdk->bhk", inputs[:, 0], W)
        shown = heads.per_query(found[:, :, 0], dim=1) if found.shape[1] != heads.count else found[:, :, 0]
        # What is left is the bias, the same in every sequence. Rotary embeddings may be in float32.
        left = shown - ours
        assert float((left if module.bias is None else left - left[:1]).abs().max()) < 1e-6, f"W_{letter}"


@pytest.mark.parametrize("layer", [0, 3])
def test_the_stream_of_gemma_4_is_multiplied_and_has_an_embedding_for_every_layer(layer: int) -> None:
    model = zoo.make("Gemma 4, small", torch.float64)
    tapped, given = get_engine("torch").open(model), []
    own = tapped.architecture.modules(model)[layer]
    own.layer_scalar.fill_(0.7)
    own.post_per_layer_input_norm.register_forward_hook(lambda _, inputs, output: given.append(output.flatten(0, 1)))
    tokens, positions = zoo.batch()[0], torch.arange(11).expand(2, -1)
    sites = {name: Site(layer, name) for name in ("resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post")}
    read = tapped.read(tokens, positions, list(sites.values())).activations
    found = {name: read[site] for name, site in sites.items()}
    torch.testing.assert_close(found["resid_mid"], found["resid_pre"] + found["attn_out"])
    torch.testing.assert_close(found["resid_post"], 0.7 * (found["resid_mid"] + found["mlp_out"] + given[0].detach()))


def test_heads_of_gemma_4_have_the_size_of_their_layer() -> None:
    tapped = get_engine("torch").open(zoo.make("Gemma 4"))
    weights = tapped.weights()
    assert [(each.key_values, each.size) for each in (tapped.heads_in(0), tapped.heads_in(1)) if each] == [
        (2, 12),
        (1, 16),
    ]
    assert torch.equal(weights["blocks.1.attn.W_K"], weights["blocks.1.attn.W_V"])
    assert torch.equal(weights["blocks.0.attn.W_K"][0], weights["blocks.0.attn.W_K"][1])
    sharing = get_engine("torch").open(zoo.make("Gemma 4, small"))
    assert not sharing.architecture.has(Site(3, "ov_out"))
    assert [name for name in sharing.weights() if name.startswith("blocks.3.attn")] == [
        "blocks.3.attn.W_Q",
        "blocks.3.attn.W_O",
    ]


@pytest.mark.parametrize(
    "name",
    [name for name, (_, own) in zoo.MODELS.items() if own.get("num_key_value_heads") == 2 and name not in GEMMA4],
)
def test_shared_keys_and_values_are_repeated_and_their_true_number_is_kept(name: str) -> None:
    tapped = get_engine("torch").open(zoo.make(name))
    weights = tapped.weights()
    assert tapped.heads is not None
    assert (tapped.heads.count, tapped.heads.key_values) == (4, 2)
    for letter in "KV":
        shared = weights[f"blocks.{tapped.n_layers - 1}.attn.W_{letter}"]
        assert shared.shape == weights[f"blocks.{tapped.n_layers - 1}.attn.W_Q"].shape
        assert torch.equal(shared[0], shared[1])
        assert not torch.equal(shared[1], shared[2])


@pytest.mark.parametrize("name", zoo.MODELS)
def test_logits_are_the_models_own(name: str) -> None:
    model, (tokens, positions) = zoo.make(name), zoo.batch()
    tapped = get_engine("torch").open(model)
    hidden = tapped.read(tokens, positions, [], final_hidden=True).final_hidden
    assert hidden is not None
    with torch.no_grad(), tapped.architecture.while_read(model):
        wanted = model(tokens, use_cache=False).logits.log_softmax(-1)
    found = torch.stack([logits_from_hidden(each, unembedding_of(model)) for each in hidden]).log_softmax(-1)
    # The promise, of logarithms of probabilities; float32 gives a few 1e-6.
    assert float((found - wanted).abs().max()) <= 1e-5
    check_unembedding(tapped, tokens[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_model_that_does_more_to_its_logits_is_refused(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    model, (tokens, _) = zoo.make("Gemma 2", dtype), zoo.batch()
    tapped = get_engine("torch").open(model)
    check_unembedding(tapped, tokens[0])
    own = model.config.final_logit_softcapping
    model.register_forward_pre_hook(lambda *_: setattr(model.config, "final_logit_softcapping", own))
    model.register_forward_hook(lambda *_: setattr(model.config, "final_logit_softcapping", None))
    model.config.final_logit_softcapping = None  # as if it were not known that logits are capped
    with pytest.raises(PhasescopeError, match=r"does more to its logits .*--no-outputs"):
        check_unembedding(tapped, tokens[0])


def test_reading_an_rwkv_model_does_not_rescale_it() -> None:
    """transformers divides weights in place when an RWKV model is first evaluated."""
    model, (tokens, positions) = zoo.make("RWKV"), zoo.batch()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tapped = get_engine("torch").open(model)
    sites = tapped.architecture.select(tapped.components(), tapped.n_layers)
    first = tapped.read(tokens, positions, sites, final_hidden=True)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.config.rescale_every == 1
    with torch.no_grad():
        theirs = model(tokens, use_cache=False).logits.log_softmax(-1)
        assert not torch.equal(
            model.state_dict()["rwkv.blocks.1.attention.output.weight"], before["rwkv.blocks.1.attention.output.weight"]
        )
        assert first.final_hidden is not None
        ours = (first.final_hidden @ model.head.weight.T).log_softmax(-1)
    # Rescaling changes the residual stream and not the logits, apart from the final norm's epsilon.
    assert float((ours - theirs).abs().max()) < 1e-3
    with pytest.raises(PhasescopeError, match="divided the weights"):
        tapped.read(tokens, positions, sites)


def test_the_hidden_states_of_a_masked_model_see_both_sides() -> None:
    model, (tokens, positions) = zoo.make("BERT"), zoo.batch()
    assert get_architecture(model.config).masked
    changed = tokens.clone()
    changed[:, -1] = (changed[:, -1] + 1) % zoo.VOCABULARY
    tapped = get_engine("torch").open(model)
    first, second = (tapped.read(each, positions[:, 1:2], [Site(1, "resid_post")]) for each in (tokens, changed))
    assert not torch.allclose(first.activations[Site(1, "resid_post")], second.activations[Site(1, "resid_post")])


def test_a_setting_that_no_entry_covers_is_named() -> None:
    config = zoo.make("Bloom", apply_residual_connection_post_layernorm=True).config
    with pytest.raises(PhasescopeError, match=r"'bloom' model are with apply_residual_connection_post_layernorm=True:"):
        get_architecture(config)


@pytest.mark.parametrize("component", ["pattern", "attn_out"])
def test_what_mamba_lacks_is_said(component: str) -> None:
    model, (tokens, positions) = zoo.make("Mamba"), zoo.batch()
    with pytest.raises(PhasescopeError, match=rf"no {component} in this mamba model: its layers .*mixer_out"):
        get_engine("torch").open(model).read(tokens, positions, [Site(0, component)])
