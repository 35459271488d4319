"""What is read through the lens while a run's own text is scored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.hooks import Site, get_engine
from phasescope.probes import score_items
from phasescope.probes.translators import read_translators
from phasescope.texts import Items, Scores
from phasescope.texts.items.items import LENS_SCORES, join
from tests.hooks.zoo import VOCABULARY, make

# Scores are kept in float32.
TOLERANCE = 1e-5
SEQUENCES, LENGTH, EACH = 6, 20, 4
KL, SURPRISAL = LENS_SCORES.index("kl"), LENS_SCORES.index("surprisal")


def passages(name: str = "text-24", source: str = "text", training: int = 0) -> Items:
    random = np.random.default_rng(0)
    rows = [random.integers(0, VOCABULARY, LENGTH) for _ in range(SEQUENCES)]
    rows += [random.integers(0, VOCABULARY, 24) for _ in range(training)]
    spans = [(LENGTH - EACH, LENGTH)] * SEQUENCES + [(1, 24)] * training
    columns = {"sequence": list(range(len(rows))), "training": [0] * SEQUENCES + [1] * training}
    return join("lens", name, rows, spans, columns, source)


@pytest.fixture(scope="module")
def items() -> Items:
    return passages()


def scored(name: str, items: Items, batch: int = 8, engine: str = "torch") -> Scores:
    return score_items(get_engine(engine).open(make(name, torch.float64)), items, VOCABULARY, batch)


def tokens_of(items: Items) -> torch.Tensor:
    return torch.from_numpy(np.stack([items.sequence(number) for number in range(SEQUENCES)]).astype(np.int64))


@pytest.mark.parametrize("name", ["GPT-NeoX, parallel", "Llama", "Gemma 2", "Cohere", "MiniCPM 3", "Mamba"])
def test_the_last_layer_is_the_model_and_parts_add_up_to_its_logits(name: str, items: Items) -> None:
    model, tokens = make(name, torch.float64), tokens_of(items)
    found = scored(name, items)
    with torch.no_grad():
        logits = model(tokens[:, :-1], use_cache=False).logits[:, -EACH:, :VOCABULARY].double()
    targets = tokens[:, -EACH:, None]
    last = found.lens[f"logit/{Site(model.config.num_hidden_layers - 1, 'resid_post').name}"]
    np.testing.assert_array_equal(last[KL], 0)
    own = -logits.log_softmax(-1).gather(-1, targets).flatten()
    np.testing.assert_allclose(last[SURPRISAL], own, atol=TOLERANCE)
    np.testing.assert_allclose(found.log_prob, -last[SURPRISAL], atol=TOLERANCE)
    parts = sum(values[0] for part, values in found.lens.items() if part.startswith("attributed/"))
    if cap := getattr(model.config, "final_logit_softcapping", None):
        logits = cap * torch.atanh(logits / cap)
    np.testing.assert_allclose(parts, (logits.gather(-1, targets) - logits.mean(-1, keepdim=True)).flatten(), atol=1e-4)
    assert np.abs(found.lens["attributed/rest"]).max() < 1e-6


def test_shuffled_is_of_the_next_sequence(items: Items) -> None:
    found = scored("GPT-2", items).lens["logit/blocks.1.hook_resid_post"]
    logits = make("GPT-2", torch.float64)(tokens_of(items)[:, :-1]).logits[:, -EACH:].detach().log_softmax(-1)
    other = logits.roll(-1, 0)
    kl = (other.exp() * (other - logits)).sum(-1).flatten()
    np.testing.assert_allclose(found[LENS_SCORES.index("kl_shuffled")], kl, atol=TOLERANCE)
    asked = tokens_of(items)[:, -EACH:].roll(-1, 0)
    surprisal = -logits.gather(-1, asked[..., None]).flatten()
    np.testing.assert_allclose(found[LENS_SCORES.index("surprisal_shuffled")], surprisal, atol=TOLERANCE)


def test_batches_do_not_matter(items: Items) -> None:
    one, other = scored("Llama", items), scored("Llama", items, batch=1)
    assert one.lens.keys() == other.lens.keys()
    for name, values in one.lens.items():
        np.testing.assert_allclose(values, other.lens[name], atol=TOLERANCE)


@pytest.mark.parametrize("engine", ["transformer_lens", "nnsight"])
def test_every_engine_sees_the_same(engine: str, items: Items) -> None:
    one, other = scored("GPT-2", items), scored("GPT-2", items, engine=engine)
    for name, values in one.lens.items():
        np.testing.assert_allclose(values, other.lens[name], atol=TOLERANCE)


def test_transformer_lens_says_the_same(items: Items) -> None:
    """`ActivationCache.accumulated_resid` and `logit_attrs`; they leave gain and offset out: 1 and 0 here."""
    model, tokens = make("GPT-2", torch.float64), tokens_of(items)
    model.transformer.ln_f.weight.data.fill_(1)
    model.transformer.ln_f.bias.data.zero_()
    found = score_items(get_engine("torch").open(model), items, VOCABULARY, batch=8).lens
    bridge = get_engine("transformer_lens").open(model)._bridge  # type: ignore[attr-defined]
    with torch.no_grad():
        _, cache = bridge.run_with_cache(tokens[:, :-1])
        streams = bridge.unembed(bridge.ln_final(cache.accumulated_resid(incl_mid=False))).log_softmax(-1)
        parts = cache.decompose_resid()
        attributed = cache.logit_attrs(parts, tokens=tokens[:, 1:])
        # Ours are against the mean over the vocabulary.
        mean = cache.apply_ln_to_stack(parts, layer=-1) @ model.lm_head.weight.mean(0)
    own = -streams[:, :, -EACH:].gather(-1, tokens[None, :, -EACH:, None].expand(len(streams), -1, -1, 1)).flatten(1)
    places = [values[SURPRISAL] for name, values in found.items() if name.startswith("logit/")]
    np.testing.assert_allclose(np.stack(places), own, atol=TOLERANCE)
    theirs = (attributed - mean)[:, :, -EACH:].flatten(1)
    theirs = torch.cat([theirs[:1] + theirs[1:2], theirs[2:]])  # of tokens and of positions
    ours = [values[0] for name, values in found.items() if name.startswith("attributed/blocks")]
    np.testing.assert_allclose(np.stack(ours), theirs, atol=TOLERANCE)


def test_a_model_whose_end_is_no_norm_has_no_attribution(items: Items) -> None:
    found = scored("OPT, norm after (350m)", items).lens
    assert found
    assert not [name for name in found if name.startswith("attributed/")]


def test_translators_are_trained_on_other_tokens(items: Items) -> None:
    found = scored("GPT-2", passages("text-24-tuned", training=8)).lens
    plain = scored("GPT-2", items).lens
    nearer = []
    for layer in ("blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_resid_post"):
        np.testing.assert_allclose(found[f"logit/{layer}"], plain[f"logit/{layer}"], atol=TOLERANCE)
        nearer.append(found[f"logit/{layer}"][KL].mean() - found[f"tuned/{layer}"][KL].mean())
    assert min(nearer[:2]) > 0.01
    assert nearer[2] == 0  # the last layer needs none


@pytest.fixture
def translators() -> torch.nn.ModuleList:
    torch.manual_seed(0)
    return torch.nn.ModuleList([torch.nn.Linear(32, 32) for _ in range(2)])


@pytest.mark.parametrize("form", ["tuned-lens", "params.pt", "safetensors"])
def test_translators_are_read_in_every_form(
    form: str, translators: torch.nn.ModuleList, tmp_path: Path, items: Items
) -> None:
    """As `tuned_lens.TunedLens.save` (0.2.0) writes them: the state of a list of linear modules, and its settings."""
    from safetensors.torch import save_file

    torch.save(translators.state_dict(), tmp_path / "params.pt")
    (tmp_path / "config.json").write_text(json.dumps({"d_model": 32, "num_hidden_layers": 2}))
    save_file(dict(translators.state_dict()), tmp_path / "lens.safetensors")
    path = {"tuned-lens": tmp_path, "params.pt": tmp_path / "params.pt"}.get(form, tmp_path / "lens.safetensors")
    found = scored("GPT-2", passages("text-24-translators-0", str(path))).lens
    model, tokens = make("GPT-2", torch.float64), tokens_of(items)
    with torch.no_grad():
        streams = model(tokens[:, :-1], output_hidden_states=True).hidden_states[:-1]
        for move, stream, place in zip(translators.double(), streams, found, strict=False):
            logits = model.lm_head(model.transformer.ln_f(stream + move(stream)))[:, -EACH:].log_softmax(-1)
            own = -logits.gather(-1, tokens[:, -EACH:, None]).flatten()
            moved = found[place.replace("logit/", "tuned/")][SURPRISAL]
            np.testing.assert_allclose(moved, own, atol=TOLERANCE)
    np.testing.assert_array_equal(found["tuned/blocks.1.hook_resid_post"], found["logit/blocks.1.hook_resid_post"])


def test_translators_of_another_model_are_told(translators: torch.nn.ModuleList, tmp_path: Path) -> None:
    path = tmp_path / "params.pt"
    torch.save(translators.state_dict(), path)
    with pytest.raises(PhasescopeError, match=r"2 layers of 32 dimensions|they are of another model"):
        read_translators(path, 3, 32)
    with pytest.raises(PhasescopeError, match="for 2 layers of 32 dimensions, and this model has 2 layers of 40"):
        read_translators(path, 2, 40)
    torch.save({name: tensor * torch.nan for name, tensor in translators.state_dict().items()}, path)
    with pytest.raises(PhasescopeError, match=r"translators in .* are not finite"):
        read_translators(path, 2, 32)
    path.write_bytes(b"no such thing")
    with pytest.raises(PhasescopeError, match="cannot be read as translators"):
        read_translators(path, 2, 32)
    torch.save([1, 2], path)
    with pytest.raises(PhasescopeError, match="holds a list, not translators"):
        read_translators(path, 2, 32)
    with pytest.raises(PhasescopeError, match="There are no translators at"):
        read_translators(tmp_path / "gone.pt", 2, 32)


def test_what_is_not_finite_is_the_models_fault(items: Items) -> None:
    model = make("GPT-2", torch.float32)
    model.transformer.h[0].mlp.c_proj.bias.data.fill_(torch.nan)
    with pytest.raises(BadCheckpointError, match="not finite"):
        score_items(get_engine("torch").open(model), items, VOCABULARY, batch=8)


def test_kept_and_read_back(items: Items, tmp_path: Path) -> None:
    scores = scored("GPT-2", items)
    scores.save(tmp_path / "scores.h5", {"items": items.hash})
    again = Scores.load(tmp_path / "scores.h5", items)
    assert again.lens.keys() == scores.lens.keys()
    for name, values in again.lens.items():
        np.testing.assert_array_equal(values, scores.lens[name])
