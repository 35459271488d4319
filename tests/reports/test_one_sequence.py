"""A run of one sequence has few intervals and no nulls: its sentences say so instead of `nan`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import phasescope as ps


@pytest.fixture(scope="module")
def run(suite_folder: Path, texts_file: Path, tmp_path_factory: pytest.TempPathFactory) -> ps.Run:
    run = ps.capture(
        suite_folder, str(texts_file), tmp_path_factory.mktemp("one") / "run", sizes="tiny", sequences=1, context=32,
        output_sequences=1,
    )  # fmt: skip
    run.analyse()
    run.analyse("similarity")
    return run


def test_no_sentence_of_the_report_says_nan(run: ps.Run) -> None:
    page = re.sub(r"<(script|style)\b.*?</\1>", "", run.report().read_text(encoding="utf-8"), flags=re.DOTALL)
    sentences = [
        re.sub(r"<[^>]*>", "", found) for found in re.findall(r"<(?:p|li|summary|figcaption)\b.*?</", page, re.DOTALL)
    ]
    assert len(sentences) > 20
    assert [told for told in sentences if re.search(r"\bnan\b", told, re.IGNORECASE)] == []
