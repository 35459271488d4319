"""A small run as captures write one, of made-up numbers."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from phasescope.store import SCHEMA, Entry, RunFolder, ShardKey, write_container, write_index, write_table
from phasescope.texts import Inputs

KEYS = (ShardKey("14m", 1, 0), ShardKey("14m", 1, 143000), ShardKey("14m", 2, 0))
SEQUENCES, CONTEXT, OUTPUTS = 4, 6, 2


def make_inputs(seed: int = 0) -> Inputs:
    tokens = np.random.default_rng(seed).integers(0, 50, (SEQUENCES, CONTEXT)).astype(np.int32)
    positions = np.full((SEQUENCES, 1), CONTEXT - 1, np.int32)
    none = np.full((SEQUENCES, CONTEXT), -1, np.int32)
    return Inputs(tokens, positions, none, [], None, np.ones(50, np.int64), "", OUTPUTS, 50, "t.txt", 0)


def write_shard(folder: RunFolder, key: ShardKey, value: float | None = None, **attrs: object) -> str:
    """The shard of a checkpoint; the digest of its contents."""
    number = float(key.step + key.seed) if value is None else value
    arrays = {
        "activations/blocks.0.hook_mlp_out": np.full((SEQUENCES, 2), number, np.float32),
        "outputs/surprisal": np.full((OUTPUTS, CONTEXT - 1), number, np.float32),
    }
    said = {"family": "toy", "size": key.size, "seed": key.seed, "step": key.step, "inputs": make_inputs().hash}
    entries = {name: Entry(array) for name, array in arrays.items()}
    return write_container(folder.shard(key), "shard", entries, said | attrs)


def make_manifest(keys: tuple[ShardKey, ...] = KEYS) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "family": "toy",
        "source": "suite",
        "inputs": {
            "hash": make_inputs().hash,
            "sequences": SEQUENCES,
            "context": CONTEXT,
            "output_sequences": OUTPUTS,
            "positions": "last",
            "vocabulary": 50,
        },
        "asked": {},
        "sizes": ["14m"],
        "checkpoints": [{"size": key.size, "seed": key.seed, "step": key.step} for key in keys],
        "failed": [],
        "seconds": 1.0,
    }


def make_run(path: Path) -> RunFolder:
    """Three shards and a cohort."""
    made = RunFolder(path)
    made.path.mkdir(parents=True)
    made.write_manifest(make_manifest())
    make_inputs().save(made.inputs)
    digests = {key: write_shard(made, key) for key in KEYS}
    write_container(
        made.cohort("14m", 0),
        "cohort",
        {"kl": Entry(np.zeros((2, 2, OUTPUTS, CONTEXT - 1))), "seeds": Entry(np.array([1, 2]))},
        {
            "size": "14m",
            "step": 0,
            "inputs": make_inputs().hash,
            "shards": " ".join(digests[ShardKey("14m", seed, 0)] for seed in (1, 2)),
        },
    )
    write_index(made)
    write_table(made.result("seeds"), pd.DataFrame({"step": [0], "kl": [0.5]}), csv=True)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return make_run(tmp_path / "run")


@pytest.fixture
def another_run(tmp_path: Path) -> Callable[[], RunFolder]:
    return lambda: make_run(tmp_path / "another")
