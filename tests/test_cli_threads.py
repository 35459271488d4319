from __future__ import annotations

import os
import subprocess
import sys

import pytest

LOADING = """
import sys
from phasescope.cli import main
sys.argv[1:] = ["--version"]
try:
    main()
except SystemExit:
    import torch
"""


def told_by_openmp(**environment: str) -> str:
    """What PyTorch's OpenMP says of its settings when it is loaded after the command line."""
    unset = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-c", LOADING],
        capture_output=True,
        text=True,
        check=True,
        env={**unset, "OMP_DISPLAY_ENV": "TRUE", **environment},
    )
    lines = [line for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    if not lines:
        pytest.skip("this build of PyTorch has an OpenMP that tells nothing")
    return lines[0].split("=")[1].strip(" '")


def test_threads_of_a_command_do_not_wait_in_busy_loops() -> None:
    assert told_by_openmp() == "PASSIVE"


def test_what_the_environment_says_stays() -> None:
    assert told_by_openmp(OMP_WAIT_POLICY="ACTIVE") == "ACTIVE"


def test_libraries_that_read_it_are_loaded_later() -> None:
    code = "import sys, phasescope.cli; assert not {'numpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
