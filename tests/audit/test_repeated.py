"""Equal weights: what is told, of what, and what is as it should be; on records made by hand and on real captures."""

from __future__ import annotations

import shutil
from io import StringIO
from pathlib import Path

import pytest

import phasescope as ps
from phasescope.audit import audit_run, equal_weights
from phasescope.errors import PhasescopeWarning
from phasescope.reports.page.markdown import markdown
from phasescope.reports.runs import capture_summary, run_info
from phasescope.store import RunFolder, ShardKey
from tests.conftest import make_suite


def found(table: dict[tuple[str, int, int], str]) -> list[tuple[str, str]]:
    keys = {ShardKey(*key): value for key, value in table.items()}
    return [(finding.sentence, finding.certainty) for finding in equal_weights(keys)]


def seeds(*rows: str, size: str = "14m") -> dict[tuple[str, int, int], str]:
    """A letter for the weights of each step, one row for each seed: `aab` is steps 0 = 1, and 2."""
    return {(size, seed, step): letter for seed, row in enumerate(rows, 1) for step, letter in enumerate(row)}


def test_nothing_is_said_of_checkpoints_that_differ() -> None:
    assert found(seeds("abcd", "efgh")) == []
    assert found(seeds("abcd", size="14m") | seeds("efgh", size="31m")) == []
    assert found({}) == []


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("abacd", "14m: steps 0 and 2 hold the same weights; which of them these are of is not known."),
        ("abcda", "14m: step 0 holds the same weights as step 4."),
        ("abcbb", "14m: steps 1 and 3 hold the same weights as step 4."),
        ("aaabc", "14m: steps 0, 1 and 2 hold the same weights; which"),
        (
            "aaaaaaaaaaaaaaaab",
            "14m: steps 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, … 15 (16 in all) hold the same weights",
        ),
    ],
)
def test_steps_of_one_seed(row: str, sentence: str) -> None:
    (said, certainty), *others = found(seeds(row))
    assert said.startswith(sentence)
    assert (certainty, others) == ("certain", [])


def test_two_faults_are_two_sentences() -> None:
    """As copies of the first and of the last step under the names of others."""
    assert found({("m", 0, step): w for step, w in {0: "a", 1: "b", 2: "a", 4: "z", 8: "c", 16: "z"}.items()}) == [
        ("m: steps 0 and 2 hold the same weights; which of them these are of is not known.", "certain"),
        ("m: step 4 holds the same weights as step 16.", "certain"),
    ]


def test_the_first_update_may_be_zero() -> None:
    why = "as where the learning rate of the first update is zero."
    assert found(seeds("aabc")) == [(f"14m: step 1 holds the same weights as step 0, {why}", "legitimate")]
    assert found(seeds("aabc", "ddef", "ghij")) == [
        (f"14m seeds 1 and 2: step 1 holds the same weights as step 0, {why}", "legitimate")
    ]


def test_seeds_may_share_their_beginning_and_nothing_else() -> None:
    shared = "as where seeds differ in the order of the data alone."
    said = "14m: seeds 1 and 2 hold the same weights at"
    assert found(seeds("abc", "ade")) == [(f"{said} step 0, {shared}", "legitimate")]
    both = found(seeds("aabc", "aade"))
    assert {certainty for _, certainty in both} == {"legitimate"}
    assert (f"{said} steps 0 and 1, {shared}", "legitimate") in both
    later = {key: letter for key, letter in seeds("abc", "dbe").items() if key[2]}  # step 0 was not captured
    assert found(later) == [(f"{said} step 1, {shared}", "legitimate")]
    # As of PolyPythias' weight seeds: they begin apart and go on as one.
    assert found(seeds("abc", "dbe")) == [(f"{said} step 1.", "certain")]
    assert found(seeds("abc", "dec")) == [(f"{said} step 2.", "certain")]
    # A seed that is a copy of another, in one sentence.
    assert found(seeds("abcd", "ebcd")) == [(f"{said} steps 1, 2 and 3.", "certain")]
    mixed = found(seeds("abccd", "eefcg"))
    assert ("14m: the same weights are held by seed 1 at steps 2 and 3 and seed 2 at step 3.", "certain") in mixed
    # What is certain comes first.
    assert [certainty for _, certainty in found(seeds("abc", "aec"))] == ["certain", "legitimate"]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory, texts_file: Path) -> Path:
    """A run of a suite: the last weights of a seed lie under an earlier name, and a seed begins like another."""
    root = tmp_path_factory.mktemp("copied")
    suite = make_suite(root / "suite", sizes=("tiny",), seeds=(1, 2), steps=(0, 1, 4, 16))
    for copy, of in (("seed1/step4", "seed1/step16"), ("seed2/step1", "seed2/step0")):
        shutil.rmtree(suite / "tiny" / copy)
        shutil.copytree(suite / "tiny" / of, suite / "tiny" / copy)
    ps.capture(suite, texts_file, root / "run", sequences=4, context=16, output_sequences=2)
    return root / "run"


