"""The batches that the nursery tells are those that its models were trained on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from phasescope.errors import PhasescopeError
from phasescope.suites import Suite
from phasescope.suites.batches import training_batches
from tests.suites.nursery_samples import train_sample


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Suite, dict[int, list[torch.Tensor]]]:
    """A small suite and, by seed, the batches that its updates really read."""
    from phasescope.suites import trainee

    read: list[torch.Tensor] = []
    true_update = trainee.update

    def watched(model: Any, optimizer: Any, windows: torch.Tensor) -> float:
        read.append(windows.clone())
        return true_update(model, optimizer, windows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainee, "update", watched)
        suite = train_sample(tmp_path_factory.mktemp("nursery"))
    return suite, {1: read[:10], 2: read[10:]}  # one seed is trained after the other


def test_they_are_the_batches_of_the_updates(trained: tuple[Suite, dict[int, list[torch.Tensor]]]) -> None:
    suite, read = trained
    assert [len(batches) for batches in read.values()] == [10, 10]
    for checkpoint in suite:
        found = training_batches(checkpoint, around=3)
        assert list(found) == [n for n in range(checkpoint.step - 3, checkpoint.step + 4) if 0 <= n < 10]
        for step, windows in found.items():
            assert torch.equal(windows, read[checkpoint.seed][step])


def test_other_checkpoints_are_refused(
    trained: tuple[Suite, dict[int, list[torch.Tensor]]], suite_folder: Path
) -> None:
    suite, _ = trained
    elsewhere = replace(suite.checkpoints[0], location=str(suite_folder / "tiny/seed1/step0"))
    on_the_hub = replace(suite.checkpoints[0], location="owner/name", revision="step0")
    for checkpoint in (elsewhere, on_the_hub):
        with pytest.raises(PhasescopeError, match=r"150k/seed1/step0 .* not known.*--gradients inputs"):
            training_batches(checkpoint, around=3)
