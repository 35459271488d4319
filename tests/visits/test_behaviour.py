"""Behaviour beyond the frozen inputs: asked in the capture or later, once for each checkpoint."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import phasescope as ps
from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey, verify
from phasescope.suites import load
from phasescope.texts import Items

ASKED = {"sequences": 4, "context": 16, "output_sequences": 2, "sites": "mlp_out"}
KEYS = [ShardKey("tiny", seed, step) for seed in (1, 2) for step in (0, 4)]


@pytest.fixture(scope="module")
def plain(short_suite: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was asked for nothing beside its inputs. Read only."""
    out = tmp_path_factory.mktemp("plain") / "run"
    ps.capture(short_suite, texts_file, out, **ASKED)
    return out


@pytest.fixture
def run(plain: Path, tmp_path: Path) -> ps.Run:
    shutil.copytree(plain, tmp_path / "run")
    return ps.open_run(tmp_path / "run")


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels of the checkpoints whose models are loaded, in order."""
    labels: list[str] = []
    real = load.load_model

    def counted(checkpoint: Any, **options: Any) -> Any:
        labels.append(checkpoint.label)
        return real(checkpoint, **options)

    monkeypatch.setattr(load, "load_model", counted)
    return labels


def pairs(path: Path, name: str = "weather", good: str = "The layer says") -> Path:
    lines = [
        {"UID": name, "sentence_good": f"{good} {rest}.", "sentence_bad": f"Layer the says {rest}."}
        for rest in ("nothing", "what follows", "the same thing at every step")
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def times(run: Path) -> dict[str, int]:
    return {path.relative_to(run).as_posix(): path.stat().st_mtime_ns for path in sorted(run.rglob("step*.h5"))}


def test_asked_in_the_capture_or_later_is_the_same(
    short_suite: Path, texts_file: Path, run: ps.Run, tmp_path: Path, loaded: list[str]
) -> None:
    spec = f"minimal_pairs={pairs(tmp_path / 'pairs.jsonl')}"
    at_once = ps.capture(short_suite, texts_file, tmp_path / "once", behaviour=spec, **ASKED)
    assert len(loaded) == len(set(loaded)) == 4
    before = run.reader.fingerprint(("behaviour",))
    run.visit(spec)
    assert len(loaded) == 8
    assert run.reader.fingerprint(("behaviour",)) != before
    [items], [others] = at_once.reader.item_sets("minimal_pairs"), run.reader.item_sets("minimal_pairs")
    assert items.hash == others.hash
    for (key, one), (same, other) in zip(at_once.reader.scores(items), run.reader.scores(others), strict=True):
        assert key == same
        np.testing.assert_array_equal(one.log_prob, other.log_prob)
        np.testing.assert_array_equal(one.greedy, other.greedy)
    assert [key for key, _ in at_once.reader.scores(items)] == KEYS


def test_only_what_is_missing_is_done(
    short_suite: Path, texts_file: Path, run: ps.Run, tmp_path: Path, loaded: list[str]
) -> None:
    spec = f"minimal_pairs={pairs(tmp_path / 'pairs.jsonl')}"
    run.visit(spec)
    assert len(loaded) == 4
    before = times(run.path)
    run.visit(spec)
    run.visit("all")
    assert len(loaded) == 8  # `all` asks for our own pairs too; for those of the file nobody is loaded again
    assert before.items() <= times(run.path).items()
    gone = run.folder.scores("minimal_pairs", "weather", KEYS[2])
    gone.unlink()
    ps.capture(short_suite, texts_file, run.path, behaviour="all", **ASKED)
    assert loaded[8:] == ["tiny/seed2/step0"]
    assert gone.is_file()
    assert {name: time for name, time in times(run.path).items() if run.path / name != gone}.items() >= {
        name: time for name, time in before.items() if run.path / name != gone
    }.items()


def test_other_items_of_the_same_name_are_refused(run: ps.Run, tmp_path: Path) -> None:
    run.visit(f"minimal_pairs={pairs(tmp_path / 'pairs.jsonl')}")
    before = times(run.path)
    other = pairs(tmp_path / "other.jsonl", good="The model says")
    with pytest.raises(
        PhasescopeError, match=r"weather of .*other.jsonl is not the weather of .*pairs.jsonl .* item 0"
    ):
        run.visit(f"minimal_pairs={other}")
    # The same pairs in another file are the same.
    run.visit(f"minimal_pairs={pairs(tmp_path / 'copy.jsonl')}")
    assert times(run.path) == before


def test_a_run_with_scores_is_whole_and_a_changed_byte_is_noticed(run: ps.Run, tmp_path: Path) -> None:
    run.visit(f"minimal_pairs={pairs(tmp_path / 'pairs.jsonl')}")
    assert [finding.problem for finding in verify(run.folder) if finding.problem] == []
    with h5py.File(run.path / "run.h5") as index:
        scores = index["behaviour/minimal_pairs/weather/tiny/seed1/step00000004"]
        assert scores.attrs["encoding"] == b"scores"
        assert scores.attrs["items"] == index["behaviour/minimal_pairs/weather/items"].attrs["hash"]
        assert scores["log_prob"].shape == (index["behaviour/minimal_pairs/weather/items/tokens"].shape[0] - 6,)
        assert scores["greedy"].shape == (6,)
        del scores  # or its file stays open
    for path in (run.folder.items("minimal_pairs", "weather"), run.folder.scores("minimal_pairs", "weather", KEYS[1])):
        good = path.read_bytes()
        with h5py.File(path, "r+") as file:
            file[next(iter(set(file) & {"lengths", "greedy"}))][0] += 1
        assert [finding.path for finding in verify(run.folder) if finding.problem] == [path]
        path.write_bytes(good)


def test_a_bad_checkpoint_is_recorded_and_passed_over(
    short_suite: Path, texts_file: Path, tmp_path: Path, run: ps.Run
) -> None:
    copy = shutil.copytree(short_suite, tmp_path / "suite")
    (copy / "tiny/seed2/step0/model.safetensors").write_bytes(b"not weights")
    shutil.rmtree(copy / "tiny/seed2/step4")
    run.visit("minimal_pairs", suite=copy)
    [items, *_] = run.reader.item_sets("minimal_pairs")
    assert [key for key, _ in run.reader.scores(items)] == KEYS[:2]
    reasons = {(entry["seed"], entry["step"]): entry["reason"] for entry in run.manifest["failed"]}
    assert "It is captured, but could not be asked" in reasons[2, 0]
    assert "no longer in" in reasons[2, 4]
    run.visit("minimal_pairs")
    assert run.manifest["failed"] == []
    assert [key for key, _ in run.reader.scores(items)] == KEYS


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("minimal_pair", "no behaviour 'minimal_pair'. Did you mean minimal_pairs"),
        ("minimal_pairs=", "No file is named for minimal_pairs"),
        ("minimal_pairs=none.jsonl", "no file or folder none.jsonl"),
    ],
)
def test_what_cannot_be_asked_leaves_nothing(
    short_suite: Path, texts_file: Path, run: ps.Run, tmp_path: Path, spec: str, message: str
) -> None:
    with pytest.raises(PhasescopeError, match=message):
        run.visit(spec)
    assert run.folder.item_sets() == []
    with pytest.raises(PhasescopeError, match=message):
        ps.capture(short_suite, texts_file, tmp_path / "new", behaviour=[spec], **ASKED)
    assert not (tmp_path / "new").exists()


def test_items_that_are_too_long_are_refused_before_anything_is_read(run: ps.Run, tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match=r"Item 5 of weather .* has \d+ tokens .* can score 65 at most"):
        run.visit(f"minimal_pairs={pairs(tmp_path / 'pairs.jsonl', good='The layer says it ' * 8)}")
    assert run.folder.item_sets() == []


def test_a_run_that_was_captured_remotely_is_refused(run: ps.Run) -> None:
    from phasescope.visits import Request
    from phasescope.visits.behaviour.scoring import parse_specs

    request = Request(probes=ps_probes(remote=True, engine="nnsight"))
    with pytest.raises(PhasescopeError, match="NDIF are not asked for behaviour"):
        parse_specs(["all"], request.probes)
    manifest = run.folder.read_manifest()
    manifest["asked"]["remote"] = True
    run.folder.write_manifest(manifest)
    with pytest.raises(PhasescopeError, match="was read on NDIF"):
        run.visit("all")


def ps_probes(**options: Any) -> Any:
    from phasescope.probes import Probes

    return Probes(**options)


def test_where_the_checkpoints_are_is_asked_for(run: ps.Run, tmp_path: Path, suite_folder: Path) -> None:
    manifest = run.folder.read_manifest()
    run.folder.write_manifest(manifest | {"source": str(tmp_path / "moved")})
    with pytest.raises(PhasescopeError, match="--suite"):
        run.visit("minimal_pairs")
    with pytest.raises(PhasescopeError, match="None of the 4 checkpoints"):
        run.visit("minimal_pairs", suite=ps.open_suite(suite_folder).select(steps=[16]))
    with pytest.raises(PhasescopeError, match="something to ask for"):
        run.visit([])


def test_one_visit_at_a_time(run: ps.Run) -> None:
    with RunFolder(run.path).writing(), pytest.raises(PhasescopeError, match="is writing into"):
        run.visit("minimal_pairs")


def test_another_tokenizer_is_refused(run: ps.Run, short_suite: Path, tmp_path: Path) -> None:
    from tests.conftest import make_tokenizer

    copy = shutil.copytree(short_suite, tmp_path / "suite")
    for folder in copy.glob("tiny/*/*"):
        make_tokenizer(280).save_pretrained(folder)  # type: ignore[attr-defined]
    with pytest.raises(PhasescopeError, match="they are not the same models"):
        run.visit("minimal_pairs", suite=copy)


def test_frozen_items_are_read_back_without_their_file(run: ps.Run, tmp_path: Path) -> None:
    path = pairs(tmp_path / "pairs.jsonl")
    run.visit(f"minimal_pairs={path}")
    path.unlink()
    for key in KEYS:
        run.folder.scores("minimal_pairs", "weather", key).unlink()
    run.visit("all")
    items = Items.load(run.folder.items("minimal_pairs", "weather"))
    assert [key for key, _ in run.reader.scores(items)] == KEYS
