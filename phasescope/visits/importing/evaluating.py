"""The lm-evaluation-harness on the checkpoints of a run: one after the other, and what is there is not done again."""

from __future__ import annotations

import gc
import io
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import progress
from phasescope.errors import BadArgumentError, BadCheckpointError, PhasescopeError
from phasescope.store import RunFolder, as_evaluations, keep_evaluations, read_evaluations
from phasescope.visits.checkpoint import key_of
from phasescope.visits.importing.harness_results import harness_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from phasescope.suites import Checkpoint, Suite

EXTRA = "pip install 'phasescope[evaluate]'"


@dataclass(frozen=True)
class Evaluation:
    """What to ask of each checkpoint.

    tasks: tasks, groups or tags that lm_eval knows, or that lie in `include_path` (a folder of its YAML files).
    limit: of each task the first so many documents, or such a part below 1; None: all.
    num_fewshot: examples in the prompt; None: as each task says.
    """

    tasks: tuple[str, ...]
    limit: float | None = None
    num_fewshot: int | None = None
    batch_size: int = 8
    include_path: Path | None = None
    device: str = "auto"
    dtype: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        if not self.tasks:
            raise BadArgumentError("No task is named: give --tasks, say --tasks arc_easy,piqa.")
        if self.limit is not None and not self.limit > 0:
            raise BadArgumentError(f"--limit must be more than 0, not {self.limit:g}; leave it out for all documents.")
        if self.batch_size < 1:
            raise BadArgumentError(f"--batch-size must be at least 1, not {self.batch_size}.")
        if self.num_fewshot is not None and self.num_fewshot < 0:
            raise BadArgumentError(f"--num-fewshot must be at least 0, not {self.num_fewshot}.")


@dataclass
class Evaluated:
    """What came of it: checkpoints evaluated now, those that had everything already, and those that are bad."""

    numbers: int = 0
    evaluated: list[str] = field(default_factory=list)
    already: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    def as_record(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "numbers": self.numbers,
            "evaluated": self.evaluated,
            "already": self.already,
            "failed": [{"checkpoint": label, "reason": reason} for label, reason in self.failed],
        }


def evaluate_into(folder: RunFolder, suite: Suite, asked: Evaluation) -> Evaluated:
    """Run lm_eval on those checkpoints of `suite` that the run has, and keep its numbers as imported ones are kept.

    Kept after every checkpoint, so that a stopped evaluation goes on where it was. A checkpoint that cannot be loaded
    is passed over. Raises `PhasescopeError` without lm_eval, for a task that it does not know or cannot open, and
    where the suite and the run have no checkpoint in common.
    """
    present = set(folder.shards())
    chosen = [checkpoint for checkpoint in suite if key_of(checkpoint) in present]
    if not chosen:
        raise PhasescopeError(f"No checkpoint of {suite.source} that was chosen is in the run {folder.path}.")
    tasks = _Tasks.open(asked)
    done = Evaluated()
    with folder.writing(), progress(len(chosen), "evaluating", "checkpoints") as tracker:
        for checkpoint in chosen:
            tracker.doing(checkpoint.label)
            pending = tasks.pending(checkpoint, read_evaluations(folder), asked)
            if not pending:
                done.already += 1
            else:
                _evaluate(checkpoint, pending, tasks, asked, folder, done)
            tracker.advance(failed=bool(done.failed) and done.failed[-1][0] == checkpoint.label)
    return done


def _evaluate(
    checkpoint: Checkpoint, names: list[str], tasks: _Tasks, asked: Evaluation, folder: RunFolder, done: Evaluated
) -> None:
    try:
        results = _results(checkpoint, tasks.loaded(names), asked)
    except BadCheckpointError as error:
        done.failed.append((checkpoint.label, str(error)))
        return
    finally:
        gc.collect()  # Models hold reference cycles.
    table = harness_table(results).assign(
        size=checkpoint.size, seed=checkpoint.seed, step=checkpoint.step, source=f"lm_eval {_version()}", digest=""
    )
    table = as_evaluations(table[table["value"].notna()])
    keep_evaluations(folder, table)
    done.numbers += len(table)
    done.evaluated.append(checkpoint.label)


def _results(checkpoint: Checkpoint, tasks: dict[str, Any], asked: Evaluation) -> dict[str, Any]:
    """What lm_eval says of one checkpoint, which our own loading has checked."""
    from phasescope.suites.device import resolve_device
    from phasescope.suites.load import load_model
    from phasescope.suites.tokenizer import load_tokenizer

    model = load_model(
        checkpoint,
        device=resolve_device(asked.device),
        dtype=asked.dtype,
        trust_remote_code=asked.trust_remote_code,
    )
    tokenizer = load_tokenizer(checkpoint, trust_remote_code=asked.trust_remote_code)
    with in_silence(), _blamed_on_harness(f"evaluate {checkpoint.label}"):
        from lm_eval.evaluator import evaluate
        from lm_eval.models.huggingface import HFLM

        _seed(tasks)
        results: dict[str, Any] = evaluate(
            HFLM(pretrained=model, tokenizer=tokenizer, batch_size=asked.batch_size),
            task_dict=tasks,
            limit=asked.limit,
            log_samples=False,
        )
    return results | {"config": {"limit": asked.limit}}


