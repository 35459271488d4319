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
    assert said(found) == [("out of order", [32])]
    why = [one.sentence for one in found if one.rule == "not read"]
    no_zip = "cannot be read: it is no zip archive: truncated, or of PyTorch before 1.6. What it holds is not known."
    assert why[:2] == [f"pytorch_model.bin of 14m/seed0/step{step} {no_zip}" for step in (0, 4)]
    assert "14m/seed0/step8 is gone from the hub since it was listed" in why[2]
    assert len(why) == 3


def test_a_hub_that_is_busy_half_way_is_waited_for(hub: HubServer, tmp_path: Path) -> None:
    offer(hub, drift(6), tmp_path)
    hub.faults.append(Fault("/resolve/", 429, times=4, headers={"Retry-After": "0"}))
    assert audit_suite(open_suite("tiny/neox-14m"), weights=True) == []


def test_folders_are_read(tmp_path: Path) -> None:
    training = drift(7)
    training[2:4] = training[3], training[2]
    for step, state in zip(STEPS, training, strict=True):
        save(state, tmp_path / f"step{step}")
    ((rule, steps),) = said(audit_suite(open_suite(tmp_path)))
    assert rule == "out of order"
    assert set(steps) & {2, 4}
