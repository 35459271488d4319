"""A few entries of a few matrices of every checkpoint of a suite, read where they lie: on the hub in ranges of bytes.

Matrices are chosen of one checkpoint of each size and seed, for all of its steps: the embedding, and others evenly
spaced among its layers; of each the first entries, the same at every step. That is some hundred kB of a checkpoint,
whatever its size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from phasescope.audit.listed import Listed, ListedSuite, Variant, digest_of
from phasescope.audit.repeated import last_steps
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
_CONFIG = "config.json"
# A configuration beyond that is none; and what a trainer says of the step stands at the beginning of its file.
_LONGEST_CONFIG, _TOLD_WITHIN = 1 << 20, 1 << 14


@dataclass(frozen=True)
class Weights:
    """What was read of one checkpoint, or of a default branch.

    Attributes:
        entries: of each matrix.
        shapes: of every tensor in the files that were opened.
        other: entries of the same matrices in the other variant (`.bin` beside `.safetensors`), where there is one.
        step: the one that a file beside the weights tells.
        why: why nothing, or not all, could be read; a sentence.
    """

    entries: Samples = field(default_factory=dict)
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    other: Samples = field(default_factory=dict)
    step: int | None = None
    why: str = ""


@dataclass(frozen=True)
class ReadSuite:
    """What was read of a suite. configs: of each `config.json`, by its hash, what it says."""

    of: Mapping[ShardKey, Weights]
    main: Mapping[tuple[str, int], Weights]
    configs: Mapping[str, Mapping[str, Any]]


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
            configs = _configs(suite, readable)
        except BaseException:
            transfer.stop()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return ReadSuite(found, main, configs)


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
    variants = [listed.variants[name] for name in _MODEL_FILES if name in listed.variants]
    found = Weights()
    try:
        entries, shapes = _entries(checkpoint, listed.commit, variants[0], where)
        found = replace(found, entries=entries, shapes=shapes, step=_told_step(checkpoint, listed))
        if len(variants) > 1:
            found = replace(found, other=_entries(checkpoint, listed.commit, variants[1], where)[0])
    except BadCheckpointError as error:
        found = replace(found, why=str(error))
    return found


def _entries(
    checkpoint: Checkpoint, commit: str, files: Variant, where: dict[str, str]
) -> tuple[Samples, dict[str, tuple[int, ...]]]:
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
    return found, shapes


@contextmanager
def _told_of(checkpoint: Checkpoint, path: str) -> Iterator[None]:
    """What is wrong with a file, said with its name."""
    try:
        yield
    except UnreadableError as error:
        raise BadCheckpointError(f"{path} of {checkpoint.label} cannot be read: {error}.") from error


def _told_step(checkpoint: Checkpoint, listed: Listed) -> int | None:
    """The step that the Trainer of transformers wrote beside the weights; its history follows, which may be long."""
    if (file := listed.files.get("trainer_state.json")) is None:
        return None
    begin = parts_of(checkpoint, listed.commit, file.path, file.size).read(0, _TOLD_WITHIN)
    found = re.search(rb'"global_step":\s*(\d+)', begin)
    return int(found[1]) if found else None


def _configs(suite: ListedSuite, keys: Sequence[ShardKey]) -> dict[str, Mapping[str, Any]]:
    """Each version of the configuration is read once."""
    found: dict[str, Mapping[str, Any]] = {}
    for key in keys:
        listed = suite.of[key]
        file, digest = listed.files.get(_CONFIG), listed.hash_of(_CONFIG)
        if file is None or not digest or digest in found or file.size > _LONGEST_CONFIG:
            continue
        try:
            told = json.loads(parts_of(suite.checkpoints[key], listed.commit, file.path, file.size).read(0, file.size))
        except (BadCheckpointError, ValueError):
            continue  # who loads it tells what is wrong with it
        if isinstance(told, dict):
            found[digest] = told
    return found
