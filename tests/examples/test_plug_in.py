"""The example of a plug-in: installed into an environment of its own, and used there."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

# An environment of its own: a minute.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PLUG_IN = ROOT / "examples" / "plug-in"

# In one process, as the libraries take seconds to import.
_SESSION = """
import json, sys
from typer.testing import CliRunner
import phasescope as ps
from phasescope.cli import app
from phasescope.hooks import architectures
from phasescope.reports.answers import answer_named
from phasescope.reports.kit.answer import Scope
from phasescope.reports.own import own_parts
from phasescope.suites import open_suite

suite, texts, out = sys.argv[1:]

def say(*words):
    said = CliRunner().invoke(app, words)
    assert said.exit_code == 0, (words, said.stderr, said.exception)
    return said.stdout

asked = f"--texts {texts} --sites mlp_out --sequences 4 --context 16 --output-sequences 2".split()
say("capture", suite, "--out", out, "--seeds", "1", "--steps", "0,16",
    "--probe", "phasescope-example:induction", *asked)
say("map", out, "phasescope-example:participation_ratio")
shown = say("analyse", out, "top_share")
run = ps.open_run(out)
print(json.dumps({
    "plugins": json.loads(say("plugins", "--json")),
    "suites": json.loads(say("suites", "--json")).get("phasescope-example:early-pythia"),
    "steps": open_suite("early-pythia").steps(),
    "architectures": [one.model_type for one in architectures()],
    "score": list(run.probed("phasescope-example:induction", 1, 16)["score"].shape),
    "measured": run.measured,
    "components": sorted(set(run.table("phasescope-example:participation_ratio")["component"])),
    "shown": shown,
    "help": "top_share" in say("analyse", "--help"),
    "parts": [part.intro for section in answer_named("top_share").sections for part in section.parts(Scope(run, None))],
    "report": own_parts({name: run.table(name) for name in run.measured})[0].intro,
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that sees what this one has installed, and the plug-in beside it. Nothing is fetched."""
    folder = tmp_path_factory.mktemp("plug-in")
    shutil.copytree(PLUG_IN, folder / "source")
    venv.create(folder / "own", system_site_packages=True)
    python = folder / "own" / ("Scripts" if os.name == "nt" else "bin") / "python"
    (own,) = (folder / "own").rglob("site-packages")
    (own / "outer.pth").write_text("\n".join(site.getsitepackages()))
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index",
         "--disable-pip-version-check", folder / "source"],
        check=True,
    )  # fmt: skip
    return python


def test_it_has_five_files() -> None:
    files = [path.relative_to(PLUG_IN).as_posix() for path in PLUG_IN.rglob("*") if path.is_file()]
    assert len([name for name in files if "__pycache__" not in name]) == 5


def test_one_of_each_is_there(python: Path, suite_folder: Path, texts_file: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [python, "-c", _SESSION, suite_folder / "tiny", texts_file, tmp_path / "run"],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert {(one["kind"], one["name"]) for one in found["plugins"]} == {
        ("measure", "phasescope-example:participation_ratio"),
        ("analysis", "phasescope-example:top_share"),
        ("probe", "phasescope-example:induction"),
        ("suite", "phasescope-example:early-pythia"),
        ("architecture", "phasescope-example:our_model"),
    }
    assert {one["package"] for one in found["plugins"]} == {"phasescope-example"}
    assert found["suites"]["package"] == "phasescope-example"
    assert found["steps"][-1] == 512
    assert "our_model" in found["architectures"]
    assert found["score"] == [4, 2, 2]
    assert found["measured"] == ["phasescope-example:participation_ratio"]
    assert found["components"] == ["mlp_out"]
    assert "How low-rank is the first layer's MLP?" in " ".join(found["shown"].split())
    assert found["help"]
    assert found["parts"][0].endswith("From the package phasescope-example.")
    assert found["report"].endswith("From the package phasescope-example.")
    assert sys.prefix not in str(python)