def _seed(tasks: dict[str, Any]) -> None:
    """As lm_eval's `simple_evaluate`, which opens the tasks anew for each model: so the examples are the same."""
    import random

    import numpy as np
    import torch
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)
    torch.manual_seed(DEFAULT_OTHER_SEED)
    for task in tasks["tasks"].values():
        task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)


@dataclass(frozen=True)
class _Tasks:
    """The tasks that are asked for, by the names that were given: each is a task, a group or a tag."""

    by_name: Mapping[str, Mapping[str, Any]]

    @classmethod
    def open(cls, asked: Evaluation) -> _Tasks:
        if asked.include_path is not None and not asked.include_path.is_dir():
            raise PhasescopeError(f"There is no folder {asked.include_path} with tasks: --include-path is wrong.")
        problem = PhasescopeError("lm_eval has no tasks.")
        for manager in _managers(asked.include_path):
            known = list(manager.all_tasks)
            absent = [name for name in asked.tasks if name not in known]
            if absent:
                problem = PhasescopeError(f"lm_eval knows no task {absent[0]!r}. {_near(absent[0], known)}")
                continue
            try:
                with in_silence(), _blamed_on_harness("open the tasks"):
                    by_name = {name: manager.load([name]) for name in asked.tasks}
            except PhasescopeError as error:  # a group of one's own may name tasks of lm_eval
                problem = error
                continue
            for loaded in by_name.values():
                _set_shots(loaded["tasks"].values(), asked.num_fewshot)
            return cls(by_name)
        raise problem

    def pending(self, checkpoint: Checkpoint, kept: DataFrame, asked: Evaluation) -> list[str]:
        """The names of which some task is not kept for that checkpoint with as many examples and documents."""
        here = kept[
            (kept["size"] == checkpoint.size)
            & (kept["seed"] == checkpoint.seed)
            & (kept["step"] == checkpoint.step)
            & (kept["model"] == "")
        ]
        rows = here[here["limit"].isna() if asked.limit is None else here["limit"] == asked.limit]
        there = set(zip(rows["task"], rows["shots"], strict=True))
        return [
            name
            for name, loaded in self.by_name.items()
            if any((one, task.get_config("num_fewshot")) not in there for one, task in loaded["tasks"].items())
        ]

    def loaded(self, names: Sequence[str]) -> dict[str, Any]:
        """What lm_eval evaluates: the tasks of several names, and the groups that put some of them together."""
        parts = [self.by_name[name] for name in names]
        return {kind: {k: v for part in parts for k, v in part[kind].items()} for kind in ("tasks", "groups")}


def _managers(folder: Path | None) -> Iterator[Any]:
    """lm_eval's managers of tasks: of those in the folder, which is quick, then of the thousands that it knows too."""
    with in_silence():
        try:
            from lm_eval.tasks import TaskManager
        except ImportError as error:
            raise PhasescopeError(
                f"The lm-evaluation-harness is not installed, which runs the tasks: {EXTRA}."
            ) from error
    for defaults in (True,) if folder is None else (False, True):
        with in_silence(), _blamed_on_harness("list its tasks"):
            manager = TaskManager(include_path=None if folder is None else str(folder), include_defaults=defaults)
        yield manager


def _set_shots(tasks: Iterable[Any], given: int | None) -> None:
    """How many examples are in a prompt: as asked, but a task that says 0 itself gets none, as in lm_eval."""
    for task in tasks:
        own = task.get_config("num_fewshot")
        task.set_config(key="num_fewshot", value=(own or 0) if given is None or own == 0 else given)


def _near(name: str, known: Sequence[str]) -> str:
    """Of thousands of tasks those that are worth naming."""
    import difflib

    near = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
    nearest = f"The nearest of its {len(known)} tasks: {', '.join(near)}." if near else f"It knows {len(known)} tasks."
    return f"{nearest} Tasks of your own: --include-path FOLDER."


def _version() -> str:
    from importlib.metadata import version

    return version("lm_eval")


@contextmanager
def in_silence() -> Iterator[None]:
    """Keep what a library and what it uses print (bars, warnings, logs) off the terminal, where our own bar is."""
    with redirect_stdout(io.StringIO()), redirect_stderr(_Aside(sys.stderr)):
        yield


class _Aside(io.StringIO):
    """Takes what others write to stderr. rich, which draws our bar, asks it for the terminal behind, and gets it."""

    def __init__(self, behind: Any) -> None:
        super().__init__()
        self.rich_proxied_file = getattr(behind, "rich_proxied_file", behind)


@contextmanager
def _blamed_on_harness(doing: str) -> Iterator[None]:
    """One sentence of whatever lm_eval, a data set or a task raises: they have no common error."""
    try:
        yield
    except (PhasescopeError, MemoryError):
        raise
    except Exception as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise PhasescopeError(f"lm_eval could not {doing}: {type(error).__name__}: {text[:300]}") from error
