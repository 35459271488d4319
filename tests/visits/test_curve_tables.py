"""Tables of curves that others made."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import ShardKey
from phasescope.visits.checkpoint_names import CheckpointNames
from phasescope.visits.curve_tables import read_curves
from tests.conftest import shared

NAMES = CheckpointNames([ShardKey(size, seed, step) for size in ("70m", "160m") for seed in (1, 2) for step in (0, 8)])


def written(folder: Path, text: str, name: str = "scores.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, **columns: list[str]) -> pd.DataFrame:
    return read_curves(path, NAMES, columns)


def test_one_number_a_row(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "model,Training Step,benchmark,metric,score,std_err\n"
        "pythia-160m-seed2,8,piqa,acc,0.5,0.01\npythia-70m,0,piqa,ppl,30,\n",
    )
    table = read(path)
    assert table[["size", "step", "task", "metric", "value"]].to_numpy().tolist() == [
        ["160m", 8, "piqa", "acc", 0.5],
        ["70m", 0, "piqa", "ppl", 30.0],
    ]
    assert table["seed"].tolist() == [2, pd.NA]
    assert table["stderr"].iloc[0] == 0.01
    assert table["stderr"].isna().tolist() == [False, True]
    assert table["higher_is_better"].tolist() == [True, False]


def test_every_column_a_metric_with_what_belongs_to_it(tmp_path: Path) -> None:
    text = "step\tseed\tacc\tacc_stderr\tloss\tloss_low\tloss_high\tdone\n0\t1\t0.1\t0.01\t3\t2.9\t3.2\tTrue\n"
    table = read(written(tmp_path, text, "70m run.tsv"))
    assert set(table["size"]) == {"70m"}
    assert set(table["task"]) == {"70m run"}
    rows = table.set_index("metric")
    assert list(rows.index) == ["acc", "loss"]
    assert rows.loc["acc", ["value", "stderr"]].tolist() == [0.1, 0.01]
    assert rows.loc["loss", ["value", "low", "high"]].tolist() == [3, 2.9, 3.2]


def test_parquet_and_names_that_a_user_gives(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    pd.DataFrame({"epoch": ["step0", "step8"], "kind": "a", "rule": ["x", "y"], "v": [1.5, 2.5]}).to_parquet(path)
    table = read(path, step=["epoch"], value=["v"], task=["kind", "rule"])
    assert table[["step", "task", "value", "metric"]].to_numpy().tolist() == [
        [0, "a, x", 1.5, "v"],
        [8, "a, y", 2.5, "v"],
    ]


def test_rows_that_say_the_same_twice_count_once(tmp_path: Path) -> None:
    assert len(read(written(tmp_path, "step,value\n0,1\n0,1\n8,2\n"))) == 2


def test_the_published_correlations(tmp_path: Path) -> None:
    """A table that others published: three architectures in one file, told apart by a column of another name."""
    path = shared("behaviour", "parc_heuristic_correlations.tsv")
    names = CheckpointNames([ShardKey("160m", 2, 160)])
    table = read_curves(path, names, {"task": ["ModelFamily", "CorrelatingVariable"]})
    raw = pd.read_csv(path, sep="\t")
    assert len(table) == 2 * len(raw.drop_duplicates())
    row = raw.iloc[0]
    mine = table[
        (table["task"] == f"{row['ModelFamily']}, {row['CorrelatingVariable']}")
        & (table["seed"] == int(row["ModelSeed"].removeprefix("seed")))
        & (table["step"] == row["ModelStep"])
    ].set_index("metric")["value"]
    assert mine.to_dict() == {"PearsonR": row["PearsonR"], "SpearmanRho": row["SpearmanRho"]}
    with pytest.raises(PhasescopeError, match=r"several values of PearsonR .* --column task=NAME.*CorrelatingVariable"):
        read_curves(path, names, {})


@pytest.mark.parametrize(
    ("text", "columns", "sentence"),
    [
        ("epoch,value\n1,2\n", {}, r"has no column of steps: .*There are: epoch, value"),
        ("step,value\n0.5,2\n", {}, r"row 1, column 'step': 0.5 is no step, which is a whole number"),
        ("step,value\n8,2\nsoon,2\n", {}, r"row 2, column 'step': 'soon' is no step"),
        ("step,value\n,2\n", {}, r"row 1, column 'step': nan is no step"),
        ("step,value\n-1,2\n", {}, r"row 1, column 'step': -1 is no step"),
        ("step,value\n0,high\n", {}, r"row 1, column 'value': 'high' is no number"),
        ("step,seed,value\n0,one,2\n", {}, r"row 1, column 'seed': 'one' is no seed"),
        ("step,name\n0,one\n", {}, r"has no column with numbers beside 'step'"),
        ("step,value\n0,1\n0,2\n", {}, r"has several values of value of scores at step 0: 1, 2\."),
        ("step,kind,value\n0,a,1\n0,b,2\n", {}, r"Say what tells them apart: --column task=NAME. There are: kind"),
        ("step,value\n0,1\n", {"stp": ["step"]}, r"cannot be the 'stp'. Did you mean step"),
        ("step,value\n0,1\n", {"step": ["steps"]}, r"has no column 'steps'. Did you mean step"),
        ("", {}, r"cannot be read as a table"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, columns: dict[str, list[str]], sentence: str) -> None:
    with pytest.raises(PhasescopeError, match=sentence):
        read(written(tmp_path, text), **columns)


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    with pytest.raises(PhasescopeError, match="no such file"):
        read(tmp_path / "absent.csv")
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(PhasescopeError, match=r"x.parquet cannot be read as a table"):
        read(tmp_path / "x.parquet")
