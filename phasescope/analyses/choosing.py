"""Some of the checkpoints and sites of a run, as people name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.hooks import COMPONENTS, Site
from phasescope.hooks.sites import OF_EXPERTS

if TYPE_CHECKING:
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey

Trajectory = tuple[str, int, list["ShardKey"]]


def chosen(
    reader: RunReader,
    sizes: str | Sequence[str] | None = None,
    seeds: int | Sequence[int] | None = None,
    steps: str | int | Sequence[int | str] = "all",
) -> list[Trajectory]:
    """(size, seed, shards in order of steps) of every training that has any of these; None: all of them.

    steps: `all`, `log`, `last`, `every:1000`, numbers, or several of these; the rules look at each training by itself.

    Raises `PhasescopeError` for a size, seed or step that no training chosen has, with the nearest.
    """
    from phasescope.suites.selection import StepSelection

    names = reader.sizes if sizes is None else [sizes] if isinstance(sizes, str) else list(sizes)
    wanted = None if seeds is None else {seeds} if isinstance(seeds, int) else set(seeds)
    there = [reader.size(name) for name in names]
    for seed in wanted or ():
        if not any(seed in reader.seeds(size) for size in there):
            reader.key(there[0], seed, 0)  # says what is wrong, and which there are
    found = [one for one in reader.trajectories() if one[0] in there and (wanted is None or one[1] in wanted)]
    selection = StepSelection.parse(steps)
    selection.require_in({key.step for _, _, keys in found for key in keys}, str(reader.folder.path))
    cut = []
    for size, seed, keys in found:
        of = set(selection.among(key.step for key in keys))
        if kept := [key for key in keys if key.step in of]:
            cut.append((size, seed, kept))
    return cut


def sites_named(reader: RunReader, size: str, wanted: str | Sequence[str] | None) -> list[str]:
    """Full names of the sites wanted of a size, of those that were recorded.

    wanted: components or single sites, in a sequence or joined by commas; None: all.

    Raises `PhasescopeError` for one that was not recorded, with the nearest.
    """
    last = [key for key in reader.keys if key.size == size][-1]
    there = reader.sites(last)
    if wanted is None:
        return there
    known, all_of_them = ([Site.parse(name) for name in names] for names in (there, reader.recorded(last)))
    found: list[str] = []
    for text in wanted.split(",") if isinstance(wanted, str) else wanted:
        text = text.strip()
        of = [site for site in known if text == site.component] if text in COMPONENTS else []
        of = of or [site for site in known if "." in text and site == Site.parse(text)]
        if not of and any(text in (site.component, site.short, site.name) for site in all_of_them):
            raise PhasescopeError(f"{text} {OF_EXPERTS}")
        if not of:
            names = [*dict.fromkeys(site.component for site in known), *(site.short for site in known)]
            raise PhasescopeError(f"This run did not record {text!r} of {size}. {did_you_mean(text, names)}")
        found += [site.name for site in of]
    return list(dict.fromkeys(found))
