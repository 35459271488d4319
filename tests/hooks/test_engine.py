from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from transformers import PreTrainedModel

import phasescope as ps
from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.hooks import ENGINES, Site, TappedModel, get_engine
from tests.hooks import zoo

Batch = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(scope="module")
def model(build: Callable[..., PreTrainedModel]) -> TappedModel:
    return get_engine("torch").open(build(parallel=True))


@pytest.mark.parametrize("name", ENGINES)
def test_every_engine_in_the_registry_is_there_and_knows_its_name(name: str) -> None:
    assert get_engine(name).name == name


def test_an_unknown_engine_is_refused_with_the_nearest() -> None:
    with pytest.raises(PhasescopeError, match="Did you mean nnsight"):
        get_engine("nnsigt")


def test_the_room_is_entered_without_loading_any_heavy_library() -> None:
    heavy = ["torch", "transformers", "transformer_lens", "nnsight"]
    asked = f"import sys, phasescope.hooks; print([name for name in {heavy} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_a_tapped_model_tells_its_measures(model: TappedModel) -> None:
    assert (model.n_layers, model.heads and model.heads.count, model.d_model) == (3, 5, 40)
    assert model.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("tokens", "positions", "told"),
    [
        (torch.zeros(4, dtype=torch.long), torch.zeros(1, 1, dtype=torch.long), r"\(4,\)"),
        (torch.zeros(2, 4, dtype=torch.long), torch.zeros(3, 1, dtype=torch.long), r"\(2, 4\) and \(3, 1\)"),
        (torch.zeros(2, 0, dtype=torch.long), torch.zeros(2, 1, dtype=torch.long), "nothing to read"),
        (torch.zeros(2, 4, dtype=torch.long), torch.zeros(2, 0, dtype=torch.long), "nothing to read"),
        (torch.zeros(2, 4, dtype=torch.long), torch.tensor([[0], [4]]), "from 0 to 4, the context has 4"),
        (torch.zeros(2, 4, dtype=torch.long), torch.tensor([[0], [-1]]), "from -1 to 0"),
    ],
)
def test_shapes_that_do_not_fit_are_named(
    model: TappedModel, tokens: torch.Tensor, positions: torch.Tensor, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        model.read(tokens, positions, [Site(0, "z")])


def test_tokens_of_another_tokenizer_are_refused(model: TappedModel, batch: Batch) -> None:
    tokens, positions = batch
    with pytest.raises(PhasescopeError, match="61 rows for tokens, but the inputs hold token 61"):
        model.read(tokens.clone().fill_(61), positions, [Site(0, "z")])


def test_a_layer_that_is_not_there_is_refused(model: TappedModel, batch: Batch) -> None:
    with pytest.raises(PhasescopeError, match=r"no L3.z in a model of 3 layers. The nearest is 2"):
        model.read(*batch, [Site(3, "z")])


def test_a_model_in_training_mode_is_refused(build: Callable[..., PreTrainedModel], batch: Batch) -> None:
    with pytest.raises(ValueError, match="training mode"):
        get_engine("torch").open(build().train()).read(*batch, [Site(0, "z")])


def test_nothing_wanted_gives_nothing(model: TappedModel, batch: Batch) -> None:
    reading = model.read(*batch, [])
    assert reading.activations == {}
    assert reading.final_hidden is None


def test_what_cannot_be_tapped_or_read_is_one_sentence() -> None:
    with pytest.raises(PhasescopeError, match=r"What can be tapped is a model of transformers.*this is a Linear"):
        ps.tap(torch.nn.Linear(2, 2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"whole ones: these are torch.float32"):
        ps.tap(zoo.make("Llama")).read(torch.rand(1, 8), sites="mlp_out")


def test_a_forward_pass_that_fails_is_a_bad_checkpoint_with_the_reason() -> None:
    model = zoo.make("OLMoE")
    for layer in model.model.layers:
        layer.mlp.gate.top_k = layer.mlp.gate.num_experts + 1
    with pytest.raises(
        BadCheckpointError, match=r"The forward pass of this .olmoe. model fails .RuntimeError: .*range"
    ):
        ps.tap(model).read(*zoo.batch(), "mlp_out")
