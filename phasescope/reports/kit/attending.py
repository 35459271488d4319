"""How far each layer attends, and how it knows of positions: as shards say."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey


def attending(path: Path, key: ShardKey | None) -> dict[int, tuple[str, str]]:
    """Of one checkpoint's layers that attend: `full`, `sliding:4096` or `chunked:8192`, and `rotary`, `none`, …

    Empty where no activations were recorded, or the shard cannot be read or is of a version that did not say it.
    """
    found: dict[int, tuple[str, str]] = {}
    if key is None:
        return found
    with suppress(PhasescopeError), RunFolder(path).open_shard(key) as shard:
        for name in shard.names("activations"):
            attrs = shard.attrs_of(name)
            if "attention" in attrs and "positions" in attrs:
                found[int(attrs["layer"])] = str(attrs["attention"]), str(attrs["positions"])
    return dict(sorted(found.items()))


def attending_sentence(layer: int, told: tuple[str, str] | None) -> str:
    """What one layer's attention sees, in a sentence; "" where it is not known."""
    if told is None:
        return ""
    kind, _, size = told[0].partition(":")
    how_far = {
        "sliding": f"the last {size} tokens (sliding:{size})",
        "chunked": f"its chunk of {size} tokens (chunked:{size})",
    }
    positions = {"none": "without positions", "alibi": "with scores that fall with distance (alibi)"}
    return (
        f"Layer {layer} attends to {how_far.get(kind, 'all tokens before')}, "
        f"{positions.get(told[1], f'with {told[1]} positions')}."
    )
