"""A very small suite to train in tests, and what its folder holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch
from safetensors.torch import load_file

from phasescope.suites import Suite, train

DOCUMENTS = list(topics.values())[:12]
RECIPE: dict[str, Any] = {"steps": 10, "batch": 4, "context": 16, "vocabulary": 300}


@contextmanager
def one_thread() -> Iterator[None]:
    """For models this small a second thread only waits for the first, the longer the busier the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def train_sample(out: Path, documents: Iterable[str] = DOCUMENTS, **changes: Any) -> Suite:
    """Train one size and two seeds, or with `changes`, on one thread."""
    with one_thread():
        return train(out, documents, **{"sizes": ["150k"], "seeds": [1, 2], "device": "cpu", **RECIPE, **changes})


def weights(folder: Path, step: str = "150k/seed1/step10") -> torch.Tensor:
    """All weights of one checkpoint, one after the other."""
    return torch.cat([tensor.flatten() for tensor in load_file(folder / step / "model.safetensors").values()])


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a suite, but for the lock."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != ".lock"}
