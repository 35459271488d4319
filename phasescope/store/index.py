"""run.h5: external links to every shard, so that any HDF5 tool opens the run as one file."""

from __future__ import annotations

import h5py

from phasescope.store.container import SCHEMA
from phasescope.store.files import replacing
from phasescope.store.folder import RunFolder


def write_index(folder: RunFolder) -> None:
    """Write the index of all files there are; links are relative, so the run may be moved."""
    # In memory first: see `new_container`.
    with h5py.File(folder.index, "w", libver=("v110", "v110"), driver="core", backing_store=False) as file:
        file.attrs.update({"encoding": "index", "encoding_version": "1", "schema": SCHEMA})
        if folder.inputs.is_file():
            _link(file, "inputs", folder.inputs.name)
        for key in folder.shards():
            target = folder.shard(key).relative_to(folder.path).as_posix()
            _link(file, f"checkpoints/{key.size}/seed{key.seed}/step{key.step:08d}", target)
        for size, step in folder.cohorts():
            target = folder.cohort(size, step).relative_to(folder.path).as_posix()
            _link(file, f"cohorts/{size}/step{step:08d}", target)
        for kind, name in folder.item_sets():
            room = f"behaviour/{kind}/{name}"
            _link(file, f"{room}/items", f"{room}/items.h5")
            for key in folder.scored(kind, name):
                target = folder.scores(kind, name, key).relative_to(folder.path).as_posix()
                _link(file, target.removesuffix(".h5"), target)
        for path in folder.comparisons():
            target = path.relative_to(folder.path).as_posix()
            _link(file, target.removesuffix(".h5"), target)
        file.flush()
        image = file.id.get_file_image()
    with replacing(folder.index) as temporary:
        temporary.write_bytes(image)


def _link(file: h5py.File, name: str, target: str) -> None:
    """A link to another file of the run. Its groups are made one by one: those that HDF5 makes by itself have times."""
    parts = name.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        file.require_group("/".join(parts[:depth]))
    file[name] = h5py.ExternalLink(target, "/")
