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
            file["inputs"] = h5py.ExternalLink(folder.inputs.name, "/")
        for key in folder.shards():
            target = folder.shard(key).relative_to(folder.path).as_posix()
            file[f"checkpoints/{key.size}/seed{key.seed}/step{key.step:08d}"] = h5py.ExternalLink(target, "/")
        for size, step in folder.cohorts():
            target = folder.cohort(size, step).relative_to(folder.path).as_posix()
            file[f"cohorts/{size}/step{step:08d}"] = h5py.ExternalLink(target, "/")
        for kind, name in folder.item_sets():
            room = f"behaviour/{kind}/{name}"
            file[f"{room}/items"] = h5py.ExternalLink(f"{room}/items.h5", "/")
            for key in folder.scored(kind, name):
                target = folder.scores(kind, name, key).relative_to(folder.path).as_posix()
                file[target.removesuffix(".h5")] = h5py.ExternalLink(target, "/")
        for path in folder.comparisons():
            target = path.relative_to(folder.path).as_posix()
            file[target.removesuffix(".h5")] = h5py.ExternalLink(target, "/")
        file.flush()
        image = file.id.get_file_image()
    with replacing(folder.index) as temporary:
        temporary.write_bytes(image)
