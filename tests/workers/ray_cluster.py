"""A real Ray cluster of two nodes on this machine, for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import psutil

STORE = 80 << 20
"""Bytes of memory that each node keeps for what passes through it: the smallest that Ray takes is 75 MiB."""
_TRIES = 5


@contextmanager
def two_nodes(environments: Sequence[Mapping[str, str]] = ({}, {})) -> Iterator[Any]:
    """The cluster, each node of which has one core, and sees these variables."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = _begun(environments)
    try:
        yield cluster
    finally:
        cluster.shutdown()


def _begun(environments: Sequence[Mapping[str, str]]) -> Any:
    """Ray gives a node thirty seconds to begin, which may be too few where all cores are busy: then once more."""
    from ray.cluster_utils import Cluster

    others = set(psutil.Process().children())
    for left in reversed(range(_TRIES)):
        cluster = Cluster()
        try:
            for variables in environments:
                cluster.add_node(
                    num_cpus=1, object_store_memory=STORE, include_dashboard=False, env_vars=dict(variables) or None
                )
        except Exception as error:
            for process in set(psutil.Process().children(recursive=True)) - others:
                process.kill()
            if "timed out during startup" not in str(error) or not left:
                raise
        else:
            return cluster
    raise AssertionError
