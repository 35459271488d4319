"""A probe in a training: it changes nothing in it, and records what a capture of saved checkpoints would."""

from __future__ import annotations

import copy
import json
import re
import resource
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel, Trainer, TrainingArguments

import phasescope as ps
from phasescope.errors import PhasescopeWarning
from phasescope.store import RunFolder, ShardKey, verify
from tests.conftest import make_tokenizer

ASKED: dict[str, Any] = {"sequences": 6, "context": 16, "output_sequences": 3, "positions": 2, "strict": True}
STEPS = (0, 1, 2, 4, 5)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def new_model(seed: int = 0, architecture: str = "gpt_neox", **settings: Any) -> PreTrainedModel:
    """With dropout: training draws random numbers, and each must be the one that it would have been."""
    torch.manual_seed(seed)
    shape = {"hidden_size": 16, "num_hidden_layers": 2}
    if architecture != "mamba":
        shape |= {"num_attention_heads": 2, "intermediate_size": 32}
    dropout = {"hidden_dropout": 0.2, "attention_dropout": 0.1} if architecture == "gpt_neox" else {}
    config = AutoConfig.for_model(
        architecture, **{**shape, **dropout, "vocab_size": 320, "max_position_embeddings": 32, **settings}
    )
    return AutoModelForCausalLM.from_config(config)


