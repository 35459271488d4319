"""Commands of phasescope in processes of their own: forked here, so that libraries are imported once for all."""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

CPU_LIMIT = 60
"""Seconds of processor time after which a command counts as hanging: the longest here takes a tenth of it."""
WALL_LIMIT = 300
MEMORY = 3 << 30
"""Bytes that a command may take beyond what is imported: a damaged file may claim any size."""
_ENDS, _NEXT = "\x1d", "\x1e"
LIBRARIES = (
    "torch", "transformers.models.gpt_neox.modeling_gpt_neox", "pandas", "pyarrow.parquet", "scipy.stats", "h5py",
    "plotly.graph_objects", "statsmodels.api", "gensim.models", "rich.progress", "phasescope.run", "phasescope.visits",
    "phasescope.reports.page.html", "phasescope.suites.nursery", "phasescope.cli",
    "phasescope.analyses.heuristics.correlations",
    "phasescope.visits.importing.importing", "phasescope.visits.importing.evaluating", "phasescope.explorer.app",
    "lm_eval.evaluator",
    "lm_eval.models.huggingface", "pydantic.fields", "typer._adapters", "jinja2",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit status, or minus the number of the signal that ended it."""

    status: int
    out: str
    err: str
    seconds: float

    @property
    def fault(self) -> str:
        """What no command may do, whatever it meets; "" if it did not."""
        if self.status in (-signal.SIGXCPU, -signal.SIGALRM):
            return "hang"
        if "Traceback" in self.out + self.err:
            return "traceback"
        if self.status < 0:
            return "signal"
        return "" if self.status in (0, 1, 2) else "signal"

    @property
    def said(self) -> str:
        """The end of what it said."""
        return " ".join((self.err or self.out).split())[-240:]


def preload() -> None:
    """Import what commands import; each then takes milliseconds to begin."""
    for name in LIBRARIES:
        with suppress(ImportError):  # what is not there is imported by no command either, or under another name
            import_module(name)
    import torch

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # a collection in a forked process would touch, and so copy, everything


def run(
    *words: object,
    where: Path,
    largest_file: int | None = None,
    disturbed: Callable[[int], None] | None = None,
    finalised: bool = False,
) -> Outcome:
    """Run `phasescope WORDS` in the folder `where`.

    largest_file: bytes after which the disk is full, for this process.
    disturbed: called with the process's number while it runs.
    finalised: whether it ends as processes do, with everything closed, which takes as long as many a command.
    """
    out, err = os.pipe(), os.pipe()
    begun = time.monotonic()
    child = os.fork()
    if not child:
        _become(list(map(str, words)), where, out[1], err[1], largest_file, finalised)
    for end in (out[1], err[1]):
        os.close(end)
    if disturbed is not None:
        disturbed(child)
    said = _read(child, out[0], err[0])
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Outcome(status, *said, seconds=time.monotonic() - begun)


def run_each(commands: Sequence[Sequence[object]], where: Path) -> list[Outcome]:
    """As `run`, of commands one after the other in one process: what takes long to begin is begun once.

    Where one of them brings the process down, it and the others are run alone.
    """
    whole = run("EACH", json.dumps([list(map(str, words)) for words in commands]), where=where)
    said = [text.split(_NEXT)[:-1] for text in (whole.out, whole.err)]
    if whole.status or len(said[0]) != len(commands) or len(said[1]) != len(commands):
        return [run(*words, where=where) for words in commands]
    outs, ends = zip(*(text.rsplit(_ENDS, 1) for text in said[0]), strict=True)
    return [Outcome(int(end), out, err, 0.0) for out, err, end in zip(outs, said[1], ends, strict=True)]


def checked(*words: object, where: Path) -> Outcome:
    """As `run`, of a command that has to succeed."""
    done = run(*words, where=where)
    if done.status:
        raise RuntimeError(f"phasescope {' '.join(map(str, words))} gave {done.status}: {done.err}")
    return done


def _become(words: Sequence[str], where: Path, out: int, err: int, largest_file: int | None, finalised: bool) -> None:
    """Make this process the command, and end it."""
    status = 1
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for descriptor, place in ((nothing, 0), (out, 1), (err, 2)):
            os.dup2(descriptor, place)
        os.chdir(where)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT, 20 * CPU_LIMIT))
        resource.setrlimit(resource.RLIMIT_AS, (_memory() + MEMORY,) * 2)
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        status = _command(words)
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        except BaseException:
            status = 120  # as Python has it
        if finalised:
            ctypes.pythonapi.Py_Exit(status)
        atexit._clear()
        os._exit(status)


def _command(words: Sequence[str]) -> int:
    from phasescope.cli import main

    if words[0] == "EACH":
        return _each(json.loads(words[1]))
    if words[0] == "TABLE":  # what no command prints
        return _print_table(Path(words[1]), words[2])
    sys.argv = ["phasescope", *words]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _each(commands: Sequence[Sequence[str]]) -> int:
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    for words in commands:
        resource.setrlimit(resource.RLIMIT_CPU, (min(int(time.process_time()) + soft, hard), hard))
        try:
            status = _command(words)
        except BaseException:
            traceback.print_exc()
            status = 1
        print(f"{_ENDS}{status}{_NEXT}", end="", flush=True)
        print(_NEXT, end="", file=sys.stderr, flush=True)
    return 0


def _print_table(run: Path, name: str) -> int:
    import phasescope as ps

    try:
        print(ps.open_run(run).table(name).to_json(orient="split"))
    except ps.PhasescopeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _read(child: int, *pipes: int) -> tuple[str, ...]:
    """What comes out of pipes until all are closed; a command that sleeps for ever is ended."""
    said = dict.fromkeys(pipes, b"")
    still, until = set(pipes), time.monotonic() + WALL_LIMIT
    while still:
        ready, _, _ = select.select(list(still), [], [], max(until - time.monotonic(), 0))
        if not ready:
            os.kill(child, signal.SIGALRM)
            break
        for pipe in ready:
            if not (part := os.read(pipe, 1 << 16)):
                still.discard(pipe)
            said[pipe] += part
    for pipe in pipes:
        os.close(pipe)
    return tuple(text.decode(errors="replace") for text in said.values())


def is_ready(child: int, patience: float = 0.5) -> None:
    """Wait until the command has its own handlers of signals, as far as it has any."""
    until = time.monotonic() + patience
    while time.monotonic() < until:
        try:
            lines = Path(f"/proc/{child}/status").read_text().splitlines()
        except OSError:
            return
        caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        time.sleep(0.001)
