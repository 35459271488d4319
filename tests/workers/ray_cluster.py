"""A real Ray cluster of two nodes on this machine, for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

STORE = 80 << 20
"""Bytes of memory that each node keeps for what passes through it: the smallest that Ray takes is 75 MiB."""


@contextmanager
def two_nodes(environments: Sequence[Mapping[str, str]] = ({}, {})) -> Iterator[Any]:
    """The cluster, each node of which has one core, and sees these variables."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for variables in environments:
            cluster.add_node(
                num_cpus=1, object_store_memory=STORE, include_dashboard=False, env_vars=dict(variables) or None
            )
        yield cluster
    finally:
        cluster.shutdown()
