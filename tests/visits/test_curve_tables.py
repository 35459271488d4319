"""Tables of curves that others made."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from phasescope.errors import PhasescopeError
from phasescope.store import ShardKey
from phasescope.visits.importing.checkpoint_names import CheckpointNames
from phasescope.visits.importing.curve_tables import read_curves
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


def test_the_index_that_pandas_writes_along_is_no_curve(tmp_path: Path) -> None:
    frame = pd.DataFrame({"step": [0, 8], "loss": [3.0, 2.0]})
    for name in (None, "index"):
        frame.rename_axis(name).to_csv(tmp_path / "a.csv")
        assert set(read(tmp_path / "a.csv")["metric"]) == {"loss"}
    # A column of that name that counts no rows is one of numbers like others.
    path = written(tmp_path, "index,step,loss\n7,0,3\n9,8,2\n")
    assert set(read(path)["metric"]) == {"index", "loss"}


def test_another_axis_is_no_curve(tmp_path: Path) -> None:
    text = "step,tokens,epoch,wall_time,loss\n0,0,0.0,1.5,3\n8,16384,0.1,2.5,2\n0,0,0.0,1.5,4\n"
    path = written(tmp_path, text.replace("step", "seed,step", 1).replace("\n0,0,0.0,1.5,4", "\n2,0,0,0.0,1.5,4")
                   .replace("\n0,0,0.0,1.5,3", "\n1,0,0,0.0,1.5,3").replace("\n8,", "\n1,8,"))  # fmt: skip
    assert set(read(path)["metric"]) == {"loss"}
    # Called so, but not rising with the steps: what was measured.
    assert set(read(written(tmp_path, "step,time\n0,5\n8,2\n"))["metric"]) == {"time"}


@pytest.mark.parametrize(
    "text",
    [
        "step;loss\n0;3,5\n8;2,25\n",
        "step;loss\n0;3.5\n8;2.25\n",
        "step\tloss\n0\t3.5\n8\t2.25\n",
        'step,loss\n0,3.5\n"8",2.25\n',
    ],
)
def test_other_separators_and_decimal_commas(tmp_path: Path, text: str) -> None:
    table = read(written(tmp_path, text))
    assert table[["step", "metric", "value"]].to_numpy().tolist() == [[0, "loss", 3.5], [8, "loss", 2.25]]


def test_thousands_of_steps_are_whole_numbers(tmp_path: Path) -> None:
    assert read(written(tmp_path, 'step,loss\n"1,000",3\n"143,000",2\n'))["step"].tolist() == [1000, 143_000]


def test_one_odd_row_of_a_published_table_is_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{step},{step / 8}" for step in range(20)]
    table = read(written(tmp_path, "\n".join(["step,loss", *lines, "final,0.1"]) + "\n"))
    assert table["step"].tolist() == list(range(20))
    said = " ".join(capsys.readouterr().err.split())
    assert "1 of 21 rows of" in said
    assert "'final' is no step" in said
    odd = read(written(tmp_path, "\n".join(["step,loss,acc", *(f"{line},1" for line in lines), "20,diverged,1"])))
    assert odd[odd["metric"] == "loss"]["value"].isna().sum() == 1


@pytest.mark.parametrize(
    ("text", "columns", "sentence"),
    [
        ("tokens,loss\n1000,3\n", {}, r"'tokens' counts tokens. If .*--column step=tokens; else divide it by"),
        ('step,loss,acc\n0,"1,000",1\n', {}, r"'loss': '1,000' is no number. Write it without the comma"),
        ('step,loss,acc\n0,"0,25",1\n', {}, r"'loss': '0,25' is no number. Write it with a point"),
        ("step,id,value\n0,1,1\n0,1,2\n", {}, r"at step 0: 1, 2\. Keep one row for each step"),
        (",step,value\n0,0,1\n1,0,2\n", {}, r"at step 0: 1, 2\. Keep one row for each step"),
        ("epoch,value\n1,2\n", {}, r"has no column of steps: .*There are: epoch, value"),
        ("step,value\n0.5,2\n", {}, r"row 1, column 'step': 0.5 is no step, which is a whole number"),
        ("step,value\n8,2\nsoon,2\n", {}, r"row 2, column 'step': 'soon' is no step"),
        ("step,value\n,2\n", {}, r"row 1, column 'step': nan is no step"),
        ("step,value\n-1,2\n", {}, r"row 1, column 'step': -1 is no step"),
        ("step,value\n0,high\n", {}, r"row 1, column 'value': 'high' is no number"),
        ("step,seed,value\n0,one,2\n", {}, r"row 1, column 'seed': 'one' is no seed"),
        ("step,name\n0,one\n", {}, r"has no column with numbers beside 'step'"),
        ("step,value\n0,1\n0,2\n", {}, r"has several values of value of scores at step 0: 1, 2\. Keep one row"),
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
