"""A made-up run with every table, for tests that need known numbers rather than real ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reports.tables import SyntheticRun, make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    """Two sizes, three seeds, twelve steps, whole components and heads. Tests must not change it."""
    return make_run(Path(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRun:
    """Enough to have every kind of figure, and little to draw. Tests must not change it."""
    depths, components = {"0.4m": 2, "1.6m": 2}, ("attn_out", "ov_out", "mlp_out")
    folder = tmp_path_factory.mktemp("small")
    return make_run(folder, depths=depths, heads=2, seeds=(1, 2), steps=(0, 4, 16, 64), components=components)
