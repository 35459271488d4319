"""Every rule on what is listed of a suite, and on a few entries of its weights: its checkpoints are not fetched."""

from __future__ import annotations

from collections.abc import Iterator

from phasescope.audit import changes, configs, files, names, read_rules
from phasescope.audit.across import other_beginnings
from phasescope.audit.finding import Finding, in_order, left_out
from phasescope.audit.known import known_faults
from phasescope.audit.listed import ListedSuite
from phasescope.audit.read_weights import read_weights
from phasescope.audit.repeated import equal_weights
from phasescope.audit.sizes import of_sizes
from phasescope.suites import Suite
from phasescope.suites.listings import Listings, listings_of

_SEEN = "checkpoints, equal in the sha256 of every weight file"


def audit_suite(suite: Suite, weights: bool = False) -> list[Finding]:
    """What the rules find in a suite: what is certain first, what is as it should be last.

    Of a suite on the hub one listing for each revision is asked for, and kept; of folders the weights are read, for
    their hashes. Progress is shown.

    weights: whether a few entries of the weights on the hub are read too, some hundred kB of each revision; of folders
        they are in any case.

    Raises `PhasescopeError` if the hub cannot be reached or does not show a repository.
    """
    listed = ListedSuite.read(listings_of(suite))
    found = list(_of_listings(listed))
    # Copies tell nothing of the order of the others.
    known = left_out(found)
    keys = [key for key, one in listed.checkpoints.items() if (weights or one.is_local) and key not in known]
    if keys:
        read = read_weights(listed, sorted(keys))
        known_by_entries = {key for key, of in read.of.items() if of.entries}
        found = [one for one in found if one.rule not in (configs.RULE, files.NO_HASHES)]
        found += [*files.without_hashes(listed, known_by_entries), *read_rules.all_of(listed, read)]
    return in_order(found)


def audit_listings(listings: Listings) -> list[Finding]:
    """The same of listings that are there, and of nothing else."""
    return in_order(_of_listings(ListedSuite.read(listings)))


def _of_listings(suite: ListedSuite) -> Iterator[Finding]:
    yield from equal_weights(suite.digests(), suite.main_digests(), _SEEN)
    yield from other_beginnings(suite.digests())
    yield from files.equal_parts(suite.hashes())
    yield from files.stale_variants(suite)
    yield from files.missing_weights(suite)
    yield from of_sizes(suite)
    yield from files.main_and_last(suite)
    yield from files.without_hashes(suite)
    yield from names.grid_gaps(suite)
    yield from names.unmatched_names(suite)
    yield from names.tokens_and_steps(suite)
    yield from configs.other_configurations(suite)
    yield from configs.other_bases(suite)
    yield from changes.renamed(suite)
    yield from changes.replaced(suite)
    yield from known_faults(suite)
