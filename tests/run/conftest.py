"""A run that keeps heads, matrices and tags."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import phasescope as ps
from tests.conftest import PROSE, make_suite

TAGS = ("NOUN", "VERB", "DET", "ADJ")
SITES = ("attn_out", "mlp_out", "ov_out", "z", "pattern", "resid_post")


@pytest.fixture(scope="session")
def held_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_suite(tmp_path_factory.mktemp("held") / "suite", ("tiny",), (1, 2), (0, 1, 4, 16))


@pytest.fixture(scope="session")
def held(held_suite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One size × two seeds × four steps, two positions of eight windows. Read only: copy it to change it."""
    folder = tmp_path_factory.mktemp("held")
    words = PROSE.replace(",", "").replace(".", "").replace(";", "").split()
    line = {"words": words, "tags": [TAGS[len(word) % 4] for word in words]}
    (folder / "tagged.jsonl").write_text("\n".join(json.dumps(line) for _ in range(4)), encoding="utf-8")
    ps.capture(
        held_suite, texts=folder / "tagged.jsonl", out=folder / "run", sites=SITES, sequences=8, context=16,
        output_sequences=3, positions=2, keep_weights=True,
    )  # fmt: skip
    return folder / "run"


@pytest.fixture(scope="module")
def run(held: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    """With a folder of its own for what the tests of a file make of it."""
    return ps.open_run(held, out=tmp_path_factory.mktemp("made"))
