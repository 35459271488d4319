"""run.json and tables: what changed after it was written is told, what is missing is one sentence."""

import json
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from phasescope.errors import PhasescopeError, PhasescopeWarning
from phasescope.store import RunFolder, read_table, verify, write_table


def problem(folder: RunFolder, path: Path) -> str:
    return next(finding.problem for finding in verify(folder) if finding.path == path)


def test_every_changed_byte_of_a_manifest_is_noticed(folder: RunFolder) -> None:
    whole = folder.manifest.read_bytes()
    good = folder.read_manifest()
    for place in range(len(whole)):
        folder.manifest.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with suppress(PhasescopeError, PhasescopeWarning):
                assert folder.read_manifest() == good  # a blank that became another blank


def test_a_manifest_that_was_changed_on_purpose_is_read_and_told_of(folder: RunFolder) -> None:
    changed = json.loads(folder.manifest.read_text()) | {"source": "elsewhere"}
    folder.manifest.write_text(json.dumps(changed))
    assert "changed after it was written" in problem(folder, folder.manifest)
    with pytest.warns(PhasescopeWarning, match=r"run\.json changed after it was written"):
        manifest = folder.read_manifest()
    assert manifest["source"] == "elsewhere"
    assert "digest" not in manifest
    folder.write_manifest(manifest)
    assert problem(folder, folder.manifest) == ""


@pytest.mark.parametrize(
    ("key", "odd"),
    [
        ("sizes", "14m"),
        ("sizes", [1]),
        ("checkpoints", [{"size": "14m", "seed": 1}]),
        ("checkpoints", [{"size": "14m", "seed": "../..", "step": 0}]),
        ("checkpoints", [{"size": "14m", "seed": True, "step": 0}]),
        ("failed", [{"size": "14m", "seed": 1, "step": 0}]),
        ("inputs", {"hash": "x"}),
        ("inputs", []),
        ("asked", None),
        ("family", 3),
        ("source", None),
        ("seconds", "long"),
    ],
)
def test_a_manifest_without_what_it_must_say(folder: RunFolder, key: str, odd: Any) -> None:
    whole = folder.read_manifest()
    for changed in (whole | {key: odd}, {name: value for name, value in whole.items() if name != key}):
        folder.write_manifest(changed)
        with pytest.raises(PhasescopeError, match=rf"run\.json is damaged: it (has odd|says nothing of) `{key}`"):
            folder.read_manifest()
        with pytest.raises(PhasescopeError, match=key):
            list(verify(folder))


def test_every_changed_byte_of_a_table_is_noticed(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "size": ["14m"] * 40,
            "step": np.arange(40),
            "kl": rng.normal(size=40),
            "head": [None, 1] * 20,
        }
    )
    table.attrs = {"made_from": "abc", "options": "Options()"}
    path = tmp_path / "mine.parquet"
    write_table(path, table)
    assert table.attrs == {"made_from": "abc", "options": "Options()"}
    back = read_table(path)
    pd.testing.assert_frame_equal(back, table)
    assert back.attrs == table.attrs
    pd.testing.assert_frame_equal(pd.read_parquet(path), table)  # as anybody reads it
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(PhasescopeError, match=r"mine\.parquet is damaged.* Delete it"):
            read_table(path)


def test_a_table_that_an_older_phasescope_or_another_program_wrote_is_read(tmp_path: Path) -> None:
    table = pd.DataFrame({"step": [0, 1]})
    table.to_parquet(tmp_path / "mine.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "mine.parquet"), table)
    (tmp_path / "mine.parquet").write_bytes(b"PAR1")
    with pytest.raises(PhasescopeError, match="is damaged"):
        read_table(tmp_path / "mine.parquet")


@pytest.mark.parametrize(
    ("key", "odd"),
    [("versions", 1e300), ("sites", "mlp_out"), ("created", None), ("trainings", [1]), ("engine", ["torch"])],
)
def test_an_odd_part_that_a_manifest_may_lack(folder: RunFolder, key: str, odd: Any) -> None:
    folder.read_manifest()  # without it
    folder.write_manifest(folder.read_manifest() | {key: odd})
    with pytest.raises(PhasescopeError, match=f"has odd `{key}`"):
        folder.read_manifest()
