"""run.h5: external links to every shard, so that any HDF5 tool opens the run as one file."""

from __future__ import annotations

from pathlib import Path

import h5py

from phasescope.store.contents import SCHEMA, Scalar, fixed_length, links_of
from phasescope.store.files import replacing
from phasescope.store.folder import RunFolder
from phasescope.store.opening import opened
from phasescope.store.sink import writing_hdf5
from phasescope.store.trouble import reading


def write_index(folder: RunFolder) -> None:
    """Write the index of all files there are; links are relative, so the run may be moved."""
    links = {path.removesuffix(".h5"): path for path in _indexed(folder)}
    with replacing(folder.index) as temporary, writing_hdf5(temporary) as writing:

        def write() -> None:
            attrs: dict[str, Scalar] = {"encoding": "index", "encoding_version": "1", "schema": SCHEMA}
            for key, value in attrs.items():
                writing.file.attrs.create(key, fixed_length(value))
            for name, target in links.items():
                _link(writing.file, name, target)

        writing(write)


def index_problem(folder: RunFolder) -> str:
    """What is wrong with the index; empty if nothing is."""
    linked, again = read_index(folder), "Run the same capture again: it is made anew."
    if astray := [name for name, target in linked.items() if target != f"{name}.h5"]:
        return f"{folder.index} points to {linked[astray[0]] or 'no file'} for {astray[0]}. {again}"
    there = set(_indexed(folder))
    if missing := sorted(there - set(linked.values())):
        return f"{folder.index} lacks {len(missing)} files (first: {missing[0]}). {again}"
    if gone := sorted(set(linked.values()) - there):
        return (
            f"{folder.index} has {len(gone)} files that are gone (first: {gone[0]}). Restore them, or run the same "
            "capture again."
        )
    return ""


def read_index(folder: RunFolder) -> dict[str, str]:
    """The file that each name in the index stands for ("" where it is no file); no link is followed."""
    found: dict[str, str] = {}

    def collect(name: str, group: h5py.Group) -> None:
        for part, link in links_of(group):
            whole = f"{name}{part}"
            if isinstance(link, h5py.ExternalLink):
                found[whole] = str(link.filename)
            elif isinstance(link, h5py.HardLink) and isinstance(group[part], h5py.Group):
                collect(f"{whole}/", group[part])
            else:
                found[whole] = ""

    with opened(folder.index) as file, reading(folder.index):
        collect("", file)
    return found


def _indexed(folder: RunFolder) -> list[str]:
    """Every container of a run, by its name in it."""
    paths: list[Path] = [folder.inputs] if folder.inputs.is_file() else []
    return [path.relative_to(folder.path).as_posix() for path in paths + folder.containers()]


def _link(file: h5py.File, name: str, target: str) -> None:
    """A link to another file of the run. Its groups are made one by one: those that HDF5 makes by itself have times."""
    parts = name.split("/")[:-1]
    for depth in range(1, len(parts) + 1):
        file.require_group("/".join(parts[:depth]))
    file[name] = h5py.ExternalLink(target, "/")
