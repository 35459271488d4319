"""Before a capture: whether the checkpoints are what their names say, those of an earlier capture, or one another.

Of those on the hub nothing but listings is asked for. Where it does not answer, or all is read from the cache, the
capture goes on without: fetching tells what is wrong. Folders with equal weights are found by their bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from phasescope.console import stderr
from phasescope.errors import PhasescopeError
from phasescope.store import RunFolder, ShardKey
from phasescope.visits.checkpoint import key_of
from phasescope.visits.same_folders import same_folders
from phasescope.visits.twins import Twin, trunk_of, twins_in

if TYPE_CHECKING:
    from phasescope.audit.listed import ListedSuite
    from phasescope.probes import Probes
    from phasescope.suites import Suite
    from phasescope.suites.listings import Listings

Listed = Mapping[ShardKey, Mapping[str, str]]


def ask_listings(suite: Suite, folder: RunFolder, probes: Probes) -> tuple[Listed, dict[ShardKey, Twin]]:
    """Commit and sha256 of the weights of each checkpoint on the hub, and which hold the same as one before them.

    What is wrong with them is told on stderr. Of weights in several files it is the sha256 of theirs, by name, joined
    by blanks. Of folders the sha256 of those that are equal to another.

    Raises `PhasescopeError` where a checkpoint that was captured before, asked for now or not, has another commit and
    other weights now.
    """
    from huggingface_hub import constants

    from phasescope.audit import audit_listings
    from phasescope.audit.listed import ListedSuite
    from phasescope.suites.listings import listings_of

    remote = tuple(checkpoint for checkpoint in suite if not checkpoint.is_local)
    trunk = trunk_of(suite)
    local, same = _of_folders(suite, folder, probes)
    same = {**trunk, **same}
    if not remote or probes.remote or constants.HF_HUB_OFFLINE:
        return local, same
    try:
        listings = listings_of(replace(suite, checkpoints=remote))
    except PhasescopeError:
        return local, same
    read = ListedSuite.read(listings)
    listed = _told(read)
    listed |= {key: listed[twin.of] for key, twin in trunk.items() if twin.of in listed}
    if folder.exists():
        _require_same({**_of_unchosen(suite, listings, folder), **listed}, folder, suite.source)
    if wrong := [finding.sentence for finding in audit_listings(listings) if finding.is_suspect]:
        said = f"Not all checkpoints are what their names say, as the hub lists them. {' '.join(wrong)}"
        stderr().print(said, markup=False, soft_wrap=True)
    return {**local, **listed}, {**same, **twins_in(read)}


def _told(read: ListedSuite) -> dict[ShardKey, dict[str, str]]:
    digests = read.digests()
    return {
        key: {"commit": one.listing.commit, **({"sha256": digests[key]} if key in digests else {})}
        for key, one in read.of.items()
        if one.listing is not None
    }


def _of_unchosen(suite: Suite, listings: Listings, folder: RunFolder) -> Listed:
    """The same of checkpoints that were captured before and are not asked for now, where their commit is another."""
    from phasescope.audit.listed import ListedSuite
    from phasescope.suites.listings import listed_elsewhere

    entries = folder.read_manifest()["checkpoints"]
    commits = {ShardKey(one["size"], one["seed"], one["step"]): one["commit"] for one in entries if "commit" in one}
    recorded = {one: commits[key] for one in suite.unchosen if not one.is_local and (key := key_of(one)) in commits}
    with suppress(PhasescopeError):
        return _told(ListedSuite.read(listed_elsewhere(listings, recorded)))
    return {}


def _of_folders(suite: Suite, folder: RunFolder, probes: Probes) -> tuple[Listed, dict[ShardKey, Twin]]:
    """Gradients on the batches of its own updates are of a step, whatever its weights are."""
    if probes.remote or probes.gradients == "training":
        return {}, {}
    digests, twins = same_folders([one for one in suite if one.is_local], folder)
    return {key: {"sha256": digest} for key, digest in digests.items()}, twins


def note_listed(manifest: dict[str, Any], listed: Listed) -> None:
    """Write commit and sha256 to what a manifest says of each checkpoint."""
    manifest["checkpoints"] = [
        {**entry, **listed.get(ShardKey(entry["size"], entry["seed"], entry["step"]), {})}
        for entry in manifest["checkpoints"]
    ]


def _require_same(listed: Listed, folder: RunFolder, source: str) -> None:
    for entry in folder.read_manifest()["checkpoints"]:
        key = ShardKey(entry["size"], entry["seed"], entry["step"])
        now, before = listed.get(key, {}), entry.get("commit")
        # A commit that changes a card, or is of another file, has the same weights.
        same = before in (None, now.get("commit")) or ("sha256" in now and now["sha256"] == entry.get("sha256"))
        if now and not same and folder.shard(key).is_file():
            raise PhasescopeError(
                f"{key.label} of {source} has been replaced on the hub: it was captured at commit {before} and is at "
                f"{now['commit']} now, with other weights. Capture what is there now into another --out."
            )