SUSPECT = "tiny seed 1: step 4 holds the same weights as step 16."
SOUND = "tiny seed 2: step 1 holds the same weights as step 0, as where"


def text_of(view: object) -> str:
    from rich.console import Console

    file = StringIO()
    Console(width=400, file=file).print(view)
    return file.getvalue()


def test_a_run_tells_it_wherever_people_look(copied: Path) -> None:
    run = ps.open_run(copied)
    for text in (text_of(capture_summary(run)), text_of(run_info(run)), markdown(run, {})):
        assert SUSPECT in text
        assert SOUND in text
    page = run.report(copied.parent / "page.html").read_text(encoding="utf-8")
    assert page.index(f"Not all checkpoints are what their names say. {SUSPECT}") < page.index('id="methods"')
    assert {finding.certainty for finding in run.audit()} == {"certain", "legitimate"}
    assert run.audit_records()[0]["checkpoints"] == [{"size": "tiny", "seed": 1, "step": step} for step in (4, 16)]


def test_it_is_remembered_by_contents_and_not_believed(copied: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(copied, folder.path)
    before = audit_run(folder)
    kept = folder.path / "results" / "fingerprints.json"
    for content in (kept.read_text(), "{", "[]"):
        kept.write_text(content)
        assert audit_run(folder, anew=True) == before
    # Another shard in the place of the copy: nothing is left to say of it.
    shutil.copy(folder.shard(ShardKey("tiny", 2, 4)), folder.shard(ShardKey("tiny", 1, 4)))
    assert SUSPECT not in [finding.sentence for finding in audit_run(folder)]


def test_without_outputs_it_is_seen_by_activations(
    copied: Path, texts_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = copied.parent / "suite"
    run = ps.capture(suite, texts_file, tmp_path / "run", sequences=4, context=16, outputs=False)
    assert f"Not all checkpoints are what their names say. {SUSPECT}" in capsys.readouterr().err
    assert [finding.sentence for finding in run.audit()] == [
        finding.sentence for finding in audit_run(RunFolder(copied))
    ]


def test_a_sound_run_is_sound(captured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[ShardKey] = []
    open_shard = RunFolder.open_shard
    monkeypatch.setattr(RunFolder, "open_shard", lambda self, key: opened.append(key) or open_shard(self, key))
    assert audit_run(RunFolder(captured), anew=True) == []
    assert opened == RunFolder(captured).shards()  # each once


def test_analyses_keep_what_is_found_and_looking_writes_nothing(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(shutil.copytree(copied, tmp_path / "run", ignore=shutil.ignore_patterns("results")))
    before = audit_run(folder)
    assert len(ps.open_run(folder.path).reader.keys) == len(folder.shards()) - 1
    assert not (folder.path / "results").exists()
    ps.open_run(folder.path).analyse("surprisal")
    opened: list[ShardKey] = []
    open_shard = RunFolder.open_shard
    monkeypatch.setattr(RunFolder, "open_shard", lambda self, key: opened.append(key) or open_shard(self, key))
    assert ps.open_run(folder.path).audit() == before
    assert opened == []


def test_what_was_found_is_kept_of_these_shards_alone(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(copied, folder.path)
    kept, before = folder.path / "results" / "audit.json", audit_run(folder)
    assert before
    opened: list[ShardKey] = []
    open_shard = RunFolder.open_shard
    monkeypatch.setattr(RunFolder, "open_shard", lambda self, key: opened.append(key) or open_shard(self, key))
    assert audit_run(folder) == before
    assert opened == []
    for content in ("{", "[]", '{"of": 1}', kept.read_text().replace('"seed"', '"sead"')):
        kept.write_text(content)
        assert audit_run(folder, keep=True) == before
        assert opened == []  # what shards said is kept apart
        shutil.rmtree(folder.path / "results" / "parts")
        kept.unlink()
        assert audit_run(folder, keep=True) == before
        assert set(opened) == set(folder.shards())
        opened.clear()
    # One that is new is opened, no other; a file of parts that is damaged is told of, and made anew.
    folder.shard(ShardKey("tiny", 1, 0)).rename(tmp_path / "aside")
    audit_run(folder, keep=True)
    (tmp_path / "aside").rename(folder.shard(ShardKey("tiny", 1, 0)))
    opened.clear()
    assert audit_run(folder, keep=True) == before
    assert ShardKey("small", 1, 0) not in opened
    assert ShardKey("tiny", 1, 0) in opened
    part, unlike = folder.parts("audit/tiny/seed1"), kept.read_text()
    part.write_bytes(part.read_bytes()[:100])
    kept.unlink()
    with pytest.warns(PhasescopeWarning, match="seed1.h5, which saves analyses time, cannot be used"):
        assert audit_run(folder, keep=True) == before
    assert kept.read_text() == unlike
    kept.write_text(kept.read_text().replace("hold", "HOLD"))
    assert audit_run(folder) != before  # believed
    assert audit_run(folder, anew=True) == before
