"""One model in training, in its folder: its checkpoints, and the state from which to go on after a kill."""

from __future__ import annotations

import io
import pickle
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.store import replacing
from phasescope.store.files import TEMPORARY, explained, flush, require_folder_of
from phasescope.suites.recipe import Recipe
from phasescope.suites.shapes import Shape
from phasescope.suites.training import Windows, new_model, new_optimizer, update

if TYPE_CHECKING:
    import torch

STATE = "training_state.pt"


@dataclass(frozen=True)
class Trainee:
    """One model in training, in its folder `<size>/seed<k>/`.

    Attributes:
        folder: where its checkpoints `step<n>/` go.
        tokenizer: the folder whose files are put beside each checkpoint's weights.
        state_seconds: how often the state from which to go on is saved.
    """

    folder: Path
    shape: Shape
    seed: int
    recipe: Recipe
    windows: Windows
    tokenizer: Path
    device: str
    state_seconds: float

    @property
    def label(self) -> str:
        return f"{self.shape.name}/seed{self.seed}"

    def missing(self) -> tuple[int, ...]:
        """The steps of which there is no checkpoint yet."""
        return tuple(step for step in self.recipe.saved_steps if not self._checkpoint(step).is_dir())

    def first_step(self) -> int:
        """The step from which to go on: the saved state's, if no earlier checkpoint is missing; else 0."""
        state = self._saved_state()
        return state["step"] if state else 0

    def run(self) -> Iterator[tuple[int, float]]:
        """Train until no checkpoint is missing; the step that each update reached, and its loss.

        Killed at any instant and run again, it writes the checkpoints that it would have written undisturbed, bit
        for bit on the same machine: what an update does depends on the weights, the optimiser's state and the step
        alone, and these three are saved together.

        Raises `PhasescopeError` if the loss diverges, or if the disk is full.
        """
        missing = self.missing()
        if missing:
            yield from self._train(set(missing), last=missing[-1])

    def tidy(self) -> None:
        """Remove what is needed only to go on, once all is there."""
        (self.folder / STATE).unlink(missing_ok=True)

    def _train(self, missing: set[int], last: int) -> Iterator[tuple[int, float]]:
        model, optimizer, step = self._begin()
        if step in missing:
            self._save_checkpoint(model, step)
        saved = time.monotonic()
        while step < last:
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.learning_rate_at(step, self.shape)
            try:
                loss = update(model, optimizer, self.windows.at(step).to(self.device))
            except FloatingPointError as error:
                raise PhasescopeError(
                    f"Training {self.label} diverged after step {step} ({error}): lower the learning rate "
                    f"({self.recipe.highest_learning_rate(self.shape):g}) and train into another folder."
                ) from error
            step += 1
            if step in missing:
                self._save_checkpoint(model, step)
            if step < last and time.monotonic() - saved >= self.state_seconds:
                self._save_state(model, optimizer, step)
                saved = time.monotonic()
            yield step, loss

    def _begin(self) -> tuple[Any, torch.optim.AdamW, int]:
        model = new_model(self.shape, self.recipe, self.seed).to(self.device).train()
        optimizer = new_optimizer(model, self.shape, self.recipe)
        state = self._saved_state()
        if not state:
            return model, optimizer, 0
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        return model, optimizer, state["step"]

    def _saved_state(self) -> dict[str, Any] | None:
        import torch

        path = self.folder / STATE
        try:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        except FileNotFoundError:
            return None
        except (RuntimeError, EOFError, pickle.UnpicklingError):
            return None  # Damaged: training from the start gives the same weights, later.
        # A checkpoint from before the state can be missing only if it was deleted: then it is trained again.
        return state if state["step"] <= min(self.missing(), default=0) else None

    def _save_state(self, model: Any, optimizer: torch.optim.AdamW, step: int) -> None:
        import torch

        # By way of memory: torch itself does not say what keeps it from writing, a full disk for one.
        state = io.BytesIO()
        torch.save({"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, state)
        with replacing(self.folder / STATE) as temporary:
            temporary.write_bytes(state.getbuffer())

    def _checkpoint(self, step: int) -> Path:
        return self.folder / f"step{step}"

    def _save_checkpoint(self, model: Any, step: int) -> None:
        with new_folder(self._checkpoint(step)) as temporary:
            model.save_pretrained(temporary)
            for file in self.tokenizer.iterdir():
                shutil.copyfile(file, temporary / file.name)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path`; when the block ends well its files are flushed and it takes its name.

    A kill at any instant leaves the whole folder or none, and perhaps a temporary one, which
    `phasescope.store.remove_leftovers` removes.
    """
    temporary = path.with_name(f".{path.name}{TEMPORARY}folder")
    try:
        require_folder_of(path)
        temporary.mkdir(parents=True)
        yield temporary
        for place in (*temporary.iterdir(), temporary):
            flush(place)
        temporary.rename(path)
        flush(path.parent)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if sentence := explained(error, path):
            raise sentence from error
        raise
