"""The HDF5 layout: write a shard whole or not at all, read it, verify it. `docs/format.md` specifies it."""

from phasescope.store.container import Container
from phasescope.store.contents import SCHEMA, Scalar
from phasescope.store.digests import digests
from phasescope.store.evaluations import (
    EVALUATION_KEYS,
    EVALUATIONS,
    Kept,
    as_evaluations,
    keep_evaluations,
    read_evaluations,
)
from phasescope.store.files import read_json, remove_leftovers, replacing, sole_writer, write_array, write_json
from phasescope.store.folder import RunFolder, ShardKey
from phasescope.store.index import write_index
from phasescope.store.missing import Missing, missing_shards
from phasescope.store.opening import open_container
from phasescope.store.parts import Part, origin_of, parts_of, read_parts, rows_as_part, rows_of, write_parts
from phasescope.store.recorded_site import RecordedSite, recorded_site, site_shape
from phasescope.store.tables import read_table, write_table
from phasescope.store.trouble import MisplacedError
from phasescope.store.verify import Finding, verify
from phasescope.store.writer import (
    Entry,
    Writer,
    completed_container,
    new_container,
    waiting_container,
    write_container,
)

__all__ = [
    "EVALUATIONS",
    "EVALUATION_KEYS",
    "SCHEMA",
    "Container",
    "Entry",
    "Finding",
    "Kept",
    "MisplacedError",
    "Missing",
    "Part",
    "RecordedSite",
    "RunFolder",
    "Scalar",
    "ShardKey",
    "Writer",
    "as_evaluations",
    "completed_container",
    "digests",
    "keep_evaluations",
    "missing_shards",
    "new_container",
    "open_container",
    "origin_of",
    "parts_of",
    "read_evaluations",
    "read_json",
    "read_parts",
    "read_table",
    "recorded_site",
    "remove_leftovers",
    "replacing",
    "rows_as_part",
    "rows_of",
    "site_shape",
    "sole_writer",
    "verify",
    "waiting_container",
    "write_array",
    "write_container",
    "write_index",
    "write_json",
    "write_parts",
    "write_table",
]
