"""A Ray cluster: reaching it, and what its nodes are before any work is given to them."""

from __future__ import annotations

import logging
import os
import secrets
import socket
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasescope.errors import PhasescopeError, PhasescopeWarning

_ANSWERS_WITHIN = 120.0
"""Seconds that a node has to say what it is."""
_LISTENS_WITHIN = 10.0
_STORE = 256 << 20
"""Bytes of shared memory of a cluster of this machine alone: what passes through it is small."""


@dataclass(frozen=True)
class Node:
    """One machine of a cluster.

    Attributes:
        cores, gpus: what Ray may give of it.
        away: whether it does not see the folder that the work is for.
    """

    id: str
    name: str
    cores: int
    gpus: int
    away: bool = False


@dataclass(frozen=True)
class Told:
    """What a node says of itself."""

    phasescope: str
    python: str
    torch: str
    token: bool
    unseen: str


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be a driver of the cluster at an address; of one that this process is a driver of already, it stays one."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Nobody is told that this is used.
    import ray

    if ray.is_initialized():
        yield
        return
    asked: dict[str, Any] = {"address": address}
    if address == "local":
        asked |= {"object_store_memory": _STORE, "include_dashboard": False}
    if not address.startswith("ray://"):  # What Ray says of workers that die is said in words of our own.
        asked |= {"log_to_driver": False, "logging_level": logging.CRITICAL}
    try:
        _require_answer(address)
        ray.init(**asked)
    except Exception as error:
        raise PhasescopeError(
            f"There is no cluster to be had at {address}: {first_line(error)} Start Ray there (ray start --head), "
            "with the Ray and the Python of this process, or choose --workers instead."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise `OSError` where nobody listens: Ray itself looks for minutes."""
    host, found, port = address.removeprefix("ray://").rpartition(":")
    if found and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_LISTENS_WITHIN).close()


def usable_nodes(folder: Path | None, sources: Sequence[Path], portable: bool) -> list[Node]:
    """The nodes that can do the work, after asking each: those that cannot see what they need are told of.

    folder: what the work is for; a node that does not see it may do the work only where it is `portable`.
    sources: what else has to be seen.

    Raises `PhasescopeError` where a node has another phasescope, Python or torch, and where no node is left.
    """
    nodes = [_node(told) for told in _nodes() if told["Alive"]]
    nodes = [node for node in nodes if node.cores]
    if not nodes:
        raise PhasescopeError("The cluster has no cores to give: start its nodes with some (ray start --num-cpus 8).")
    token = None if folder is None else folder / f".cluster.tmp-{secrets.token_hex(8)}"
    try:
        if token is not None:
            token.write_text(token.name)
        told = _asked(nodes, token, sources)
    finally:
        if token is not None:
            token.unlink(missing_ok=True)
    require_same(nodes, told, Told(*_question()("", [])))
    found = []
    for node, one in zip(nodes, told, strict=True):
        if one.unseen or not (one.token or portable):
            what = one.unseen or str(folder)
            said = f"The node {node.name} is left out: it does not see {what}. Put it where all nodes see it."
            warnings.warn(said, PhasescopeWarning, stacklevel=2)
        else:
            found.append(Node(node.id, node.name, node.cores, node.gpus, away=not one.token))
    if not found:
        lacking = next((one.unseen for one in told if one.unseen), str(folder))
        raise PhasescopeError(
            f"No node of the cluster sees {lacking}. Put it on a file system that all nodes share, or work here: "
            "--workers."
        )
    return found


def _node(told: dict[str, Any]) -> Node:
    has = told["Resources"]
    name = f"{told['NodeManagerHostname']} ({told['NodeManagerAddress']})"
    return Node(told["NodeID"], name, int(has.get("CPU", 0)), int(has.get("GPU", 0)))


def _asked(nodes: Sequence[Node], token: Path | None, sources: Sequence[Path]) -> list[Told]:
    import ray

    asking: Any = ray.remote(_question())
    asked = [
        asking.options(num_cpus=0, max_retries=0, scheduling_strategy=on(node.id)).remote(
            str(token or ""), [str(path) for path in sources]
        )
        for node in nodes
    ]
    found = []
    for node, answer in zip(nodes, asked, strict=True):
        try:
            found.append(Told(*ray.get(answer, timeout=_ANSWERS_WITHIN)))
        except ray.exceptions.RayError as error:
            raise PhasescopeError(
                f"The node {node.name} does not say what it is: {first_line(error)} Take it out of the cluster, or "
                "start Ray on it anew."
            ) from error
    return found


def _question() -> Any:
    """What nodes are asked, which may lack phasescope: a function that is sent as it is, and needs nothing there."""

    def tell(token: str, sources: list[str]) -> tuple[str, str, str, bool, str]:
        import contextlib
        import hashlib
        import importlib.metadata
        import importlib.util
        import os
        import platform
        from pathlib import Path

        digest, torch = "", ""
        found = importlib.util.find_spec("phasescope")
        if found is not None and found.origin:
            place, read = Path(found.origin).parent, hashlib.blake2b(digest_size=8)
            for path in sorted(place.rglob("*.py")):
                read.update(path.relative_to(place).as_posix().encode() + path.read_bytes())
            digest = read.hexdigest()
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            torch = importlib.metadata.version("torch")
        try:
            seen = not token or (Path(token).read_text() == Path(token).name and os.access(Path(token).parent, os.W_OK))
        except OSError:
            seen = False
        unseen = next((path for path in sources if not Path(path).exists()), "")
        return digest, platform.python_version(), torch, seen, unseen

    return tell


def require_same(nodes: Sequence[Node], told: Sequence[Told], here: Told) -> None:
    """Raise `PhasescopeError` where a node would not make what this process would."""
    for node, one in zip(nodes, told, strict=True):
        if not one.phasescope:
            raise PhasescopeError(f"The node {node.name} has no phasescope: install there what is installed here.")
        for what, there, ours in (
            ("phasescope", one.phasescope, here.phasescope),
            ("Python", _short(one.python), _short(here.python)),
            ("torch", one.torch.split("+")[0], here.torch.split("+")[0]),
        ):
            if there != ours:
                named = f" ({there or 'none'}, here {ours})" if what != "phasescope" else ""
                raise PhasescopeError(
                    f"The node {node.name} has another {what}{named} than this process, and might make something "
                    "else of the same checkpoint. Install the same on both."
                )


def _short(python: str) -> str:
    return ".".join(python.split(".")[:2])


def on(node: str) -> Any:
    """Where Ray is to put something: on this node and no other."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)


def is_alive(node: str) -> bool:
    """Whether the cluster still has it."""
    return any(told["NodeID"] == node and told["Alive"] for told in _nodes())


def _nodes() -> list[dict[str, Any]]:
    import ray

    found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return found


@dataclass(frozen=True)
class Share:
    """How many workers there are, and what each has.

    together: how many have one GPU together; 0: they have none.
    """

    workers: int
    cores: int
    together: int = 0

    @property
    def gpus(self) -> float:
        return 1 / self.together if self.together else 0.0

    def room(self, node: Node) -> int:
        """How many fit on a node."""
        by_cores = node.cores // self.cores
        return min(by_cores, node.gpus * self.together) if self.together else by_cores


def shares(nodes: Sequence[Node], number: int | None, gpus: bool) -> Share:
    """Cores and GPUs, divided among workers.

    number: as many as were asked for, if there are cores for them; None: one for each GPU where there are some and
    they are wanted, else one for each core. They share the cores, as far as these lie together on nodes.
    """
    cores, chips = sum(node.cores for node in nodes), sum(node.gpus for node in nodes) if gpus else 0
    workers = min(number or chips or cores, cores)
    together = -(-workers // chips) if chips else 0
    each = max(cores // workers, 1)
    while each > 1 and sum(Share(workers, each, together).room(node) for node in nodes) < workers:
        each -= 1
    share = Share(workers, each, together)
    return Share(min(workers, sum(share.room(node) for node in nodes)), each, together)


def rooms(nodes: Sequence[Node], share: Share) -> list[int]:
    """How many workers each node has: as evenly as they fit."""
    found = [0] * len(nodes)
    for _ in range(share.workers):
        free = [place for place, node in enumerate(nodes) if found[place] < share.room(node)]
        found[min(free, key=lambda place: found[place])] += 1
    return found


def first_line(error: Exception) -> str:
    with suppress(IndexError):
        line = str(error).strip().splitlines()[0].strip()
        return line if line.endswith(".") else f"{line}."
    return f"{type(error).__name__}."
