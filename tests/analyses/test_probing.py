"""Linear probes: planted structure, control tasks, codes counted by hand, and scikit-learn called by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import phasescope as ps
from phasescope.analyses import Options
from phasescope.analyses.probing import labels as label_makers
from phasescope.analyses.probing.fits import PENALTIES, Found, probe
from phasescope.analyses.probing.labels import NONE, Label, Tasks, tasks_of
from phasescope.errors import PhasescopeError
from phasescope.reports.probing.section import probing_parts
from phasescope.reports.probing.sentences import probing_finding
from phasescope.reports.probing.terminal import probing_table
from tests.conftest import make_suite, tagged_prose

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    """Of texts whose tags are the lengths of words, 24 windows of 4 samples."""
    folder = tmp_path_factory.mktemp("probing")
    suite = make_suite(folder / "toy", ("tiny",), (1,), (0, 16))
    texts = tagged_prose(folder / "tagged.jsonl")
    asked: dict[str, Any] = {"sequences": 24, "context": 10, "output_sequences": 1, "positions": 4}
    run = ps.capture(suite, texts, folder / "run", sites="mlp_out,attn_out,pattern", **asked)
    run.analyse("probing", options=Options(resamples=100, labels=("pos", "position")))
    return run


def planted(strength: float, sequences: int = 60, each: int = 4, classes: int = 3) -> tuple[np.ndarray, Label, Tasks]:
    """Samples whose class lies along directions of their own, of such a strength beside noise of 1."""
    generator = np.random.default_rng(3)
    sequence = np.repeat(np.arange(sequences), each)
    answers = generator.integers(classes, size=len(sequence))
    values = generator.normal(size=(len(sequence), 8))
    values[:, :classes] += strength * np.eye(classes)[answers]
    types = generator.integers(len(sequence) // 2, size=len(sequence))
    controls = label_makers._controls(answers, types, 0)
    label = Label("planted", [f"c{i}" for i in range(classes)], answers, controls, "")
    shuffled = generator.permutation(sequences)
    train = shuffled[sequences // 3 :]
    order = (train[:, None] * each + np.arange(each)).ravel()
    held_out = np.isin(sequence, shuffled[: sequences // 3])
    return values, label, Tasks([label], held_out, order, label_makers.doubling(len(train)) * each, sequence)


def by_hand(values: np.ndarray, label: Label, tasks: Tasks, penalty: float) -> tuple[float, np.ndarray]:
    """Accuracy and bits with plain scikit-learn, sample by sample, and none of ours."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def fitted(samples: list[int]) -> Any:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=penalty, tol=1e-8, max_iter=2000))
        return model.fit(values[samples], label.answers[samples])

    known = [i for i in range(len(values)) if label.answers[i] != NONE]
    train = [i for i in known if not tasks.held_out[i]]
    held = [i for i in known if tasks.held_out[i]]
    accuracy = float((fitted(train).predict(values[held]) == label.answers[held]).mean())
    classes, bits, start = len(label.classes), [], 0
    for end in tasks.ends.tolist():
        seen = [i for i in tasks.order[:start].tolist() if label.answers[i] != NONE]
        model = fitted(seen) if start else None
        for i in tasks.order[start:end].tolist():
            if label.answers[i] == NONE:
                continue
            p = 1 / classes
            if model is not None:
                of = dict(zip(model.classes_, model.predict_proba(values[[i]])[0], strict=True))
                p = (len(seen) * of.get(label.answers[i], 0.0) + 1) / (len(seen) + classes)
            bits.append(-np.log2(p))
        start = end
    return accuracy, np.array(bits)


@pytest.mark.parametrize("strength", [0.0, 1.5, 6.0])
def test_a_probe_is_that_of_plain_scikit_learn(strength: float) -> None:
    """Tolerance: ours stops at a gradient of 1e-3, theirs at 1e-8; probabilities differ by less than 1 %."""
    values, label, tasks = planted(strength)
    label = replace(label, answers=np.where(np.arange(len(values)) % 7 == 0, NONE, label.answers))
    found = probe(values, label, tasks)
    every = {penalty: by_hand(values, label, tasks, penalty) for penalty in PENALTIES}
    assert min(PENALTIES, key=lambda penalty: every[penalty][1].sum()) == found.C
    accuracy, bits = every[found.C]
    assert np.nanmean(found.right) == pytest.approx(accuracy, abs=1.5 / np.isfinite(found.right).sum())
    told = found.bits[np.isfinite(found.bits)]
    assert len(told) == len(bits)
    # Which of the penalties it is has to be said too.
    assert told.sum() == pytest.approx(bits.sum() + np.log2(len(PENALTIES)), rel=0.01)


