"""A made-up run with every table, for tests that need known numbers rather than real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.tables import SyntheticRun, make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    """Two sizes, three seeds, twelve steps, whole components and heads. Tests must not change it."""
    return make_run(Path(tmp_path_factory.mktemp("run")))
