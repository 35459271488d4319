"""Every probe of a run, kept under the digest of its shard; what is the same of all of them is found once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from phasescope.analyses.probing.fits import probe
from phasescope.analyses.reader import read_activations
from phasescope.store import Part

if TYPE_CHECKING:
    from phasescope.analyses.probing.labels import Tasks
    from phasescope.analyses.reader import RunReader
    from phasescope.store import ShardKey

NOT_FINITE = "activations are not finite"
# The first of these that a run has is what is probed unless others are named: what comes last in a layer.
_USUAL = ("resid_post", "mlp_out", "mixer_out", "attn_out")


def components_there_are(reader: RunReader) -> list[str]:
    """The components with features that every checkpoint's last layers have, by name."""
    from phasescope.hooks import Site
    from phasescope.hooks.sites import ATTENDING, ROUTING

    found = {Site.parse(name).component for key in reader.keys[:1] for name in reader.sites(key)}
    return sorted(found - {*ATTENDING, *ROUTING})


def usual_component(there: Sequence[str]) -> str:
    """What is probed where nothing is named: the residual stream after a layer, or what else comes late in it."""
    return next((name for name in _USUAL if name in there), there[-1])


def probes_of_shard(reader: RunReader, key: ShardKey, components: Sequence[str], tasks: Tasks) -> Part:
    """Of each site and label: what is found, as arrays `[probes, …]`."""
    from phasescope.hooks import Site

    wanted = [site for site in map(Site.parse, reader.sites(key)) if site.component in components]
    held, train = int(tasks.held_out.sum()), len(tasks.order)
    part: dict[str, list[object]] = {name: [] for name in ("sites", "labels", "C", "right", "control", "bits")}
    with reader.folder.open_shard(key) as shard:
        for site in wanted:
            values = next(read_activations(shard, site.name))[1].double().numpy()
            finite = bool(np.isfinite(values).all())
            for label in tasks.labels:
                part["sites"].append(site.name)
                part["labels"].append(label.name)
                found = probe(values, label, tasks) if finite else None
                part["C"].append(found.C if found else np.nan)
                for name, length in (("right", held), ("control", held), ("bits", train)):
                    part[name].append(getattr(found, name) if found else np.full(length, np.nan))
    lengths = {"right": held, "control": held, "bits": train}
    made: Part = {
        name: np.array(rows, dtype=str if name in ("sites", "labels") else np.float64).reshape(
            len(rows), *([lengths[name]] if name in lengths else [])
        )
        for name, rows in part.items()
    }
    return made
