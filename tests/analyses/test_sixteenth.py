"""A question that a package of two files brings is there as ours are: answered, shown, listed, and a method of runs."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import phasescope as ps
from phasescope.analyses import Options, Table, questions, registry
from phasescope.cli import app
from phasescope.errors import BadArgumentError, PhasescopeWarning
from phasescope.reports.answers import answers
from phasescope.run import asked
from tests.docs.pages import ROOT

ASKS = """
from phasescope.analyses import Curve, Option, Table, question

COLUMNS = {"size": "str", "seed": "int64", "step": "int64", "least": "float64"}


@question(
    "How surprising is the least surprising token?",
    [
        Table(
            "least",
            "The least surprisal of any token per size, seed and step.",
            COLUMNS,
            {"nats": "least"},
            curves=(Curve("least", "the least"),),
        )
    ],
    options=[Option("rounded", "to so many digits.", 3, kind=int)],
)
def analyse(reader, options):
    from phasescope.analyses.reader import as_table

    rows = []
    for key in reader.keys:
        with reader.folder.open_shard(key) as shard:
            least = shard.read("outputs/surprisal").min()
            rows.append((key.size, key.seed, key.step, round(float(least), options.rounded)))
    return {"least": as_table(rows, COLUMNS)}
"""
SHOWS = """
from phasescope.reports.kit import cells
from phasescope.reports.kit.along_training import along_training
from phasescope.reports.kit.answer import SIZE, Answer, Lookup, Section, Topic
from phasescope.reports.kit.panels import Panel, Part


def view(tables):
    made = cells.table("The least", "size", ">last")
    for size, rows in tables("least").groupby("size", sort=False):
        made.add_row(size, cells.number(rows["least"].iloc[-1]))
    return made


def part(about):
    table = about.tables["least"].assign(low=lambda rows: rows["least"], high=lambda rows: rows["least"])
    figure = along_training({"least": table}, ("least", "low", "high"), "least surprisal")
    return Part("least", "The least surprising token", "How sure.", [Panel("Least", "Of all.", figure, source="least")])


def tell(size, tables, seeds):
    return f"The least surprisal of {size} is {tables['least']['least'].min():.3f}."


def lookup(size, tables):
    rows = [(str(row.step), f"{row.least:.3f}") for row in tables["least"].itertuples()]
    yield Lookup(f"Least of {size}", "nats", ("step", "least"), rows)


ANSWER = Answer(
    view, (Section(SIZE, lambda about: [part(about)]),), (Topic("least", "The least", tell),), lookup
)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installed as `pip` would: two files, and what says which question they bring."""
    root = tmp_path / "site"
    for name, text in (("analyses/least.py", ASKS), ("reports/least.py", SHOWS)):
        file = root / "extra_questions" / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    about = root / "extra_questions-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: extra-questions\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[phasescope.analyses]\nleast = extra_questions.analyses.least:analyse\n")
    monkeypatch.syspath_prepend(root)
    yield root
    for module in [name for name in sys.modules if name.startswith("extra_questions")]:
        del sys.modules[module]
    registry.forget()


@pytest.fixture
def run(captured: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(captured, tmp_path / "run"))


def test_a_sixteenth_question_is_everywhere(package: Path, run: Path, tmp_path: Path) -> None:
    # Phases that were found before know nothing of a curve that comes later: they are found anew.
    assert "the least" not in set(ps.open_run(run).phases()["curve"])
    registry.forget()
    assert list(questions())[-1] == "least"
    cli = CliRunner()
    helped = " ".join(cli.invoke(app, ["analyse", "--help"]).output.split())
    assert "phases, link, least." in helped
    assert "--rounded" in helped
    assert "least: to so many digits. [default: 3]" in helped
    shown = cli.invoke(app, ["analyse", str(run), "least", "--rounded", "2"])
    assert shown.exit_code == 0, shown.output
    assert "The least" in shown.output
    kept = pd.read_parquet(run / "results/least.parquet")
    assert (kept["least"] == kept["least"].round(2)).all()
    told = json.loads(cli.invoke(app, ["analyse", str(run), "least", "--json"]).output)
    assert set(told) == {"least"}

    opened = ps.open_run(run)
    assert "least" in dir(opened)
    assert opened.least().equals(opened.table("least"))
    assert opened.least.__doc__ == "The least surprisal of any token per size, seed and step."
    assert "the least" in set(opened.phases()["curve"]) & set(opened.table("link_lags")["curve"])
    markdown = opened.report_markdown(tmp_path / "report.md").read_text()
    for text in ("### The least surprising token", "- The least surprisal of tiny is", "**Least of tiny** (nats)"):
        assert text in markdown
    assert "The least surprising token" in opened.report(tmp_path / "report.html").read_text()


def test_what_a_package_brings_twice_or_without_a_view_is_said(package: Path, run: Path) -> None:
    (package / "extra_questions/reports/least.py").unlink()
    text = ASKS.replace('            "least",', '            "noise",')
    (package / "extra_questions/analyses/least.py").write_text(text)
    registry.forget()
    with pytest.warns(PhasescopeWarning, match="two tables 'noise', of noise \\(phasescope\\) and of least"):
        assert "least" not in questions()
    sys.modules.pop("extra_questions.analyses.least")
    (package / "extra_questions/analyses/least.py").write_text(ASKS.replace("least surprising token", "surest token"))
    registry.forget()
    shown = CliRunner().invoke(app, ["analyse", str(run), "least"])
    assert shown.exit_code == 1
    assert "extra_questions.reports.least, which has no ANSWER there" in shown.output


def test_a_question_is_registered_by_hand() -> None:
    table = Table("ours", "One row.", {"step": "int64"})
    made = ps.analysis("How?", [table], name="ours")(lambda reader, options: {"ours": pd.DataFrame()})
    try:
        assert questions()["ours"] is made
        with pytest.raises(BadArgumentError, match="two tables 'ours', of ours"):
            ps.analysis("Why?", [table], name="theirs")(lambda reader, options: {})
    finally:
        registry.forget()


def test_options_that_no_question_takes_are_refused_with_the_nearest() -> None:
    with pytest.raises(BadArgumentError, match=r"No analysis takes 'earli'\. Did you mean early"):
        Options(earli="3")
    assert Options(early="3") == Options(500, early="3") != Options()
    with pytest.raises(AttributeError, match="options are not changed"):
        Options().level = 0.9


def test_editors_read_the_methods_that_there_are() -> None:
    assert Path(asked.__file__).with_suffix(".pyi").read_text() == asked.stub()


def test_every_number_of_a_table_has_a_unit() -> None:
    for one in questions().values():
        for table in one.tables:
            known = {name for names in table.units.values() for name in names.split()}
            assert known <= set(table.columns), table.name
            numbers = {name for name, kind in table.columns.items() if kind == "float64"}
            assert numbers - known <= {"level", "limit"}, table.name


def test_every_question_has_its_two_places_and_a_page() -> None:
    assert set(answers()) == set(questions())
    for name, one in questions().items():
        assert one.analyse.__module__ == f"phasescope.analyses.{name}"
        assert one.report == f"phasescope.reports.{name}"
        assert (ROOT / "docs" / "analyses" / f"{name}.md").is_file()