def test_planted_structure_is_found_and_none_is_not_invented() -> None:
    values, label, tasks = planted(8.0)
    found = probe(values, label, tasks)
    assert np.nanmean(found.right) > 0.97
    assert np.nanmean(found.bits) < 0.5 * np.log2(3)
    values, label, tasks = planted(0.0)
    found = probe(values, label, tasks)
    # 80 held-out samples: a third, give or take three standard errors.
    assert np.nanmean(found.right) == pytest.approx(1 / 3, abs=3 * np.sqrt(2 / 9 / 80))
    assert np.nanmean(found.bits) == pytest.approx(np.log2(3), abs=0.1)


def test_random_labels_of_types_have_no_selectivity() -> None:
    """A task that is itself a control task: whatever is learned by heart, the controls learn too."""
    generator = np.random.default_rng(0)
    values, label, tasks = planted(0.0, sequences=240, each=2)
    types = generator.integers(60, size=len(values))
    values = generator.normal(size=(60, 40))[types] + 0.1 * generator.normal(size=(len(values), 40))
    task = generator.integers(3, size=60)[types]
    found = probe(values, replace(label, answers=task, controls=label_makers._controls(task, types, 5)), tasks)
    right, control = np.nanmean(found.right), np.nanmean(found.control)
    assert right > 0.6  # the types recur, so that there is something to learn by heart
    assert right - control == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda values: values * 0 + 3,
        lambda values: np.repeat(values[:, :1], 8, axis=1),
        lambda values: values * np.array([1e-30, 1e30, 1, 1, 1, 1, 1, 1]),
    ],
    ids=["constant", "of rank one", "of other scales"],
)
def test_nasty_activations(spoil: Any) -> None:
    values, label, tasks = planted(6.0)
    found = probe(spoil(values), label, tasks)
    assert np.isfinite(found.right).all()
    assert np.nanmean(found.bits) < np.log2(3) + 0.2  # what says nothing costs hardly more than all classes alike


def test_a_huge_offset_changes_nothing() -> None:
    """float64 keeps 6 digits of values of 1 beside 1e9: fits agree but for a sample at the very boundary."""
    values, label, tasks = planted(3.0)
    here, there = probe(values, label, tasks), probe(values + 1e9, label, tasks)
    assert np.abs(here.right - there.right).sum() <= 1
    assert there.bits.sum() == pytest.approx(here.bits.sum(), rel=1e-3)


def test_numbers_are_those_of_the_activations(run: ps.Run) -> None:
    table = run.table("probing")
    assert set(table["component"]) == {"mlp_out"}
    assert set(table["label"]) == {"pos", "position"}
    tasks = tasks_of(run.inputs, ("pos",), 0)
    values = run.layer(1, "mlp_out").activations(seed=1, step=16).double().numpy()
    row = table.query("step == 16 and layer == 1 and label == 'pos'").iloc[0]
    accuracy, bits = by_hand(values, tasks.labels[0], tasks, float(row["C"]))
    assert row["accuracy"] == pytest.approx(accuracy, abs=1.5 / row["held_out"])
    assert row["bits"] == pytest.approx((bits.sum() + np.log2(3)) / len(bits), rel=0.01)
    assert row["compression"] == pytest.approx(row["uniform_bits"] / row["bits"])
    assert row["low"] <= row["accuracy"] <= row["high"]
    answers = tasks.labels[0].answers
    most = np.bincount(answers[~tasks.held_out & (answers != NONE)]).argmax()
    held = answers[tasks.held_out & (answers != NONE)]
    assert row["majority"] == pytest.approx((held == most).mean())
    assert (table[table["step"] == 0]["gain"] == 0).all()
    first = table.query("step == 0 and layer == 1 and label == 'pos'").iloc[0]
    assert row["gain"] == pytest.approx(row["accuracy"] - first["accuracy"])
    mean = table.query("step == 16 and label == 'pos'")["accuracy"].mean()
    whole = run.table("probed").query("step == 16 and label == 'pos'").iloc[0]
    assert (whole["accuracy"], whole["layers"]) == (pytest.approx(mean), 2)


def test_sequences_are_held_out_as_a_whole(run: ps.Run) -> None:
    tasks = tasks_of(run.inputs, ("pos",), 0)
    held, train = tasks.sequence[tasks.held_out], tasks.sequence[tasks.order]
    assert not set(held) & set(train)
    assert len(set(held)) == 8
    assert sorted(tasks.order) == sorted(np.flatnonzero(~tasks.held_out))
    of_type = dict(zip(label_makers._types(run.inputs), tasks.labels[0].controls[0], strict=True))
    pairs = zip(label_makers._types(run.inputs), tasks.labels[0].controls[0], strict=True)
    assert all(control in (NONE, of_type[kind]) or of_type[kind] == NONE for kind, control in pairs)