def update(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One update, on a batch that is drawn here and now."""
    tokens = torch.randint(0, 300, (2, 16))
    model(input_ids=tokens, labels=tokens).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def train(
    probe: ps.TrainingProbe | None,
    updates: int = 5,
    seed: int = 0,
    save: Path | None = None,
    architecture: str = "gpt_neox",
) -> PreTrainedModel:
    """A plain loop, with or without a probe, with or without saving every step."""
    model = new_model(seed, architecture).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for n in range(updates + 1):
        if n:
            update(model, optimizer)
        if save:
            model.save_pretrained(save / "tiny" / f"seed{seed}" / f"step{n}")
        if probe:
            probe.step(model, n)
    if probe:
        probe.close()
    return model


def digests(run: Path) -> dict[str, str]:
    folder = RunFolder(run)
    found = {}
    for key in folder.shards():
        with folder.open_shard(key) as shard:
            found[key.label] = shard.digest
    return found


@pytest.fixture
def probe(texts_file: Path, tmp_path: Path) -> ps.TrainingProbe:
    return ps.TrainingProbe(tmp_path / "live", texts_file, make_tokenizer(), size="tiny", **ASKED)


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama", "mamba", "rwkv"])
def test_shards_are_bit_for_bit_those_of_checkpoints_saved_at_the_same_steps(
    architecture: str, probe: ps.TrainingProbe, texts_file: Path, tmp_path: Path
) -> None:
    suite = tmp_path / architecture
    train(probe, save=suite, architecture=architecture)
    make_tokenizer().save_pretrained(suite)  # type: ignore[attr-defined]
    asked = {name: value for name, value in ASKED.items() if name != "strict"}
    saved = ps.capture(suite, texts_file, tmp_path / "saved", steps=STEPS, compare_seeds=False, **asked)
    live = tmp_path / "live"
    assert digests(live) == digests(saved.path)
    assert sorted(key.step for key in RunFolder(live).shards()) == list(STEPS)
    assert (live / "inputs.h5").read_bytes() == (saved.path / "inputs.h5").read_bytes()


def test_training_is_the_same_with_the_probe_as_without(probe: ps.TrainingProbe) -> None:
    plain, probed = train(None), train(probe)
    after = torch.get_rng_state()
    train(None)
    assert torch.equal(torch.get_rng_state(), after)
    for (name, one), other in zip(plain.state_dict().items(), probed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_the_run_is_a_run_like_any_other(probe: ps.TrainingProbe, tmp_path: Path) -> None:
    train(probe)
    run = ps.open_run(tmp_path / "live")
    assert [finding.problem for finding in verify(run.folder) if finding.problem] == []
    assert run.folder.index.is_file()
    assert run.steps("tiny", 0) == list(STEPS)
    assert set(run.layer(1, "mlp_out").convergence()["step"]) == set(STEPS)
    assert run.surprisal()["step"].tolist() == list(STEPS)
    assert run.report().is_file()
    (training,) = run.manifest["trainings"]
    assert (training["size"], training["seed"]) == ("tiny", 0)
    assert training["overhead"] == pytest.approx(probe.overhead, abs=1e-4)
    assert training["seconds_probing"] == pytest.approx(probe.seconds, abs=1e-3)
    assert run.manifest["failed"] == []


def test_info_shows_what_the_probe_took(probe: ps.TrainingProbe, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from phasescope.cli import app

    train(probe)
    shown = CliRunner().invoke(app, ["info", str(tmp_path / "live")]).stdout
    assert "Captured while training" in shown


@pytest.mark.parametrize("resume", [False, True])
def test_with_the_trainer_of_transformers(resume: bool, texts_file: Path, tmp_path: Path) -> None:
    """The real Trainer, stopped and resumed from a checkpoint or not: same shards, same weights as without a probe."""

    def trained(callbacks: list[Any], steps: int, resuming: bool = False, name: str = "trainer") -> PreTrainedModel:
        data = [
            {"input_ids": torch.randint(0, 300, (16,), generator=torch.Generator().manual_seed(i))} for i in range(40)
        ]
        for item in data:
            item["labels"] = item["input_ids"]
        arguments = TrainingArguments(
            str(tmp_path / name),
            max_steps=steps,
            per_device_train_batch_size=2,
            gradient_accumulation_steps=2,
            learning_rate=1e-2,
            lr_scheduler_type="constant",
            save_steps=3,
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            logging_strategy="no",
        )
        model, tokenizer = new_model(), make_tokenizer()
        tokenizer.pad_token = tokenizer.eos_token  # type: ignore[attr-defined]
        trainer = Trainer(model, arguments, train_dataset=data, processing_class=tokenizer, callbacks=callbacks)
        trainer.train(resume_from_checkpoint=resuming)
        return model

    def new_probe(name: str = "live") -> ps.TrainingProbe:
        return ps.TrainingProbe(tmp_path / name, texts_file, size="tiny", **ASKED)

    if resume:
        trained([], 3, name="plain")
        trained([new_probe()], 3)
        before = digests(tmp_path / "live")
    plain = trained([], 5, resuming=resume, name="plain")
    probed = trained([new_probe()], 5, resuming=resume)
    expected = {0, 1, 2, 3, 4, 5} if resume else set(STEPS)
    if resume:
        assert {label: digests(tmp_path / "live")[label] for label in before} == before
    assert {key.step for key in RunFolder(tmp_path / "live").shards()} == expected
    for (name, one), other in zip(plain.state_dict().items(), probed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name


def test_a_second_training_captures_only_what_is_missing(
    probe: ps.TrainingProbe, texts_file: Path, tmp_path: Path
) -> None:
    train(probe)
    before = digests(tmp_path / "live")
    gone = RunFolder(tmp_path / "live").shard(ShardKey("tiny", 0, 2))
    gone.unlink()
    stays = RunFolder(tmp_path / "live").shard(ShardKey("tiny", 0, 4))
    stamp = stays.stat().st_mtime_ns
    again = ps.TrainingProbe(tmp_path / "live", texts_file, make_tokenizer(), size="tiny", **ASKED)
    train(again)
    assert digests(tmp_path / "live") == before
    assert stays.stat().st_mtime_ns == stamp
    (training,) = ps.open_run(tmp_path / "live").manifest["trainings"]
    assert training["seconds_probing"] > again.seconds, "the first time is forgotten"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sequences": 7}, "sequences: 6 there, 7 now"),
        ({"sites": "mlp_out"}, "sites: "),
        ({"family": "other"}, "family: 'gpt_neox' there, 'other' now"),
        ({"tokenizer": make_tokenizer(290)}, "vocabulary: "),
    ],
)
def test_other_inputs_are_refused_before_anything_is_trained(
    change: dict[str, Any], said: str, probe: ps.TrainingProbe, texts_file: Path, tmp_path: Path
) -> None:
    train(probe, updates=1)
    before = digests(tmp_path / "live")
    options = {"texts": texts_file, "tokenizer": make_tokenizer(), "size": "tiny", **ASKED, "strict": False, **change}
    with pytest.raises(ps.PhasescopeError, match=said):
        train(ps.TrainingProbe(tmp_path / "live", **options), seed=1)
    assert digests(tmp_path / "live") == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"steps": "sometimes"}, "'sometimes' is not a choice of steps"),
        ({"size": "a/b"}, "cannot name a size"),
        ({"seed": -1}, "whole number"),
        ({"engine": "nnsight"}, "no option engine"),
        ({"output_sequences": 99}, "do not fit"),
        ({"gradients": "training"}, "Choose gradients='inputs'"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ps.PhasescopeError, match=said):
        ps.TrainingProbe(tmp_path / "live", **{"sequences": 32, **options})


def test_what_cannot_be_read_is_refused_at_the_first_step(texts_file: Path, tmp_path: Path) -> None:
    model = new_model()

    def begin(model: torch.nn.Module, **options: Any) -> None:
        options = {"texts": texts_file, "tokenizer": make_tokenizer(), "context": 16, "sequences": 6, **options}
        ps.TrainingProbe(tmp_path / "live", output_sequences=3, **options).step(model, 0)

    with pytest.raises(ps.PhasescopeError, match="needs the tokenizer"):
        begin(model, tokenizer=None)
    with pytest.raises(ps.PhasescopeError, match="this is a Linear"):
        begin(torch.nn.Linear(2, 2))
    with pytest.raises(ps.PhasescopeError, match="context of 99"):
        begin(model, context=99)
    with pytest.raises(ps.PhasescopeError, match="There is no resid_mid"):
        begin(model, sites="resid_mid")
    with pytest.raises(ps.PhasescopeError, match="do not belong together"):
        begin(new_model(vocab_size=280))
    spread = new_model()
    spread.get_input_embeddings().weight.data = torch.empty(0)
    with pytest.raises(ps.PhasescopeError, match=r"spread over several processes \(gpt_neox.embed_in.weight"):
        begin(spread)
    assert not list((tmp_path / "live").glob("checkpoints/**/*.h5"))


def test_sizes_and_seeds_write_into_one_run_and_are_compared(texts_file: Path, tmp_path: Path) -> None:
    """No checkpoint is there to read the unembedding from: it is in the shards."""
    for seed in (1, 2):
        probe = ps.TrainingProbe(
            tmp_path / "live", texts_file, make_tokenizer(), size="tiny", seed=seed, compare_seeds=True, **ASKED
        )
        train(probe, updates=2, seed=seed)
    run = ps.open_run(tmp_path / "live")
    assert run.seeds("tiny") == [1, 2]
    assert [entry["seed"] for entry in run.manifest["trainings"]] == [1, 2]
    assert run.seed_divergence()["step"].tolist() == [0, 1, 2]
    with run.folder.open_cohort("tiny", 2) as cohort:
        kl = cohort.read("kl")
    tokens = torch.from_numpy(run.inputs.tokens[:3]).long()
    one, two = (
        train(None, updates=2, seed=seed)
        .eval()(tokens)
        .logits[:, :-1, : run.inputs.vocabulary]
        .double()
        .log_softmax(-1)
        for seed in (1, 2)
    )
    expected = (one.exp() * (one - two)).sum(-1)
    torch.testing.assert_close(torch.from_numpy(kl[0, 1]).double(), expected.detach(), rtol=1e-4, atol=1e-6)
    # Another size of model is of the same run, and no cohort of these.
    other = ps.TrainingProbe(tmp_path / "live", texts_file, make_tokenizer(), seed=1, compare_seeds=True, **ASKED)
    larger = new_model(hidden_size=24)
    with other:
        other.step(larger, 0)
    name = f"{sum(p.numel() for p in larger.parameters()) / 1000:.0f}k"
    run = ps.open_run(tmp_path / "live")
    assert run.sizes == [name, "tiny"]
    assert run.folder.cohorts() == [("tiny", 0), ("tiny", 1), ("tiny", 2)]


# HDF5 would complain once more when what it could not write is collected, and bring the process down at its end.
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_does_not_end_the_training(texts_file: Path, tmp_path: Path) -> None:
    """A limit on the size of files gives the same kind of error as a full disk; later there is room again."""
    asked = {**ASKED, "strict": False}
    probe = ps.TrainingProbe(tmp_path / "live", texts_file, make_tokenizer(), size="tiny", **asked)
    model = new_model().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    probe.step(model, 0)
    for n in range(1, 9):
        update(model, optimizer)
        if n in (2, 4):
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, unlimited[1]))
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                probe.step(model, n)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        assert len(told) == (n == 2), "said once"
        if n == 2:
            assert re.match(
                "tiny/seed0/step2 was not captured, and training goes on: There is no", str(told[0].message)
            )
    probe.close()
    run = ps.open_run(tmp_path / "live")
    assert run.steps("tiny", 0) == [0, 1, 8]
    assert [entry["step"] for entry in run.manifest["failed"]] == [2, 4]
    assert all("There is no space left" in entry["reason"] for entry in run.manifest["failed"])
    assert not list((tmp_path / "live").rglob(".*tmp*"))


def test_a_model_that_diverged_is_told_and_strict_ends_the_training(
    probe: ps.TrainingProbe, texts_file: Path, tmp_path: Path
) -> None:
    model = new_model().train()
    with torch.no_grad():
        model.get_output_embeddings().weight[3, 2] = torch.nan
    with pytest.raises(ps.PhasescopeError, match=r"has NaN or infinity in lm_head\.weight"):
        probe.step(model, 0)
    lenient = ps.TrainingProbe(
        tmp_path / "live", texts_file, make_tokenizer(), size="tiny", **{**ASKED, "strict": False}
    )
    with pytest.warns(PhasescopeWarning, match="step0 was not captured, and training goes on: .* NaN"):
        lenient.step(model, 0)
    assert model.training
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lenient.step(model, 1)  # said already
    (first, second) = ps.open_run(tmp_path / "live").manifest["failed"]
    assert (first["step"], second["step"]) == (0, 1)


def test_after_an_error_in_the_loop_no_step_is_made_up(probe: ps.TrainingProbe, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="the loop"), probe:
        probe.step(model := new_model().train(), 0)
        probe.step(model, 3)
        raise RuntimeError("the loop")
    run = ps.open_run(tmp_path / "live")
    assert run.steps("tiny", 0) == [0]
    assert run.folder.index.is_file()


def test_leaving_a_with_block_captures_the_last_step(probe: ps.TrainingProbe, tmp_path: Path) -> None:
    with probe:
        probe.step(model := new_model().train(), 0)
        probe.step(model, 7)
    # Nothing was updated: the steps have the same weights.
    assert ps.open_run(tmp_path / "live", keep_suspect=True).steps("tiny", 0) == [0, 7]


def test_the_steps_can_be_chosen(texts_file: Path, tmp_path: Path) -> None:
    probe = ps.TrainingProbe(tmp_path / "live", texts_file, make_tokenizer(), size="tiny", steps="log,every:5", **ASKED)
    model = new_model()
    for n in range(12):
        probe.step(model, n)
    probe.close()
    # Nothing was updated: the steps have the same weights.
    assert ps.open_run(tmp_path / "live", keep_suspect=True).steps("tiny", 0) == [0, 1, 2, 4, 5, 8, 10, 11]


@pytest.mark.parametrize("wrapper", ["data_parallel", "compiled", "autocast", "checkpointing"])
def test_a_model_in_use_is_found_and_left_as_it_was(wrapper: str, probe: ps.TrainingProbe, tmp_path: Path) -> None:
    model = new_model().train()
    model.gpt_neox.layers[0].eval()  # part of it is frozen
    model.gpt_neox.embed_in.weight.requires_grad_(False)
    if wrapper == "checkpointing":
        model.activation_checkpointing_enable()
    wrapped: Any = model
    if wrapper == "data_parallel":
        wrapped = torch.nn.DataParallel(model)
    if wrapper == "compiled":
        wrapped = torch.compile(model, backend="eager")
    with torch.autocast("cpu", torch.bfloat16, enabled=wrapper == "autocast"):
        tokens = torch.randint(0, 300, (2, 16))
        model(input_ids=tokens, labels=tokens).loss.backward()
        before = _everything(model)
        probe.step(wrapped, 0)
        assert _everything(model) == before
    fresh = ps.TrainingProbe(tmp_path / "fresh", probe._request.texts or "", make_tokenizer(), size="tiny", **ASKED)
    fresh.step(copy.deepcopy(model).eval(), 0)
    assert digests(tmp_path / "live") == digests(tmp_path / "fresh")


def _everything(model: PreTrainedModel) -> dict[str, Any]:
    return {
        "modes": [module.training for module in model.modules()],
        "gradients": [p.grad if p.grad is None else p.grad.sum().item() for p in model.parameters()],
        "required": [p.requires_grad for p in model.parameters()],
        "config": model.config.to_dict(),
        "random": torch.get_rng_state().sum().item(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "checkpointing": model.is_activation_checkpointing,
        "weights": [p.sum().item() for p in model.parameters()],
        "grad": torch.is_grad_enabled(),
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()],
    }


def test_rwkv_keeps_the_weights_that_are_trained(texts_file: Path, tmp_path: Path) -> None:
    """In evaluation mode it divides them in place, layer after layer; so does whoever evaluates between two steps."""
    model = new_model(architecture="rwkv", rescale_every=1).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    tokens = torch.randint(0, 300, (2, 8))
    wanted = model(tokens).logits
    for n, evaluated in enumerate((False, True)):
        if evaluated:
            model.eval()(tokens)
            assert not all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        probe = ps.TrainingProbe(tmp_path / f"{n}", texts_file, make_tokenizer(), size="tiny", **ASKED)
        probe.step(model, 0)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert model.training == (not evaluated)
        assert model.config.rescale_every == 1
    assert digests(tmp_path / "0") == digests(tmp_path / "1")
    assert torch.equal(model.train()(tokens).logits, wanted)


def test_what_accelerate_does_for_mixed_precision_is_left_out_and_put_back(
    probe: ps.TrainingProbe, texts_file: Path, tmp_path: Path
) -> None:
    """Shards hold what the weights say in their own precision, as a checkpoint's do."""
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)  # another test's Trainer has chosen for the process
    model = new_model().train()
    plain = copy.deepcopy(model)
    prepared = Accelerator(mixed_precision="bf16", cpu=True).prepare(model)
    tokens = torch.randint(0, 300, (2, 8))
    mixed = prepared.eval()(tokens).logits
    assert not torch.equal(mixed, plain.eval()(tokens).logits), "there is no mixed precision to leave out"
    probe.step(prepared, 0)
    assert torch.equal(prepared(tokens).logits, mixed)
    AcceleratorState._reset_state(reset_partial_state=True)
    ps.TrainingProbe(tmp_path / "plain", texts_file, make_tokenizer(), size="tiny", **ASKED).step(plain, 0)
    assert digests(tmp_path / "live") == digests(tmp_path / "plain")


