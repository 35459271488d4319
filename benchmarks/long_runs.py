"""Runs of many checkpoints, made without visiting them: the first and the last are real, the others lie between."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from benchmarks.suites import make
from phasescope.store import Container, Entry, RunFolder, ShardKey, write_container, write_index
from phasescope.visits.cohort import digests_of

PYTHIA = (0, *(2**power for power in range(10)), *range(1000, 144_000, 1000))
"""The 154 steps of Pythia's suites."""


def make_run(
    folder: Path,
    shapes: dict[str, tuple[int, int, int]],
    seeds: tuple[int, ...],
    steps: tuple[int, ...],
    *,
    sequences: int = 128,
    context: int = 64,
    output_sequences: int = 18,
    rows: int = 1024,
) -> RunFolder:
    """A run of every size, seed and step, with cohorts; numbers of shards move evenly over log(step + 1)."""
    import phasescope as ps

    suite = make(folder / "suite", shapes, seeds, (steps[0], steps[-1]), rows, rows)
    run = ps.capture(
        suite, "docs", folder / "run", sequences=sequences, context=context, output_sequences=output_sequences
    ).folder
    manifest = run.read_manifest()
    manifest["checkpoints"] = [
        {"size": size, "seed": seed, "step": step} for size in shapes for seed in seeds for step in steps
    ]
    run.write_manifest(manifest)
    for size in shapes:
        for seed in seeds:
            ends = [_read(run, ShardKey(size, seed, step)) for step in (steps[0], steps[-1])]
            for step in steps[1:-1]:
                share = float(np.log1p(step) / np.log1p(steps[-1]))
                write_between(run, ShardKey(size, seed, step), ends, share)
        if len(seeds) > 1:
            _write_cohorts(run, size, seeds, steps)
    write_index(run)
    return run


Shard = tuple[dict[str, object], dict[str, Entry]]


def _read(run: RunFolder, key: ShardKey) -> Shard:
    with run.open_shard(key) as shard:
        return dict(shard.attrs), {name: Entry(shard.read(name), _own(shard, name)) for name in shard.names()}


def _own(shard: Container, name: str) -> dict[str, object]:
    return {key: value for key, value in shard.attrs_of(name).items() if not key.startswith("encoding")}


def write_between(run: RunFolder, key: ShardKey, ends: list[Shard], share: float) -> None:
    """A shard so far between two others, with a little noise of its own."""
    (attrs, first), (_, last) = ends
    random = np.random.default_rng(key.step)
    entries = {}
    for name, entry in first.items():
        data = entry.data
        if data.dtype.kind == "f":
            data = (1 - share) * data + share * last[name].data
            data = (data * (1 + 0.01 * random.standard_normal(data.shape))).astype(entry.data.dtype)
        elif name == "fingerprints/digests":
            of = f"{key.label}/".encode()
            data = np.array([hashlib.md5(of + str(number).encode()).hexdigest() for number in range(len(data))])
        entries[name] = Entry(data, entry.attrs)
    own = {name: value for name, value in attrs.items() if name not in ("encoding", "encoding_version", "digest")}
    write_container(run.shard(key), "shard", entries, {**own, "step": key.step})


def _write_cohorts(run: RunFolder, size: str, seeds: tuple[int, ...], steps: tuple[int, ...]) -> None:
    with run.open_cohort(size, steps[-1]) as cohort:
        attrs = {key: value for key, value in cohort.attrs.items() if not key.startswith("encoding")}
        entries = {name: Entry(cohort.read(name), _own(cohort, name)) for name in cohort.names()}
    attrs.pop("digest")
    for step in steps[1:-1]:
        keys = [ShardKey(size, seed, step) for seed in seeds]
        own = {**attrs, "step": step, "shards": digests_of(keys, run)}
        write_container(run.cohort(size, step), "cohort", entries, own)