def test_what_is_kept_is_not_probed_again(run: ps.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*args: Any) -> Found:
        raise AssertionError("probed again")

    before = run.table("probing")
    monkeypatch.setattr("phasescope.analyses.probing.cells.probe", never)
    again = run.analyse("probing", options=Options(resamples=100, level=0.9, labels=("pos", "position")))
    assert again["probing"]["accuracy"].equals(before["accuracy"])
    assert (again["probing"]["level"] == 0.9).all()


def test_it_is_shown_and_is_a_curve(run: ps.Run) -> None:
    tables: Any = {name: run.table(name) for name in ("probing", "probed")}
    [part] = probing_parts(tables)
    assert {control.name for control in part.controls} == {"component", "label", "measure"}
    for panel in part.panels:
        panel.figure.plotly()
        assert "pos|selectivity" in " ".join(panel.variants)
    assert "A linear probe reads the part of speech off mlp_out of tiny in" in probing_finding("tiny", tables, 1)
    console = Console(width=80)
    with console.capture() as captured:
        console.print(probing_table(tables.__getitem__))
    assert "L1.mlp_out" in captured.get()
    assert max(map(len, captured.get().splitlines())) <= 80
    empty: Any = {name: table.iloc[:0] for name, table in tables.items()}
    assert probing_parts(empty) == []
    assert probing_finding("tiny", empty, 1) == ""
    assert {"probe for pos", "probe for position"} <= set(run.phases()["curve"])


@pytest.mark.parametrize(
    ("change", "names", "sentence"),
    [
        ({}, ("poss",), "no label 'poss' to probe for. Did you mean pos"),
        ({"last": True}, ("position",), "All samples are at position 9 of their windows: one class alone"),
        ({"last": True}, ("next_token",), "Every sample is the last token of its window"),
        ({"tags": "NOUN"}, ("pos",), "Every sample that has a part of speech is NOUN: one class alone"),
        ({"tags": ""}, ("pos",), "No sample is of a word with a part of speech"),
        ({"tags": "many"}, ("pos",), r"\d+ samples are too few for the \d+ classes of pos: only 0 of them are"),
        ({"counts": 0}, ("frequency",), "The reference corpus of this run is empty"),
        ({"few": 5}, ("pos",), "5 sequences are too few to hold some out"),
        ({"few": 1}, ("pos",), "1 sequence is too few to hold some out"),
    ],
)
def test_what_cannot_be_probed_is_one_sentence(
    run: ps.Run, change: dict[str, Any], names: tuple[str, ...], sentence: str
) -> None:
    inputs = run.inputs
    if "last" in change:
        inputs = replace(inputs, positions=np.full_like(inputs.positions[:, :1], inputs.context - 1))
    if "tags" in change:
        words = range(len(inputs.words))
        tags = [f"t{word}" if change["tags"] == "many" else change["tags"] for word in words]
        inputs = replace(inputs, tags=tags)
    if "counts" in change:
        inputs = replace(inputs, counts=inputs.counts * 0)
    if "few" in change:
        arrays = {name: getattr(inputs, name)[: change["few"]] for name in ("tokens", "positions", "word_ids")}
        inputs = replace(inputs, **arrays, bytes=None)
    with pytest.raises(PhasescopeError, match=sentence):
        tasks_of(inputs, label_makers.known_labels(names), 0)


def test_a_class_with_one_member_is_left_out_and_named(run: ps.Run) -> None:
    inputs = run.inputs
    ids = np.take_along_axis(inputs.word_ids, inputs.positions, 1).ravel()
    tags = list(inputs.tags or [])
    one = int(ids[ids >= 0][0])
    tags[one] = "INTJ"
    [label] = tasks_of(replace(inputs, tags=tags), ("pos",), 0).labels
    assert label.left_out == f"INTJ ({int((ids == one).sum())})"
    assert "INTJ" not in label.classes


def test_a_component_that_is_not_there(run: ps.Run) -> None:
    with pytest.raises(PhasescopeError, match=r"No activations of 'mlp_uot' are in this run\. Did you mean mlp_out"):
        run.analyse("probing", options=Options(probe_at=("mlp_uot",)))


def test_where_nothing_is_named_few_sequences_are_no_error(captured: Path) -> None:
    table = ps.open_run(captured).table("probing")
    assert table.empty
    assert "12 sequences are too few" in table.attrs["absent"]


def test_without_scikit_learn(captured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(PhasescopeError, match=r"Probing needs sklearn.*phasescope\[probing\]"):
        ps.open_run(captured).analyse("probing")