def test_gradients_are_taken_beside_those_of_training(texts_file: Path, tmp_path: Path) -> None:
    asked = {**ASKED, "gradients": "inputs", "gradient_sequences": 4, "gradient_batches": 2}
    plain = train(None, save=tmp_path / "gpt_neox")
    probed = train(ps.TrainingProbe(tmp_path / "live", texts_file, make_tokenizer(), size="tiny", **asked))
    for (name, one), other in zip(plain.state_dict().items(), probed.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    make_tokenizer().save_pretrained(tmp_path / "gpt_neox")  # type: ignore[attr-defined]
    del asked["strict"]
    saved = ps.capture(tmp_path / "gpt_neox", texts_file, tmp_path / "saved", steps=STEPS, compare_seeds=False, **asked)
    assert digests(tmp_path / "live") == digests(saved.path)


def test_gradients_that_somebody_waits_for_are_refused(texts_file: Path, tmp_path: Path) -> None:
    model = new_model().train()
    next(model.parameters()).register_post_accumulate_grad_hook(lambda parameter: None)
    probe = ps.TrainingProbe(
        tmp_path / "live",
        texts_file,
        make_tokenizer(),
        gradients="inputs",
        gradient_sequences=2,
        gradient_batches=1,
        **ASKED,
    )
    with pytest.raises(ps.PhasescopeError, match="cannot take gradients"):
        probe.step(model, 0)


@pytest.mark.slow
def test_only_the_first_of_several_processes_writes(texts_file: Path, tmp_path: Path) -> None:
    """Two processes train one model together."""
    # Processes that end at once: gloo's own end may wait for a peer that is gone.
    program = (
        "import os; from tests.visits.test_training_probe import *; "
        "train_together(int(sys.argv[1]), *map(Path, sys.argv[2:])); os._exit(0)"
    )
    command = [sys.executable, "-c", program]
    processes = [
        subprocess.Popen(
            [*command, str(rank), str(tmp_path), str(texts_file)],
            cwd=Path(__file__).parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert ps.open_run(tmp_path / "live0").steps("tiny", 0) == [0, 1, 2, 3]
    assert not (tmp_path / "live1").exists()


def train_together(rank: int, folder: Path, texts: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group("gloo", init_method=f"file://{folder / 'meet'}", rank=rank, world_size=2)
    probe = ps.TrainingProbe(folder / f"live{rank}", texts, make_tokenizer(), size="tiny", **ASKED)
    model = DistributedDataParallel(new_model().train())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    torch.manual_seed(rank)
    probe.step(model, 0)
    for n in range(1, 4):
        update(model, optimizer)
        probe.step(model, n)
    probe.close()
    distributed.barrier()


def test_importing_phasescope_stays_light() -> None:
    program = (
        "import sys, phasescope; 'TrainingProbe' in dir(phasescope); print({'torch', 'transformers'} & {*sys.modules})"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


def test_the_manifest_says_where_it_comes_from(probe: ps.TrainingProbe, tmp_path: Path) -> None:
    train(probe, updates=1)
    manifest = json.loads((tmp_path / "live" / "run.json").read_text())
    assert (manifest["family"], manifest["source"], manifest["engine"]) == ("gpt_neox", "training", "torch")
    assert manifest["device"] == "cpu"
