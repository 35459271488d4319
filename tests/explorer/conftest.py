"""The explorer of a small run as a process of its own, and a browser that looks at it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

import phasescope as ps
from tests.conftest import PROSE

ROOT = Path(__file__).parents[2]
# A folder's name, and a text: both are shown, neither is run.
INJECTION = "<script>document.title='taken'</script>"


@dataclass
class Served:
    """An explorer that answers: its process, its whole address, what it said."""

    process: subprocess.Popen[str]
    address: str

    @property
    def origin(self) -> str:
        return self.address.partition("/?")[0]

    @property
    def port(self) -> int:
        return int(self.origin.rpartition(":")[2])


def serve(run: Path, port: int) -> Served:
    """`phasescope explore` as a user starts it."""
    command = [sys.executable, "-m", "phasescope.cli", "explore", str(run), "--no-browser", "--port", str(port)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "COLUMNS": "200"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    return Served(process, process.stdout.readline().strip())


def end(served: Served) -> tuple[int, str]:
    """Ctrl-C; the exit status and what was said on stderr."""
    served.process.send_signal(signal.SIGINT)
    _, said = served.process.communicate(timeout=30)
    return served.process.returncode, said


def phases_table() -> pd.DataFrame:
    """What `phasescope analyse RUN phases` would leave: three phases of one curve, one of them with an odd label."""
    from phasescope.analyses.registry import question_named

    rows = [
        (0, 0.0, 1.0, np.nan, np.nan, "flat"),
        (1, 1.0, 4.0, 0.5, 2.0, "sharply falling"),
        (2, 4.0, 16.0, 4.0, 4.0, "<b>slowly</b> falling"),
    ]
    table = pd.DataFrame(rows, columns=["phase", "start", "end", "start_low", "start_high", "label"])
    table = table.assign(curve="surprisal", size="tiny", seed=pd.array([pd.NA] * 3, "Int64"), name="")
    table.attrs["version"] = question_named("phases").version
    return table


@pytest.fixture(scope="session")
def explored(suite_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with three tokens of each text and its tables, in a folder whose name is markup."""
    from phasescope.analyses import Options
    from phasescope.store import ShardKey, write_table

    texts = tmp_path_factory.mktemp("texts") / "prose.txt"
    texts.write_text("\n\n".join(f"{PROSE} {INJECTION}" for _ in range(20)), encoding="utf-8")
    out = tmp_path_factory.mktemp("runs") / INJECTION.replace("/", "⁄")
    run = ps.capture(
        suite_folder, texts, out, sequences=8, context=32, output_sequences=2, positions=3, sites=("mlp_out", "z")
    )
    run.analyse("convergence", "rank", options=Options(resamples=20))
    write_table(run.folder.result("phases"), phases_table())
    damage(run.folder.shard(ShardKey("small", 2, 1)))
    return out


def damage(shard: Path) -> None:
    """Overwrite where a shard keeps its spectra, and nothing else; the file looks as it did."""
    with h5py.File(shard) as file:
        place = h5py.h5o.get_info(file["spectra"].id).addr
    before, content = shard.stat(), bytearray(shard.read_bytes())
    content[place : place + 32] = bytes(32)
    shard.write_bytes(content)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.fixture(scope="session")
def served(explored: Path) -> Iterator[Served]:
    served = serve(explored, 18765)
    yield served
    if served.process.poll() is None:
        end(served)
