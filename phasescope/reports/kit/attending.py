"""How far each layer attends, and how it knows of positions: as shards say."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey

if TYPE_CHECKING:
    from phasescope.reports.kit.panels import Panel
    from phasescope.reports.kit.tables import RunLike

ATTENTION = ("attn_out", "ov_out", "z", "pattern", "sink")
"""The components of which attention is a part."""


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


def attending_of(run: RunLike, size: str) -> dict[int, tuple[str, str]]:
    """The same of the first checkpoint of a size."""
    return attending(run.path, next((key for key in RunFolder(run.path).shards() if key.size == size), None))


def marks(told: Mapping[int, tuple[str, str]]) -> dict[int, str]:
    """What stands behind the numbers of layers that do not attend to all, or know of no positions: `w4`, `c8`, `np`."""
    short = {"sliding": "w", "chunked": "c"}
    found = {}
    for layer, (attention, positions) in told.items():
        kind, _, size = attention.partition(":")
        own = [f"{short.get(kind)}{size}"] * (kind in short) + ["np"] * (positions == "none")
        if own:
            found[layer] = " ".join(own)
    return found


def marks_sentence(told: Mapping[int, tuple[str, str]]) -> str:
    """What these marks mean; "" where there are none."""
    used = " ".join(marks(told).values()).split()
    if not used:
        return ""
    means = {
        "w": "w{0}: the layer attends to the last {0} tokens",
        "c": "c{0}: the layer attends to its chunk of {0} tokens",
        "n": "np: attention is told nothing of positions",
    }
    said = [means[mark[0]].format(mark[1:]) for mark in dict.fromkeys(used)]
    return f"Behind layers, {'; '.join(said)}."


def with_marks(panel: Panel, told: Mapping[int, tuple[str, str]]) -> Panel:
    """A map whose rows are layers, with marks behind those that have windows or no positions."""
    sentence, behind = marks_sentence(told), {f"L{layer}": f"L{layer} {mark}" for layer, mark in marks(told).items()}
    if not sentence:
        return panel
    rows = panel.figure.layout["yaxis"]
    texts = [behind.get(text, text) for text in rows["ticktext"]]
    figure = panel.figure.and_layout(yaxis={**rows, "ticktext": texts})
    return replace(panel, figure=figure, caption=f"{panel.caption} {sentence}")
