from __future__ import annotations

import pytest

from phasescope.suites import Checkpoint
from phasescope.visits import checkpoint as checkpoint_module


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Checkpoint]:
    """The checkpoints whose models are loaded from now on."""
    found: list[Checkpoint] = []
    open_checkpoint = checkpoint_module.open_checkpoint

    def counting(checkpoint: Checkpoint, *others: object) -> object:
        found.append(checkpoint)
        return open_checkpoint(checkpoint, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(checkpoint_module, "open_checkpoint", counting)
    return found
