"""A few entries of a few matrices of every checkpoint of a suite, read where they lie: on the hub in ranges of bytes.

Matrices are chosen of one checkpoint of each size and seed, for all of its steps: the embedding, and others evenly
spaced among its layers; of each the first entries, the same at every step. That is some hundred kB of a checkpoint,
whatever its size. What was read on the hub is kept, and not asked for again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from phasescope.audit.kept_weights import Weights, keep_weights, kept_weights
from phasescope.audit.listed import Listed, ListedSuite, Variant, digest_of
from phasescope.audit.repeated import last_steps
from phasescope.audit.told import told_steps, told_values
from phasescope.audit.weights import Samples
from phasescope.console import progress
from phasescope.errors import BadCheckpointError
from phasescope.store import ShardKey
from phasescope.suites import Checkpoint
from phasescope.suites.byte_ranges import parts_of
from phasescope.suites.tensor_places import TensorPlaces, UnreadableError, tensor_places
from phasescope.suites.transfer import Transfer, transferring

MATRICES, ENTRIES = 6, 8192
EMBEDDING = re.compile(r"(^|\.)(embed_in|embed_tokens|wte|word_embeddings|tok_embeddings|embeddings)\.weight$")
_AT_ONCE = 8
_MODEL_FILES = ("safetensors", "bin")


@dataclass(frozen=True)
class ReadSuite:
    """What was read of a suite. told: of configurations and tokenizers, by the hash of the file, what they say."""

    of: Mapping[ShardKey, Weights]
    main: Mapping[tuple[str, int], Weights]
    told: Mapping[str, Mapping[str, Any]]


def read_weights(suite: ListedSuite, keys: Sequence[ShardKey]) -> ReadSuite:
    """Read so much of the checkpoints of a suite that are named; progress is shown.

    What cannot be read of one (a file that is truncated, damaged, refused, or gone since it was listed) is told there.
    Raises `PhasescopeError` where the hub cannot be reached.
    """
    there = set(suite.digests().values())
    readable = [key for key in keys if set(_MODEL_FILES) & set(suite.of[key].variants)]
    found: dict[ShardKey, Weights] = {}
    main: dict[tuple[str, int], Weights] = {}
    with (
        progress(len(readable), "reading weights", "checkpoints") as tracker,
        transferring(Transfer(tell=tracker.beside)) as transfer,
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="weights") as pool,
    ):
        try:
            for model in last_steps(readable):
                of_model = [key for key in sorted(readable) if (key.size, key.seed) == model]
                first, where = suite.checkpoints[of_model[0]], dict[str, str]()
                while of_model and not where:  # the first that can be read tells which matrices
                    key = of_model.pop(0)
                    found[key] = _read(suite.checkpoints[key], suite.of[key], where)
                    tracker.advance(failed=bool(found[key].why))
                asked = {key: pool.submit(_read, suite.checkpoints[key], suite.of[key], where) for key in of_model}
                for key, answer in asked.items():
                    found[key] = answer.result()
                    tracker.advance(failed=bool(found[key].why))
                listed = suite.main.get(model)
                if where and listed and listed.variants and digest_of(listed.loaded) not in there:
                    main[model] = _read(first, listed, where)
            told = told_values(suite, readable)
        except BaseException:
            transfer.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return ReadSuite(found, main, told)


def chosen(shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The matrices that are looked at, of all tensors of a model: its embedding, and others evenly spaced by name."""
    matrices = [name for name, shape in shapes.items() if len(shape) > 1 and min(shape) > 1]
    embeddings = [name for name in matrices if EMBEDDING.search(name)]
    others = sorted(set(matrices) - set(embeddings), key=_by_layer)
    number = min(MATRICES - len(embeddings), len(others))
    return [*embeddings, *(others[place * len(others) // number] for place in range(number))]


def _by_layer(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in name.split(".")]


def _read(checkpoint: Checkpoint, listed: Listed, where: dict[str, str]) -> Weights:
    """where: the file of each matrix that is looked at; if empty they are chosen now, and put into it."""
    if not checkpoint.is_local and (kept := kept_weights(checkpoint, listed, where)) is not None:
        return kept
    choosing = not where
    try:
        found = _asked(checkpoint, listed, where)
    except _DamagedError as error:  # at this commit it stays so
        found = Weights(why=str(error))
    except BadCheckpointError as error:
        return Weights(why=str(error))
    keep_weights(checkpoint, listed, where, found, chosen=choosing)
    return found


def _asked(checkpoint: Checkpoint, listed: Listed, where: dict[str, str]) -> Weights:
    variants = [listed.variants[name] for name in _MODEL_FILES if name in listed.variants]
    entries, shapes, whole = _entries(checkpoint, listed.commit, variants[0], where)
    found = Weights(entries, shapes, whole, told=told_steps(checkpoint, listed))
    if len(variants) > 1:
        try:
            found = replace(found, other=_entries(checkpoint, listed.commit, variants[1], where)[0])
        except _DamagedError as error:
            found = replace(found, why=str(error))
    return found


def _entries(
    checkpoint: Checkpoint, commit: str, files: Variant, where: dict[str, str]
) -> tuple[Samples, dict[str, tuple[int, ...]], bool]:
    """Entries of the matrices, shapes of the tensors in the files that were opened, and whether these are all."""
    opened: dict[str, TensorPlaces] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    found: dict[str, Any] = {}
    # Files that are called as those where matrices were found before come first; then the others, until all are found.
    for path in sorted(files, key=lambda path: (path not in where.values(), path)):
        if where and len(found) == len(where):
            break
        with _told_of(checkpoint, path):
            file = files[path]
            opened[path] = tensor_places(parts_of(checkpoint, commit, file.path, file.size), path)
            shapes |= opened[path].shapes
            for name in set(where) & set(opened[path].readable):
                found[name] = opened[path].first_entries(name, ENTRIES)
    if not where:
        of = {name: path for path, places in opened.items() for name in places.readable}
        names = chosen({name: shapes[name] for name in of})
        for name in names:
            with _told_of(checkpoint, of[name]):
                found[name] = opened[of[name]].first_entries(name, ENTRIES)
        where |= {name: of[name] for name in names}
    return found, shapes, len(opened) == len(files)


class _DamagedError(BadCheckpointError):
    """What is wrong with the bytes of a file."""


@contextmanager
def _told_of(checkpoint: Checkpoint, path: str) -> Iterator[None]:
    """What is wrong with a file, said with its name."""
    try:
        yield
    except UnreadableError as error:
        raise _DamagedError(f"{path} of {checkpoint.label} cannot be read: {error}.") from error
