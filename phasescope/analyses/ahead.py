"""Trainings read by several at once, before one puts the tables together from what they took.

Questions that keep what they take from each shard (`phasescope.analyses.parts`) are asked of single trainings by
workers, each of which writes files of its own. The tables are then made here as always, and find all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phasescope.analyses.registry import question_named
from phasescope.console import progress
from phasescope.errors import PhasescopeError
from phasescope.suites.device import threads_for
from phasescope.workers import Task, Workforce, done_by

if TYPE_CHECKING:
    from phasescope.analyses.options import Options
    from phasescope.analyses.question import Question
    from phasescope.analyses.reader import RunReader


@dataclass(frozen=True)
class _Ahead:
    reader: RunReader
    options: Options

    def take(self, name: str, size: str, seed: int) -> None:
        with threads_for(self.reader.inputs.sampled):
            question_named(name)(self.reader.of_training(size, seed), self.options)


def take_ahead(reader: RunReader, wanted: Mapping[str, Question], options: Options, workers: Workforce) -> None:
    """Have the shards read for those of the questions that keep what they take, a training at a time.

    Raises `PhasescopeError` where reading one ends every worker that tries.
    """
    reader.require_whole()
    reader.folder.require_writable()
    tasks = [
        Task("take", (name, size, seed), f"{name} of {size}/seed{seed}")
        for name, asked in wanted.items()
        if asked.by_training
        for size, seed, _ in reader.trajectories()
    ]
    with (
        progress(len(tasks), "reading shards", "trainings") as tracker,
        workers.crew(_Ahead(reader, options), folder=reader.folder.made, sources=[reader.folder.path]) as crew,
    ):
        for ended in done_by(crew, tasks, tracker.doing):
            if ended.died:
                raise PhasescopeError(
                    f"{ended.task.label} ended each of the workers that tried (the last one: {ended.died}). Choose "
                    "fewer --workers: what was done is kept."
                )
            tracker.advance()
