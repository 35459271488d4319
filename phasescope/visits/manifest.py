"""run.json: what was asked of a run, with what, and what came of it. `docs/format.md` specifies it."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError
from phasescope.store import SCHEMA, RunFolder, remove_leftovers
from phasescope.suites.suite import size_order
from phasescope.suites.trajectories import shared_with, stages_of
from phasescope.visits.checkpoint import Summary
from phasescope.visits.request import Request

if TYPE_CHECKING:
    from phasescope.suites import Suite
    from phasescope.texts import Inputs

_LIBRARIES = ("phasescope", "torch", "transformers", "transformer-lens", "nnsight", "numpy", "scipy", "h5py")


def manifest_before(folder: RunFolder) -> dict[str, Any] | None:
    """The manifest of a run that was begun before; None for a new one.

    Raises `PhasescopeError` for a folder that holds something else.
    """
    if folder.exists():
        return folder.read_manifest()
    # A capture that was killed at its very beginning leaves its inputs, and hidden files: the lock, half a file.
    if any(path.name[0] != "." and path != folder.inputs for path in folder.path.iterdir()):
        raise PhasescopeError(f"{folder.path} is not empty and not a run. Choose another --out.")
    remove_leftovers(folder.path)
    return None


def describe(
    suite: Suite, request: Request, asked: dict[str, Any], inputs: Inputs, before: dict[str, Any] | None
) -> dict[str, Any]:
    """The manifest of a run into which `suite` is recorded now; what was recorded before stays in it."""
    known = before or {}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    planned = {(c["size"], c["seed"], c["step"]): c for c in known.get("checkpoints", [])}
    shared = shared_with(suite)
    asked_now = {
        (c.size, c.seed, c.step): {
            "size": c.size, "seed": c.seed, "step": c.step, **({"shared_with": shared[c]} if c in shared else {}),
            **({} if c.tokens is None else {"tokens": c.tokens}),
        }
        for c in suite
    }  # fmt: skip
    planned |= {key: entry | planned.get(key, {}) for key, entry in asked_now.items()}
    return {
        **known,
        "schema": SCHEMA,
        "created": known.get("created", now),
        "updated": now,
        "family": suite.family,
        "source": suite.source,
        "engine": request.probes.reader,
        "device": request.probes.device,
        "dtype": asked["dtype"],
        "sites": asked["sites"],
        "inputs": {
            "hash": inputs.hash,
            "source": inputs.source,
            "sequences": inputs.sequences,
            "context": inputs.context,
            "output_sequences": inputs.output_sequences,
            "positions": request.positions,
            "vocabulary": inputs.vocabulary,
            "counts_source": inputs.counts_source,
            **({"begins_with": inputs.begin.text} if inputs.begin else {}),
        },
        "asked": asked,
        "versions": _versions(),
        "sizes": sorted({*known.get("sizes", []), *suite.sizes}, key=size_order),
        **_along(suite, known),
        **_without_config(suite),
        "checkpoints": list(planned.values()),
        "failed": known.get("failed", []),
        "seconds": known.get("seconds", 0.0),
    }


def _along(suite: Suite, known: dict[str, Any]) -> dict[str, Any]:
    """What steps count, where that is something else; and the stages of a size's training, where it has several."""
    told = {**({"unit": suite.unit} if suite.unit != "steps" else {})}
    found: dict[str, dict[str, tuple[int, int]]] = {
        size: {name: (first, last) for name, first, last in stages} for size, stages in known.get("stages", {}).items()
    }
    for size, stages in stages_of(suite).items():
        mine = found.setdefault(size, {})
        for name, (first, last) in stages.items():
            before = mine.get(name, (first, last))
            mine[name] = min(first, before[0]), max(last, before[1])
    ordered = {
        size: [[name, *ends] for name, ends in sorted(mine.items(), key=lambda item: item[1])]
        for size, mine in found.items()
    }
    return told | ({"stages": ordered} if ordered else {})


def _without_config(suite: Suite) -> dict[str, str]:
    """Where the configuration of weights is that lie without one, and what stands before their names, as was asked."""
    told = {"config": suite.checkpoints[0].config, "prefix": suite.checkpoints[0].prefix} if len(suite) else {}
    return {name: value for name, value in told.items() if value}


@functools.cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES}


def note_outcomes(manifest: dict[str, Any], visits: Iterable[Summary], seconds: float) -> None:
    """Write into a manifest what came of some visits: who failed and why, and who no longer does."""
    failed = {(f["size"], f["seed"], f["step"]): f["reason"] for f in manifest["failed"]}
    failed |= {(s.key.size, s.key.seed, s.key.step): s.reason for s in visits}
    manifest["failed"] = [
        {"size": size, "seed": seed, "step": step, "reason": reason}
        for (size, seed, step), reason in failed.items()
        if reason
    ]
    manifest["seconds"] = round(manifest["seconds"] + seconds, 3)
