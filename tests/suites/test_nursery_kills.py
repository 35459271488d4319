"""Killed at any instant and run again, a training gives the same files as if it had been left alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.suites.nursery_samples import contents


@pytest.mark.slow
def test_a_training_killed_many_times_gives_the_same_weights_bit_for_bit(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.suites.nursery_kills", tmp_path]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 8, "too few kills to mean anything"
    undisturbed, killed = contents(tmp_path / "undisturbed"), contents(tmp_path / "killed")
    assert killed.keys() == undisturbed.keys()
    assert [name for name in killed if killed[name] != undisturbed[name]] == []
    assert sum(name.endswith("model.safetensors") for name in killed) == 2 * 6
