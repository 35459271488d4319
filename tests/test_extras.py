"""What is not installed is one sentence, and takes nothing else with it."""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import phasescope as ps
from phasescope.analyses import Options, RunReader, questions, results
from phasescope.analyses.seeds.token_groups import usual
from phasescope.errors import MissingLibraryError, PhasescopeWarning
from phasescope.probes import Probes
from phasescope.store import RunFolder
from phasescope.suites import open_suite
from phasescope.texts.counts.ngram_index import _infini_gram
from phasescope.texts.similarity import Vectors
from phasescope.texts.tags import _hanta
from phasescope.workers import Workforce

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
NEEDS: dict[str, tuple[str, Callable[[], object]]] = {
    "transformer_lens": ("engines", lambda: Probes(engine="transformer_lens")),
    "nnsight": ("engines", lambda: Probes(engine="nnsight")),
    "gensim": ("heuristics", lambda: Vectors.read(Path("none.bin"))),
    "HanTa": ("heuristics", _hanta.__wrapped__),
    "infini_gram": ("heuristics", _infini_gram),
    "ray": ("cluster", lambda: Workforce(cluster="auto").require()),
}


@pytest.mark.parametrize("library", NEEDS)
def test_a_library_that_is_not_there_is_one_sentence(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    extra, ask = NEEDS[library]
    with pytest.raises(MissingLibraryError, match=rf"not installed: pip install 'phasescope\[{extra}\]'"):
        ask()


def test_suites_of_transformer_lens_need_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformer_lens", None)
    with pytest.raises(MissingLibraryError, match="The suite transformer_lens:solu-2l needs transformer_lens"):
        open_suite("transformer_lens:solu-2l")


def test_all_other_analyses_are_made(captured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "statsmodels", None)
    reader = RunReader(RunFolder(captured, tmp_path / "made"))
    with pytest.raises(MissingLibraryError, match=r"The link needs statsmodels.*phasescope\[link\]"):
        results.analyse(reader, ["link"], Options(resamples=2))
    monkeypatch.setattr(results, "questions", lambda: {name: questions()[name] for name in ("rank", "link")})
    with pytest.warns(PhasescopeWarning, match="The analysis link is left out: The link needs statsmodels"):
        assert set(results.analyse(reader, (), Options(resamples=2))) == {"rank"}


def test_tokens_are_grouped_by_what_can_be_told(captured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = ps.open_run(captured).inputs
    assert "pos" in usual(inputs)
    monkeypatch.setitem(sys.modules, "HanTa", None)
    with pytest.warns(PhasescopeWarning, match="not grouped by part of speech: Tagging parts of speech needs HanTa"):
        assert usual(inputs) == ("frequency", "final_surprisal")
    assert "pos" in usual(replace(inputs, tags=["NOUN"] * len(inputs.words)))


def test_all_is_all_and_the_core_imports_none_of_it() -> None:
    extras = PROJECT["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(everything.partition("[")[2].rstrip("]").split(",")) == set(extras) - {"all"}
    core = {name.split(">")[0].lower() for name in PROJECT["dependencies"]}
    assert not core & {
        "transformer-lens",
        "nnsight",
        "gensim",
        "hanta",
        "infini-gram",
        "statsmodels",
        "dash",
        "ray[default]",
    }
    assert importlib.util.find_spec("phasescope.__main__")
