"""A run that keeps heads, matrices and tags."""

from __future__ import annotations

from pathlib import Path

import pytest

import phasescope as ps
from tests.conftest import make_suite, tagged_prose

SITES = ("attn_out", "mlp_out", "ov_out", "z", "pattern", "resid_post")


@pytest.fixture(scope="session")
def held_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_suite(tmp_path_factory.mktemp("held") / "suite", ("tiny",), (1, 2), (0, 1, 4, 16))


@pytest.fixture(scope="session")
def held(held_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One size × two seeds × four steps, two positions of eight windows. Read only: copy it to change it."""
    folder = tmp_path_factory.mktemp("held")
    tagged_prose(folder / "tagged.jsonl")
    ps.capture(
        held_suite, texts=folder / "tagged.jsonl", out=folder / "run", sites=SITES, sequences=8, context=16,
        output_sequences=3, positions=2, keep_weights=True,
    )  # fmt: skip
    return folder / "run"


@pytest.fixture(scope="module")
def run(held: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    """With a folder of its own for what the tests of a file make of it."""
    return ps.open_run(held, out=tmp_path_factory.mktemp("made"))
