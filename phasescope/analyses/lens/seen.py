"""What the lens showed of each checkpoint, as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.analyses.lens.columns import EMBEDDING
from phasescope.hooks import Site
from phasescope.texts.items.items import ATTRIBUTED, LENS_SCORES, LENSES
from phasescope.texts.made.passages import KIND, TRAINING

if TYPE_CHECKING:
    from jaxtyping import Float32

    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey
    from phasescope.texts import Items

    Tokens = Float32[np.ndarray, "rows sequences tokens"]


@dataclass(frozen=True, eq=False)
class Look:
    """One checkpoint through one lens.

    Attributes:
        places: of each place its site and layer, in order.
        scores: by `LENS_SCORES`, of each place.
        parts: by part of the residual stream what it adds to the right logit, and to that of another token; of the
            logit lens alone.
    """

    key: ShardKey
    lens: str
    places: list[Site]
    scores: dict[str, Tokens]
    parts: dict[str, Tokens]

    @property
    def layers(self) -> list[int]:
        """Of each place; −1 of what enters the first layer."""
        return [EMBEDDING if site.component == "resid_pre" else site.layer for site in self.places]

    @property
    def sequences(self) -> int:
        return int(self.scores["kl"].shape[1])

    @property
    def tokens(self) -> int:
        return int(np.prod(self.scores["kl"].shape[1:]))


def seen(reader: RunReader) -> Iterator[Look]:
    """Of every lens: from the set of items that most checkpoints have seen, of these from the largest."""
    sets = reader.item_sets(KIND)
    asked = {items.name: set(reader.scored(items)) for items in sets}

    def most(items: Items) -> tuple[int, int, str]:
        return len(asked[items.name]), int(items.scored[~_trains(items)].sum()), items.name

    for lens in LENSES:
        for items in sorted(sets, key=most, reverse=True):
            keys = [key for key in reader.keys if key in asked[items.name]]
            looks = (_look(reader, items, key, lens) for key in keys)
            if first := next(looks, None):
                yield first
                yield from (look for look in looks if look is not None)
                break


def _look(reader: RunReader, items: Items, key: ShardKey, lens: str) -> Look | None:
    found = reader.scores_of(items, key).lens
    mine = {name.partition("/")[2]: values for name, values in found.items() if name.startswith(f"{lens}/")}
    if not mine:
        return None
    each = int(items.scored[~_trains(items)][0])
    places = sorted(map(Site.parse, mine), key=lambda site: (site.layer, site.component == "resid_post"))
    stacked = np.stack([mine[site.name] for site in places])
    scores = {name: stacked[:, row].reshape(len(places), -1, each) for row, name in enumerate(LENS_SCORES)}
    parts = {
        name.partition("/")[2]: values.reshape(2, -1, each)
        for name, values in found.items()
        if lens == LENSES[0] and name.startswith(ATTRIBUTED)
    }
    return Look(key, lens, places, scores, parts)


def _trains(items: Items) -> np.ndarray:
    trains: np.ndarray = np.asarray(items.columns[TRAINING]) == 1
    return trains
