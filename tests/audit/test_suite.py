"""Listings as they were published, on a hub on loopback: every fault is named, with its number, and nothing else is."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from phasescope.audit import Finding, audit_suite
from phasescope.audit.files import without_hashes
from phasescope.audit.listed import ListedSuite
from phasescope.cli import app
from phasescope.errors import PhasescopeError
from phasescope.store import ShardKey
from phasescope.suites import PRESETS, Suite, open_suite
from phasescope.suites.listings import hub_listings, listings_of
from tests.suites.hub_server import Fault, HubServer, Repository, serving

PYTHIA = PRESETS["pythia"].steps
CONFIG = {"config.json": (600, "config"), "tokenizer.json": (2_000_000, "tokenizer"), ".gitattributes": (1500, "git")}
Files = Mapping[str, tuple[int, str]]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with serving({}, tmp_path / "cache", monkeypatch) as server:
        yield server


def whole(content: str, name: str = "model.safetensors") -> Files:
    return {**CONFIG, name: (5_700_000_000, content)}


def parts(*contents: str) -> Files:
    names = [f"pytorch_model-{part:05d}-of-{len(contents):05d}.bin" for part in range(1, len(contents) + 1)]
    return {**CONFIG, **{name: (8_000_000_000, content) for name, content in zip(names, contents, strict=True)}}


def told(findings: Sequence[Finding], *certainties: str) -> list[str]:
    return [finding.sentence for finding in findings if finding.certainty in (certainties or ("certain", "likely"))]


def suspects(findings: Sequence[Finding]) -> list[int]:
    return sorted({key.step for finding in findings if finding.is_suspect for key in finding.suspects})


def audit(
    hub: HubServer, preset: str, size: str, listed: Mapping[str, Files], seed: int | None = None
) -> list[Finding]:
    suite = PRESETS[preset]
    name = suite.repository.format(
        size=size, seed=seed, name=suite.names[size][0] if suite.names else "", step=0, thousands=0
    )
    hub.repositories[name] = Repository({}, listed=listed)
    of_size = Suite(preset, preset, tuple(one for one in suite.suite() if one.size == size)) if suite.steps else None
    opened = of_size or open_suite(f"{name}@{suite.revision.pattern}")  # type: ignore[union-attr]
    return audit_suite(opened.select(seeds=None if seed is None else [seed]))


def test_pythia_2_8b(hub: HubServer) -> None:
    early = [0, *(2**n for n in range(10)), *range(1000, 53001, 1000), 55000, 60000, 65000, 70000, 80000, 90000]
    early += [100000, 103000, 110000, 120000, 130000, 140000]
    second = [54000, *range(56000, 60000, 1000), *range(61000, 65000, 1000), 143000]
    contents = {step: "main" if step in early else "second" if step in second else f"own {step}" for step in PYTHIA}
    listed = {"main": whole("main"), **{f"step{step}": whole(of) for step, of in contents.items()}}
    found = audit(hub, "pythia", "2.8b", listed)
    assert told(found) == [
        "2.8b: steps 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, … 140000 (76 in all) hold the same weights as "
        "main.",
        "2.8b: steps 54000, 56000, 57000, 58000, 59000, 61000, 62000, 63000 and 64000 hold the same weights as step "
        "143000.",
    ]
    assert suspects(found) == sorted({*early, *second} - {143000})
    assert [finding.rule for finding in found if not finding.is_suspect] == ["main is not the last step"]
    # One request for each commit, one for the branches; nothing was fetched.
    assert sum("/api/models/" in asked for asked in hub.requests) == 156
    assert not any("/resolve/" in asked for asked in hub.requests)
    # What was listed is kept: only the branches are asked for again.
    hub.requests.clear()
    assert audit(hub, "pythia", "2.8b", listed) == found
    assert [asked.rpartition("/")[2] for asked in hub.requests if "/api/models/" in asked] == ["refs"]


def test_a_stale_conversion_beside_what_is_right(hub: HubServer) -> None:
    listed = {
        f"step{step}": {**whole("late" if 0 < step < 5000 else f"s{step}"), "pytorch_model.bin": (5, f"own {step}")}
        for step in PYTHIA
    }
    found = audit(hub, "pythia", "2.8b", {**listed, "main": listed["step143000"]})
    assert [finding.rule for finding in found] == ["equal weights", "stale variant"]
    assert "pytorch_model.bin is each one's own" in told(found)[1]


def test_pythia_12b(hub: HubServer) -> None:
    """The hybrids of 50000 and 58000, beside step 1 that is step 0, and main that is the last step."""
    listed = {f"step{step}": parts(*(f"{max(step, 1)} {part}" for part in range(3))) for step in PYTHIA}
    end = listed["step143000"]
    first = "pytorch_model-00001-of-00003.bin"
    listed |= {f"step{step}": {**listed[f"step{step}"], first: end[first]} for step in (50000, 58000)}
    found = audit(hub, "pythia", "12b", {**listed, "main": end})
    assert told(found) == [
        f"12b at steps 50000 and 58000 hold 1 of 3 weight files of step 143000 ({first}), the others being their own: "
        "a mixture."
    ]
    assert suspects(found) == [50000, 58000]
    assert told(found, "note") == []
    assert told(found, "legitimate")[0].startswith("12b: step 1 holds the same weights as step 0, as where")


def test_olmo_2_7b(hub: HubServer) -> None:
    """Three that are one file; seven steps of the grid that are missing; the first without the prefix."""
    missing = {100000, 174000, 317000, 536000, 605000, 632000, 672000}
    steps = [step for step in range(1000, 928001, 1000) if step not in missing]
    one = {101000, 175000, 300000}
    listed = {
        f"stage1-step{step}-tokens{round(step * 4194304 / 1e9)}B": parts(
            *(f"{'x' if step in one else step} {part}" for part in range(6))
        )
        for step in steps
    }
    early = {step: parts(*(f"early {step} {part}" for part in range(6))) for step in (150, 600, 700)}
    listed |= {f"step{step}-tokens{step // 240 + 1}B": files for step, files in early.items()}
    found = audit(hub, "olmo2", "7b", listed)
    assert told(found) == [
        "7B: steps 101000, 175000 and 300000 hold the same weights; which of them these are of is not known."
    ]
    assert suspects(found) == sorted(one)
    (note,) = told(found, "note")
    assert "no steps 100000, 174000, 317000, 536000, 605000, 632000 and 672000, between others every 1000" in note


def test_what_was_told_of_a_repository_is_told_and_no_more(hub: HubServer) -> None:
    suite = PRESETS["polypythia"].suite().select(sizes=["410m"], seeds=[3, 4, 5], steps=[0, 64000, 96000, 143000])
    for seed in (3, 4, 5):
        listed = {f"step{step}": whole(f"{seed} at {step}") for step in suite.steps("410m", seed)}
        hub.repositories[f"EleutherAI/pythia-410m-seed{seed}"] = Repository({}, listed=listed)
    found = audit_suite(suite)
    assert [(finding.rule, finding.certainty) for finding in found] == [("known fault", "likely")] * 2
    assert told(found) == [
        "410m seed 3: steps 96000 and 143000 go on from a restart, as ErnestG4/ARS told.",
        "410m seed 4: step 143000 goes on from a restart, as ErnestG4/ARS told.",
    ]


@pytest.mark.filterwarnings("ignore::phasescope.errors.PhasescopeWarning")
def test_revisions_that_no_pattern_matches(hub: HubServer) -> None:
    names = [*(f"step{step}" for step in (0, 1, 2, 4)), "longctx-step4", "step8-again", "experiment"]
    hub.repositories["ai/model-1b"] = Repository({}, listed={name: whole(name) for name in names})
    (note,) = told(audit_suite(open_suite("ai/model-1b")), "note")
    assert "2 of the revisions of ai/model-1b look like steps and are not read: longctx-step4, step8-again." in note


def test_bloom(hub: HubServer) -> None:
    steps = (1000, 10000, 50000, 100000, 150000, 200000, 250000, 300000)
    for name, same in (("1b7", {1000: "a", 10000: "a", 250000: "b", 300000: "b"}), ("7b1", {100000: "a", 200000: "a"})):
        listed = {f"global_step{step}": whole(same.get(step, f"own {step}")) for step in steps}
        hub.repositories[f"bigscience/bloom-{name}-intermediate"] = Repository({}, listed=listed)
    one, two = (audit_suite(open_suite(f"bigscience/bloom-{name}-intermediate")) for name in ("1b7", "7b1"))
    of = "bloom-1b7-intermediate"
    assert [said.removeprefix("1b7").removeprefix(of) for said in told(one)] == [
        ": steps 1000 and 10000 hold the same weights; which of them these are of is not known.",
        ": step 250000 holds the same weights as step 300000.",
    ]
    assert suspects(one) == [1000, 10000, 250000]
    assert suspects(two) == [100000, 200000]


def test_weight_seeds_of_polypythias(hub: HubServer) -> None:
    """They begin apart and hold the same weights at step 1 (issue 203 of EleutherAI/pythia)."""
    for seed in (1, 2):
        steps = {step: "shared" if step == 1 else f"{seed} {step}" for step in PYTHIA}
        listed = {f"step{step}": whole(content) for step, content in steps.items()}
        hub.repositories[f"EleutherAI/pythia-160m-weight-seed{seed}"] = Repository({}, listed=listed)
    found = audit_suite(PRESETS["polypythia-weight"].suite().select(seeds=[1, 2]))
    known = "step 0 is of another initialisation than all later steps, as issue 203 of EleutherAI/pythia told."
    assert told(found, "certain") == ["160m: seeds 1 and 2 hold the same weights at step 1."]
    assert told(found, "likely") == [f"160m seed 1: {known}", f"160m seed 2: {known}"]
    assert [one.suspects for one in found if one.certainty == "certain"] == [(ShardKey("160m", 2, 1),)]


def test_empty_and_missing_branches(hub: HubServer) -> None:
    listed: dict[str, Files] = {f"step{step}": whole(f"own {step}") for step in PYTHIA if step != 26000}
    listed["step116000"] = {".gitattributes": (1500, "git")}
    first = dict(parts("a", "b", "c"))
    del first["pytorch_model-00002-of-00003.bin"]
    listed["step4000"] = first
    found = audit(hub, "pythia", "1b", {**listed, "main": {".gitattributes": (1500, "git")}})
    assert told(found) == [
        "1b at step 4000 lacks weight files.",
        "1b at step 26000 is not in the repository.",
        "1b at step 116000 holds no weights.",
    ]
    assert [finding.evidence for finding in found if finding.is_suspect] == [
        "2 of 3 files at 1b/seed0/step4000",
        "no branch or tag of that name in EleutherAI/pythia-1b",
        "1b/seed0/step116000 has .gitattributes",
    ]
    assert told(found, "note", "legitimate") == []


def test_a_sound_suite_is_sound(hub: HubServer) -> None:
    listed = {f"step{step}": whole(f"own {step}") for step in PYTHIA}
    assert audit(hub, "pythia", "70m", {**listed, "main": listed["step143000"]}) == []


def test_another_configuration_size_and_no_hashes_are_notes(hub: HubServer) -> None:
    listed = {f"step{step}": dict(whole(f"own {step}")) for step in PYTHIA}
    listed["step64"]["config.json"] = (610, "another")
    listed["step128"]["model.safetensors"] = (9_000_000_000, "float32")
    listed["step256"]["model.safetensors"] = (5_700_000_000, "")
    notes = audit(hub, "pythia", "2.8b", listed)
    assert {finding.certainty for finding in notes} == {"note"}
    assert [(finding.rule, [key.step for key in finding.checkpoints]) for finding in notes] == [
        ("another configuration", [64]),
        ("another size", [128]),
        ("no hashes", [256]),
    ]


def test_empty_and_cut_files_are_suspects(hub: HubServer) -> None:
    listed = {f"step{step}": dict(whole(f"own {step}")) for step in PYTHIA}
    listed["step16"]["model.safetensors"] = (0, "empty")
    listed["step128"]["model.safetensors"] = (570_000, "cut short")
    listed["step256"]["model.safetensors"] = (800_000_000, "4 bits")
    found = audit(hub, "pythia", "2.8b", listed)
    assert [(one.rule, one.certainty, one.evidence) for one in found] == [
        ("truncated weights", "certain", "0 bytes at 2.8b/seed0/step16, 5,700,000,000 mostly"),
        ("truncated weights", "likely", "570,000 bytes at 2.8b/seed0/step128, 5,700,000,000 mostly"),
        ("another size", "note", "800,000,000 bytes at 2.8b/seed0/step256, 5,700,000,000 mostly"),
    ]
    assert suspects(found) == [16, 128]


def test_one_of_several_files_that_is_cut_short_is_seen(hub: HubServer) -> None:
    listed = {f"step{step}": dict(parts(f"a {step}", f"b {step}", f"c {step}")) for step in PYTHIA}
    listed["step16"]["pytorch_model-00003-of-00003.bin"] = (1000, "cut short")
    assert suspects(audit(hub, "pythia", "2.8b", listed)) == [16]


def test_ranks_that_lack_are_named(tmp_path: Path) -> None:
    for step, ranks in {0: 2, 1: 2, 4: 2, 8: 2, 16: 1}.items():
        folder = tmp_path / f"suite/step{step}"
        folder.mkdir(parents=True)
        (folder / ".metadata").write_bytes(b"of tensors")
        for rank in range(ranks):
            (folder / f"__{rank}_0.distcp").write_bytes(f"{step} {rank}".encode() * 100)
    (tmp_path / "suite/step4/__0_0.distcp").unlink()
    found = [one for one in audit_suite(open_suite(tmp_path / "suite")) if one.is_suspect]
    assert [(one.certainty, one.sentence) for one in found] == [
        ("certain", "suite at step 4 lacks the files of 1 of 2 ranks: __0_0.distcp."),
        ("likely", "suite at step 16 lacks the files of 1 of 2 ranks: __1_0.distcp."),
    ]


def test_a_busy_hub_is_waited_for_and_gone_on_with(hub: HubServer) -> None:
    listed = {f"step{step}": whole(f"own {step}") for step in PYTHIA}
    hub.faults.append(Fault("/tree/", 429, times=4, headers={"Retry-After": "0"}))
    assert audit(hub, "pythia", "70m", listed) == []
    hub.requests.clear()
    hub.faults.append(Fault("/refs", 429, headers={"Retry-After": "0"}))
    with pytest.raises(PhasescopeError, match=r"answered 429 for EleutherAI/pythia-70m: it asks for patience"):
        audit(hub, "pythia", "70m", listed)


def test_tokens_that_do_not_fit_the_steps(hub: HubServer) -> None:
    def audited(tokens: Mapping[int, int]) -> list[str]:
        names = {f"step{step}-tokens{of}B": whole(f"own {step}") for step, of in tokens.items()}
        hub.repositories["ai/model-1b"] = Repository({}, listed=names)
        return [one.sentence for one in audit_suite(open_suite("ai/model-1b")) if one.rule == "tokens and steps"]

    sound = {step: round(step * 0.00419) for step in range(1000, 30001, 1000)}
    grown = {step: of if step < 15000 else 2 * of - sound[15000] for step, of in sound.items()}  # larger batches
    assert audited(sound) == []
    assert audited(grown) == []
    (said,) = audited(sound | {10000: sound[11000], 11000: sound[10000]})
    assert "step11000-tokens42B do not grow with the steps" in said
    (said,) = audited({step: 10 * of for step, of in sound.items()} | {10000: 10 * sound[10000] + 20})
    assert "step10000-tokens440B do not grow with the steps" in said


def test_a_repository_that_was_renamed(hub: HubServer) -> None:
    listed = {f"step{step}": whole(f"own {step}") for step in PYTHIA}
    hub.repositories["EleutherAI/pythia-70m-standard"] = Repository({}, listed=listed)
    hub.repositories["EleutherAI/pythia-70m"] = Repository({}, moved_to="EleutherAI/pythia-70m-standard")
    suite = PRESETS["pythia"].suite().select(sizes=["70m"])
    (note,) = audit_suite(suite)
    assert (note.rule, note.certainty, note.suspects) == ("renamed repository", "note", ())
    assert note.sentence.startswith("EleutherAI/pythia-70m is called EleutherAI/pythia-70m-standard now: ")


def test_what_was_replaced_since_it_was_listed(hub: HubServer) -> None:
    listed: dict[str, Files] = {f"step{step}": whole(f"own {step}") for step in PYTHIA}
    assert audit(hub, "pythia", "70m", listed) == []
    changed = {"step0": whole("another"), "step2": whole("own 2"), "step4": whole("own 4", "pytorch_model.bin")}
    hub.repositories["EleutherAI/pythia-70m"] = repository = Repository({}, listed=listed | changed)
    commits = [repository.commits["step0"], "a" * 40]
    repository.commits.update(step0="a" * 40, step2="b" * 40, step4="c" * 40)
    suite = PRESETS["pythia"].suite().select(sizes=["70m"])
    for _ in range(2):  # what was seen once is remembered
        (note,) = audit_suite(suite)
        assert (note.rule, note.certainty, note.suspects) == ("replaced since it was listed", "note", ())
        assert note.sentence.startswith("70m at step 0 holds other weights than when listed before: ")
        assert note.evidence == f"commit {commits[0][:12]} before, {commits[1][:12]} now, of 70m/seed0/step0"


def test_folders_are_read(tmp_path: Path, suite_folder: Path) -> None:
    assert audit_suite(open_suite(suite_folder)) == []
    copy = Path(shutil.copytree(suite_folder, tmp_path / "suite"))
    shutil.copy(copy / "tiny/seed1/step16/model.safetensors", copy / "tiny/seed1/step1/model.safetensors")
    assert told(audit_suite(open_suite(copy))) == ["tiny seed 1: step 1 holds the same weights as step 16."]


@pytest.mark.filterwarnings("ignore::phasescope.errors.PhasescopeWarning")
def test_the_command(hub: HubServer, captured: Path) -> None:
    steps = {"step0": whole("a"), "step8": whole("b"), "step16": whole("b"), "main": whole("b")}
    hub.repositories["tiny/neox-14m"] = Repository({}, listed=steps)
    said = "14m: step 8 holds the same weights as step 16, as main does."
    run = CliRunner().invoke
    shown = run(app, ["audit", "tiny/neox-14m"])
    assert (shown.exit_code, said in shown.stdout) == (0, True)
    assert "1 checkpoint cannot be believed." in shown.stdout
    assert run(app, ["audit", "tiny/neox-14m", "--strict"]).exit_code == 1
    assert run(app, ["audit", "tiny/neox-14m@step(?P<step>0|16)$", "--strict"]).exit_code == 0
    (finding,) = json.loads(run(app, ["audit", "tiny/neox-14m", "--json"]).stdout)["findings"]
    assert (finding["sentence"], finding["certainty"]) == (said, "certain")
    assert finding["suspects"] == [{"size": "14m", "seed": 0, "step": 8}]
    rows = list(csv.DictReader(run(app, ["audit", "tiny/neox-14m", "--csv"]).stdout.splitlines()))
    assert [(row["step"], row["suspect"]) for row in rows] == [("8", "True"), ("16", "False")]
    assert "nothing was found in 16 checkpoints" in run(app, ["audit", str(captured), "--strict"]).stdout
    assert run(app, ["audit", str(captured), "--sizes", "tiny"]).exit_code == 2


def test_what_trainers_leave_is_told_apart_by_its_bytes(suite_folder: Path, tmp_path: Path) -> None:
    """State dicts in files, and distributed checkpoints: none is missing, and copies are found."""
    from transformers import AutoModelForCausalLM

    from tests.suites.test_left_by_trainers import save_distributed

    for kind in ("files", "distributed"):
        root = tmp_path / kind
        root.mkdir()
        shutil.copy(suite_folder / "tiny/seed1/step0/config.json", root)
        for step, of in {1: 1, 4: 16, 16: 16}.items():
            state = AutoModelForCausalLM.from_pretrained(suite_folder / f"tiny/seed1/step{of}").state_dict()
            if kind == "files":
                torch.save(state, root / f"step{step}.pt")
            elif of == 16 and step == 16:
                shutil.copytree(root / "step4", root / "step16")
            else:
                save_distributed(root / f"step{step}" / "model_and_optim", state)
        if kind == "files":  # torch writes the name of the file into the archive
            shutil.copy(root / "step16.pt", root / "step4.pt")
        found = [(one.rule, one.sentence) for one in audit_suite(open_suite(root)) if one.is_suspect]
        assert found == [("equal weights", f"{kind}: step 4 holds the same weights as step 16.")]


def test_the_base_of_an_adapter_is_part_of_what_it_is(tmp_path: Path) -> None:
    for step, (weights, base) in {4: ("a", "one"), 8: ("b", "one"), 16: ("b", "other"), 32: ("b", "one")}.items():
        folder = tmp_path / f"suite/checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "adapter_model.safetensors").write_text(weights * 100)
        (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    found = [one for one in audit_suite(open_suite(tmp_path / "suite")) if one.is_suspect]
    assert [(one.certainty, one.sentence) for one in found] == [
        ("certain", "suite: step 8 holds the same weights as step 32."),
        ("likely", "suite: the adapters of step 16 adapt another model (other) than the others (one)."),
    ]


def test_a_table_and_json_are_not_both_printed(tmp_path: Path) -> None:
    asked = CliRunner().invoke(app, ["audit", str(tmp_path), "--csv", "--json"])
    assert (asked.exit_code, asked.stdout) == (2, "")


def test_no_more_is_counted_than_there_are(hub: HubServer) -> None:
    """`main` is listed too, and is no checkpoint."""
    hub.repositories["ai/model-1b"] = Repository({}, listed={name: whole(name) for name in ("main", "step0", "step8")})
    counts: list[int] = []
    hub_listings(list(open_suite("ai/model-1b")), counts.append)
    assert (len(counts), sum(counts)) == (3, 2)


def test_of_what_was_read_it_is_not_said_that_nothing_is_known(hub: HubServer) -> None:
    listed = {f"step{step}": whole("" if step in (64, 128) else f"own {step}") for step in PYTHIA[:20]}
    hub.repositories["ai/model-1b"] = Repository({}, listed=listed)
    suite = ListedSuite.read(listings_of(open_suite("ai/model-1b")))
    keys = [key for key in suite.of if key.step in (64, 128)]
    assert [one.checkpoints for one in without_hashes(suite)] == [tuple(keys)]
    assert [one.checkpoints for one in without_hashes(suite, keys[:1])] == [(keys[1],)]
    assert list(without_hashes(suite, keys)) == []
