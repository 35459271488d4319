"""What listings tell of weights: which files hold them, in which variant, and one digest of what would be loaded."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from phasescope.store import ShardKey
from phasescope.suites import Checkpoint
from phasescope.suites.listings import ListedFile, Listing, Listings
from phasescope.suites.trajectories import shared_with
from phasescope.suites.weights import LIKE_WEIGHTS

# In the order in which they are read: the whole file, then its parts.
_VARIANTS = {
    "safetensors": (r"model\.safetensors", r"model-\d{5}-of-\d{5}\.safetensors"),
    "bin": (r"pytorch_model\.bin", r"pytorch_model-\d{5}-of-\d{5}\.bin"),
}
# As trainers leave them: they are told apart by their bytes, and not looked into.
_OTHERS = (*LIKE_WEIGHTS, ".distcp")
_PART = re.compile(r"-\d{5}-of-(\d{5})\.")

Variant = Mapping[str, ListedFile]
"""The files that hold all weights of a checkpoint in one format, by path."""


@dataclass(frozen=True)
class Listed:
    """One checkpoint as it is listed: every variant of its weights, that which is loaded first; none of it if empty.

    files: by path, in the checkpoint's folder where it has one.
    """

    listing: Listing | None
    variants: Mapping[str, Variant]
    files: Mapping[str, ListedFile]

    def hash_of(self, path: str) -> str:
        """Of a file; "" where there is none, or none is listed."""
        return (self.files[path].hash or "") if path in self.files else ""

    @property
    def commit(self) -> str:
        """ "" of a folder, and where there is none."""
        return self.listing.commit if self.listing else ""

    @property
    def base(self) -> str:
        """The model that an adapter in a folder adapts; else ""."""
        return self.listing.base if self.listing else ""

    @property
    def loaded(self) -> Variant:
        """The files that are loaded; empty where there are no weights."""
        return next(iter(self.variants.values()), {})

    @property
    def lacking(self) -> tuple[int, int]:
        """How many weight files there are of how many that their names speak of; (0, 0) where names tell nothing."""
        parts = [found for path in self.loaded if (found := _PART.search(path))]
        return (len(parts), int(parts[0][1])) if parts else (0, 0)


@dataclass(frozen=True)
class ListedSuite:
    """All that listings tell of a suite, by checkpoint; and what the default branch of each size and seed holds.

    The trunk that branches share is that of the first of them alone. before: what was listed of it earlier, at another
    commit.
    """

    of: Mapping[ShardKey, Listed]
    checkpoints: Mapping[ShardKey, Checkpoint]
    main: Mapping[tuple[str, int], Listed]
    revisions: Mapping[str, Mapping[str, str]]
    renamed: Mapping[str, str]
    before: Mapping[ShardKey, Listed]

    @classmethod
    def read(cls, listings: Listings) -> ListedSuite:
        shared = shared_with(listings.of)
        checkpoints = {ShardKey(one.size, one.seed, one.step): one for one in listings.of if one not in shared}
        of = {key: _listed(listings.of[one], one.file, one.folder) for key, one in checkpoints.items()}
        main: dict[tuple[str, int], Listed] = {}
        for key, one in checkpoints.items():
            # Where each step has a repository, a folder or a file of its own, that branch is no state of a training.
            own = one.file is not None or bool(one.folder) or one.revision == "main"
            if not own and (listing := listings.main.get(one.location)):
                main.setdefault((key.size, key.seed), _listed(listing, None))
        before = {
            key: _listed(listings.before[one], one.file, one.folder)
            for key, one in checkpoints.items()
            if one in listings.before
        }
        return cls(of, checkpoints, main, listings.revisions, listings.renamed, before)

    def digests(self) -> dict[ShardKey, str]:
        """Of what is loaded of each checkpoint; without those that are not whole, or whose hashes are not listed."""
        digests = {key: digest for key, listed in self.of.items() if (digest := digest_of(listed.loaded))}
        return {key: _with_base(digest, self.of[key].base) for key, digest in digests.items()}

    def hashes(self) -> dict[ShardKey, dict[str, str]]:
        """Of each file that is loaded of each checkpoint, where all are listed."""
        return {
            key: {path: file.hash for path, file in listed.loaded.items() if file.hash}
            for key, listed in self.of.items()
            if digest_of(listed.loaded)
        }

    def main_digests(self) -> dict[tuple[str, int], str]:
        return {model: digest for model, listed in self.main.items() if (digest := digest_of(listed.loaded))}


def digest_of(variant: Variant) -> str:
    """One number for all weights of a variant; "" where there are none, or a hash is not known."""
    hashes = [file.hash for _, file in sorted(variant.items())]
    if not hashes or None in hashes:
        return ""
    return hashes[0] or "" if len(hashes) == 1 else hashlib.sha256(" ".join(map(str, hashes)).encode()).hexdigest()


def _with_base(digest: str, base: str) -> str:
    """Equal adapters of two models are two models."""
    return hashlib.sha256(f"{digest} {base}".encode()).hexdigest() if base else digest


def _listed(listing: Listing | None, file: str | None, folder: str = "") -> Listed:
    inside = f"{folder}/" if folder else ""
    there = [] if listing is None else [entry for entry in listing.files if entry.path.startswith(inside)]
    files = {entry.path.removeprefix(inside): entry for entry in there}
    if file is not None:
        return Listed(listing, {"file": {file: files[file]}} if file in files else {}, files)
    found: dict[str, Variant] = {}
    for name, patterns in _VARIANTS.items():
        for pattern in patterns:
            matching = {path: entry for path, entry in files.items() if re.fullmatch(pattern, path)}
            if matching and name not in found:
                found[name] = matching
    if not found and (others := {path: entry for path, entry in files.items() if path.endswith(_OTHERS)}):
        found["other"] = others
    return Listed(listing, found, files)
