"""`audit --weights`: order, restarts and more, of weights of which little is read, on a loopback hub and in folders."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from phasescope.audit import Finding, audit_suite
from phasescope.errors import PhasescopeError
from phasescope.suites import open_suite
from tests.suites.hub_server import Fault, HubServer, Repository, serving

STEPS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
State = dict[str, Tensor]
CONFIG = {"model_type": "gpt_neox", "vocab_size": 60, "rope_theta": 10000, "transformers_version": "4.30"}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serving({}, tmp_path / "cache", monkeypatch) as server:
        yield server


def drift(seed: int, number: int = len(STEPS), begin: State | None = None) -> list[State]:
    torch.manual_seed(seed)
    names = ["gpt_neox.embed_in.weight", *(f"gpt_neox.layers.{layer}.mlp.weight" for layer in range(12))]
    found = [begin or {name: torch.randn(60, 50) for name in names}]
    while len(found) < number:
        found.append({name: weight + 0.3 * torch.randn_like(weight) for name, weight in found[-1].items()})
    return found


def save(state: State, folder: Path, kind: str = "safetensors", **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    if kind == "safetensors":
        save_file(state, folder / "model.safetensors", metadata={"format": "pt", "of": str(folder)})
    elif kind == "bin":
        torch.save(state, folder / "pytorch_model.bin")
    else:  # in two parts
        names = list(state)
        for part, some in enumerate((names[:5], names[5:]), 1):
            torch.save({name: state[name] for name in some}, folder / f"pytorch_model-{part:05d}-of-00002.bin")
    return folder


def offer(hub: HubServer, training: list[State], root: Path, kind: str = "safetensors") -> dict[str, Path]:
    folders = {f"step{step}": save(state, root / str(step), kind) for step, state in zip(STEPS, training, strict=True)}
    hub.repositories["tiny/neox-14m"] = Repository({"main": folders["step128"], **folders})
    return folders


def said(findings: list[Finding], *certainties: str) -> list[tuple[str, list[int]]]:
    wanted = certainties or ("certain", "likely")
    return [(one.rule, [key.step for key in one.suspects]) for one in findings if one.certainty in wanted]


@pytest.mark.parametrize("kind", ["safetensors", "bin", "parts"])
def test_a_sound_training_is_sound_and_little_is_read(hub: HubServer, tmp_path: Path, kind: str) -> None:
    torch.manual_seed(0)
    large = {"gpt_neox.layers.99.large.weight": torch.randn(300, 1000)}
    offer(hub, [state | large for state in drift(1)], tmp_path, kind)
    suite = open_suite("tiny/neox-14m")
    assert audit_suite(suite) == []
    assert not hub.ranges
    assert audit_suite(suite, weights=True) == []
    asked = [re.fullmatch(r"bytes=(\d+)-(\d+)", one) for one in hub.ranges]
    assert sum(int(one[2]) - int(one[1]) + 1 for one in asked if one) < 400_000 * (len(STEPS) + 1)
    assert not any("pytorch_model" in path.name for path in (tmp_path / "cache").rglob("*"))


FAULTS: dict[str, tuple[Callable[[list[State]], object], list[tuple[str, list[int]]]]] = {
    "late": (lambda of: of.__setitem__(3, of[-1]), [("equal weights", [4])]),
    "near": (lambda of: of.__setitem__(2, {n: w + 0.01 for n, w in of[6].items()}), [("out of order", [2])]),
    "mixed": (lambda of: of[4].update(list(of[-1].items())[:6]), [("some parts equal", [8])]),
    "restart": (lambda of: of.__setitem__(slice(6, 9), drift(9, 4, of[2])[1:]), [("restart", [32, 64, 128])]),
    "step 0": (lambda of: of.__setitem__(0, drift(8, 1)[0]), [("another initialisation", [0])]),
    "other": (lambda of: of.__setitem__(slice(5, 9), drift(8, 4)), [("another training", [16, 32, 64, 128])]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_in_files_that_were_saved_again(hub: HubServer, tmp_path: Path, fault: str) -> None:
    put_in, expected = FAULTS[fault]
    training = drift(2)
    put_in(training)
    # Their metadata differ, so that no hash is equal.
    offer(hub, training, tmp_path, "safetensors" if fault in ("late", "restart") else "parts")
    assert said(audit_suite(open_suite("tiny/neox-14m"), weights=True)) == expected


def test_what_lies_beside_the_weights(hub: HubServer, tmp_path: Path) -> None:
    training = drift(3)
    folders = offer(hub, training, tmp_path)
    save(training[3], folders["step4"], "bin")
    save(training[-1], folders["step8"], "bin", rope_theta=500)
    save(training[5], folders["step16"], vocab_size=61, transformers_version="4.40")
    save(training[6], folders["step32"], torch_dtype="float32")
    (folders["step64"] / "trainer_state.json").write_text(json.dumps({"epoch": 1.0, "global_step": 63}))
    (folders["step2"] / "trainer_state.json").write_text(json.dumps({"epoch": 1.0, "global_step": 2}))
    hub.repositories["tiny/neox-14m"] = Repository({**folders, "main": save(drift(4, 1)[0], tmp_path / "main")})
    found = audit_suite(open_suite("tiny/neox-14m"), weights=True)
    assert said(found) == [
        ("stale variant", [8]),
        ("wrong shapes", [16]),
        ("another step told", [64]),
        ("main is of another training", []),
    ]
    notes = [one.sentence for one in found if one.rule == "another configuration"]
    assert ["rope_theta 500, that of the others 10000" in notes[0], "vocab_size 61" in notes[1]] == [True, True]
    assert len(notes) == 2


def test_what_cannot_be_read_is_told_and_the_others_are_judged(hub: HubServer, tmp_path: Path) -> None:
    training = drift(5)
    training[6] = {name: weight + 0.01 for name, weight in training[1].items()}
    folders = offer(hub, training, tmp_path, "bin")
    (folders["step0"] / "pytorch_model.bin").write_bytes(b"no archive" * 1000)
    torch.save(training[3], folders["step4"] / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    commit = hub.repositories["tiny/neox-14m"].commits["step8"]
    hub.faults.append(Fault(f"/resolve/{commit}", 404, headers={"X-Error-Code": "RevisionNotFound"}))
    found = audit_suite(open_suite("tiny/neox-14m"), weights=True)
    assert said(found) == [("out of order", [32]), ("truncated weights", [0])]
    why = [one.sentence for one in found if one.rule == "not read"]
    no_zip = "cannot be read: it is no zip archive: truncated, or of PyTorch before 1.6. What it holds is not known."
    assert why[:2] == [f"pytorch_model.bin of 14m/seed0/step{step} {no_zip}" for step in (0, 4)]
    assert "14m/seed0/step8 is gone from the hub since it was listed" in why[2]
    assert len(why) == 3


def test_a_hub_that_is_busy_half_way_is_waited_for(hub: HubServer, tmp_path: Path) -> None:
    offer(hub, drift(6), tmp_path)
    hub.faults.append(Fault("/resolve/", 429, times=4, headers={"Retry-After": "0"}))
    assert audit_suite(open_suite("tiny/neox-14m"), weights=True) == []


def resolved(hub: HubServer) -> list[str]:
    return [asked for asked in hub.requests if "/resolve/" in asked]


def test_what_was_read_is_not_asked_for_again(hub: HubServer, tmp_path: Path) -> None:
    training = drift(10)
    training[2] = {name: weight + 0.01 for name, weight in training[6].items()}
    folders = offer(hub, training, tmp_path, "parts")
    (folders["step8"] / "trainer_state.json").write_text(json.dumps({"global_step": 9}))
    (folders["step16"] / "pytorch_model-00001-of-00002.bin").write_bytes(b"no archive" * 1000)
    suite = open_suite("tiny/neox-14m")
    found = audit_suite(suite, weights=True)
    assert said(found) == [("out of order", [2]), ("another step told", [8])]
    assert resolved(hub)
    hub.requests.clear()
    assert audit_suite(suite, weights=True) == found
    assert resolved(hub) == []
    # A part of the suite has another first checkpoint, of which the matrices are chosen.
    assert said(audit_suite(suite.select(steps=[4, 8, 32, 64, 128]), weights=True)) == [("another step told", [8])]
    assert audit_suite(suite, weights=True) == found
    # What is damaged is read anew, and so is another commit.
    for kept in (tmp_path / "cache-phasescope" / "weights").rglob("*.npz"):
        kept.write_bytes(kept.read_bytes()[:100])
    hub.requests.clear()
    assert audit_suite(suite, weights=True) == found
    assert resolved(hub)
    hub.repositories["tiny/neox-14m"].commits["step2"] = "c" * 40
    hub.repositories["tiny/neox-14m"].branches["step2"] = save(drift(10)[2], tmp_path / "mended", "parts")  # type: ignore[index]
    hub.requests.clear()
    assert said(audit_suite(suite, weights=True)) == [("another step told", [8])]
    assert {re.search(r"/resolve/(\w+)", asked)[1] for asked in resolved(hub)} == {"c" * 40}  # type: ignore[index]


def test_an_audit_that_was_stopped_goes_on_where_it_was(hub: HubServer, tmp_path: Path) -> None:
    offer(hub, drift(11), tmp_path)
    suite = open_suite("tiny/neox-14m")
    commits = hub.repositories["tiny/neox-14m"].commits
    hub.faults.append(Fault(f"/resolve/{commits['step64']}", 429, headers={"Retry-After": "0"}))
    with pytest.raises(PhasescopeError, match="answered 429 for tiny/neox-14m@step64: it asks for patience"):
        audit_suite(suite, weights=True)
    kept = list((tmp_path / "cache-phasescope" / "weights").rglob("*.npz"))
    assert len(kept) > 3
    assert not list((tmp_path / "cache-phasescope").rglob("*.part"))
    hub.faults.clear()
    hub.requests.clear()
    assert audit_suite(suite, weights=True) == []
    begun = {path.name.split("-")[0] for path in kept}
    assert not [asked for asked in resolved(hub) if "model.safetensors" in asked and any(one in asked for one in begun)]


TOKENIZER = {
    "version": "1.0",
    "added_tokens": [{"id": 3, "content": "<s>", "special": True}],
    "normalizer": None,
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "<s>": 3}, "merges": ["a b"]},
}


def test_tokenizers_are_compared_by_what_they_do(hub: HubServer, tmp_path: Path) -> None:
    folders = offer(hub, drift(12), tmp_path)
    newer = json.loads(json.dumps(TOKENIZER))
    newer |= {"version": "1.1", "truncation": None}
    newer["model"] |= {"merges": [["a", "b"]], "ignore_merges": False}
    newer["pre_tokenizer"] |= {"use_regex": True}
    other = json.loads(json.dumps(TOKENIZER))
    other["model"]["vocab"] |= {"c": 4}
    other["pre_tokenizer"] |= {"add_prefix_space": True}
    for name, folder in folders.items():
        told = {"step2": newer, "step4": other}.get(name, TOKENIZER)
        (folder / "tokenizer.json").write_text(json.dumps(told))
        short = {"tokenizer_class": "GPTNeoXTokenizer"}
        long = short | {"add_prefix_space": False, "bos_token": "<s>", "add_bos_token": name == "step32"}
        (folder / "tokenizer_config.json").write_text(json.dumps(short if name == "step16" else long))
    (folders["step64"] / "tokenizer.json").write_text("{")
    found = audit_suite(open_suite("tiny/neox-14m"), weights=True)
    assert {one.certainty for one in found} == {"note"}
    notes = [(one.sentence.partition(": another")[0], [key.step for key in one.checkpoints]) for one in found]
    assert [steps for _, steps in notes] == [[4], [4], [32], [64]]
    assert notes[0][0].startswith("14m: tokenizer.json of step 4 says pre_tokenizer {")
    assert "says vocabulary 5 entries (" in notes[1][0].replace('"', "")
    assert notes[2][0] == "14m: tokenizer_config.json of step 32 says add_bos_token true, that of the others false"
    assert "step 64 has another tokenizer.json than the other checkpoints" in notes[3][0]


def test_a_value_that_is_not_told_is_what_the_architecture_has(hub: HubServer, tmp_path: Path) -> None:
    folders = offer(hub, drift(13), tmp_path)
    for name, value in {"step2": {"use_parallel_residual": True}, "step4": {"use_parallel_residual": False}}.items():
        (folders[name] / "config.json").write_text(json.dumps(CONFIG | value))
    (note,) = audit_suite(open_suite("tiny/neox-14m"), weights=True)
    assert "config.json of step 4 says use_parallel_residual false, that of the others true" in note.sentence


def test_shapes_that_do_not_fit_the_configuration(hub: HubServer, tmp_path: Path) -> None:
    folders = offer(hub, drift(15), tmp_path)
    said_of = {"num_hidden_layers": 12, "hidden_size": 50}
    for name, folder in folders.items():
        further = {"num_hidden_layers": 11, "num_nextn_predict_layers": 1}
        wrong = {
            "step2": further,
            "step4": {"num_hidden_layers": 24},
            "step16": {"hidden_size": 64},
            "step32": {"hidden_size": None},
        }
        (folder / "config.json").write_text(json.dumps(CONFIG | said_of | wrong.get(name, {})))
    found = [one for one in audit_suite(open_suite("tiny/neox-14m"), weights=True) if one.rule == "wrong shapes"]
    assert [one.sentence for one in found] == [
        "14m: at step 4 config.json says 24 layers, and the weights have 12: one of the two is of another model.",
        "14m: at step 16 config.json says 64 dimensions, and the embedding has 50: one of the two is of another model.",
    ]
    # Of a file in two parts one alone may tell too few layers; and embeddings may be narrower than the layers.
    for name, folder in folders.items():
        (folder / "config.json").write_text(json.dumps(CONFIG | {"hidden_size": 64, "word_embed_proj_dim": 50}))
        (folder / "model.safetensors").unlink()
        save(drift(15)[STEPS.index(int(name[4:]))], folder, "parts", **{**said_of, "word_embed_proj_dim": 50})
    hub.repositories["tiny/neox-14m"] = Repository({**folders})
    for revision in folders:
        hub.repositories["tiny/neox-14m"].commits[revision] = "d" * 30 + f"{int(revision[4:]):010d}"
    assert said(audit_suite(open_suite("tiny/neox-14m"), weights=True)) == []


def test_what_deepspeed_says_of_the_step(hub: HubServer, tmp_path: Path) -> None:
    folders = offer(hub, drift(14), tmp_path)
    (folders["step8"] / "latest").write_text("global_step8\n")
    (folders["step16"] / "latest").write_text("global_step32\n")
    (finding,) = audit_suite(open_suite("tiny/neox-14m"), weights=True)
    assert finding.sentence == "14m at step 16: the latest beside the weights is of step 32."


def test_folders_are_read(tmp_path: Path) -> None:
    training = drift(7)
    training[2:4] = training[3], training[2]
    for step, state in zip(STEPS, training, strict=True):
        save(state, tmp_path / f"step{step}")
    ((rule, steps),) = said(audit_suite(open_suite(tmp_path)))
    assert rule == "out of order"
    assert set(steps) & {2, 4}
