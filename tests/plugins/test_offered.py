"""What packages offer: found by name, named where it cannot be used, and passed over."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

import phasescope as ps
from phasescope.analyses import registry
from phasescope.cli import app
from phasescope.errors import BadArgumentError, PhasescopeWarning
from phasescope.plugins import measure_named, measures, probe_named
from phasescope.plugins.offered import forget
from phasescope.suites import open_suite

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Put a package there, as pip leaves it: a module and what its metadata say."""
    monkeypatch.syspath_prepend(tmp_path)

    def put(package: str, code: str, points: str) -> None:
        module = package.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(f"import phasescope as ps\n{code}")
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(points)
        monkeypatch.delitem(sys.modules, module, raising=False)
        forget()

    forget()
    return put


@pytest.fixture(autouse=True)
def forgotten() -> object:
    yield
    forget()


ONE = "@ps.measure\ndef one(x):\n    return 1.0\n"


def test_one_is_found_by_its_name_and_its_packages(install: Install) -> None:
    install("their-measures", ONE, "[phasescope.measures]\none = their_measures:one\n")
    found, package = measure_named("one")
    assert (found.name, package) == ("one", "their-measures")
    assert measure_named("their-measures:one")[0] is found
    assert [one.full for one in measures()] == ["their-measures:one"]
    with pytest.raises(BadArgumentError, match=r"no measure 'on'. Did you mean one|There are"):
        measure_named("on")


def test_two_of_one_name_have_to_be_told_apart(install: Install) -> None:
    install("their-measures", ONE, "[phasescope.measures]\none = their_measures:one\n")
    install("my-measures", ONE.replace("1.0", "2.0"), "[phasescope.measures]\none = my_measures:one\n")
    with pytest.raises(BadArgumentError, match=r"Several packages offer a measure 'one': .*my-measures:one"):
        measure_named("one")
    assert measure_named("my-measures:one")[0](None) == 2.0


@pytest.mark.parametrize(
    ("code", "points", "said"),
    [
        ("1 / 0", "one = bad:one", r"entry point one of bad cannot be loaded and is passed over \(ZeroDivisionError"),
        ("", "one = bad:one", "cannot be loaded and is passed over"),
        ("one = 3", "one = bad:one", "of bad gives a int and is passed over: it must be a Measure"),
        (
            "@ps.measure(interface=2)\ndef one(x):\n    return 1.0\n",
            "one = bad:one",
            "passed over: The measure one is written for plug-in interface 2, and this phasescope has 1: pip install",
        ),
        (f"{ONE}both = (one, one)", "one = bad:both", "bad offers two called one .*the second is passed over"),
        ("@ps.measure(pairs='finale')\ndef one(x):\n    return 1.0\n", "one = bad:one", "no pairs 'finale'"),
    ],
)
def test_one_that_cannot_be_used_is_named_and_passed_over(install: Install, code: str, points: str, said: str) -> None:
    install("bad", code, f"[phasescope.measures]\n{points}\n")
    install("good", ONE.replace("one", "other"), "[phasescope.measures]\nother = good:other\n")
    with pytest.warns(PhasescopeWarning, match=said):
        names = [one.full for one in measures()]
    assert "good:other" in names


def test_suites_and_the_lists_of_the_command_line(install: Install, suite_folder: Path) -> None:
    code = f'def toys():\n    """Toys on this disk."""\n    return {str(suite_folder)!r}\n'
    install("toy-box", code, "[phasescope.suites]\ntoys = toy_box:toys\n")
    assert open_suite("toys") == open_suite("toy-box:toys") == open_suite(suite_folder)
    with pytest.raises(ps.PhasescopeError, match="Did you mean toy-box:toys"):
        open_suite("toy-box:toy")
    said = CliRunner().invoke(app, ["plugins"]).stdout
    assert "toy-box:toys" in said
    assert "Toys on this disk." in said
    assert "toy-box" in CliRunner().invoke(app, ["suites"]).stdout


def test_one_that_is_defined_again_takes_the_place_of_the_first() -> None:
    ps.measure(name="again")(lambda x: 1.0)
    second = ps.measure(name="again")(lambda x: 2.0)
    assert measure_named("again") == (second, "")

    @ps.probe(name="seen")
    def anything(model: object, tokens: object, reading: object) -> dict[str, object]:
        return {}

    assert probe_named("seen")[0] is anything
    with pytest.raises(ps.PhasescopeError, match="A probe is kept under its name, and '<lambda>' is none"):
        ps.probe(lambda model, tokens, reading: {})


def test_a_decorated_analysis_is_listed_before_anyone_asked_for_questions(install: Install) -> None:
    code = '@ps.analysis("How many?", [ps.Table("many", "one", {"n": "int64"})])\ndef many(reader, options): ...\n'
    install("their-analyses", code, "[phasescope.analyses]\nmany = their_analyses:many\n")
    registry.forget()
    try:
        assert [(one.full, one.thing.name) for one in registry.offered_questions()] == [("their-analyses:many", "many")]
        assert registry.questions()["many"].package == "their-analyses"
    finally:
        registry.forget()
