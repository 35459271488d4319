"""Every rule on what is listed of a suite: its checkpoints are not fetched."""

from __future__ import annotations

from collections.abc import Iterator

from phasescope.audit import files, names
from phasescope.audit.configs import other_configurations
from phasescope.audit.finding import Finding, in_order
from phasescope.audit.known import known_faults
from phasescope.audit.listed import ListedSuite
from phasescope.audit.repeated import equal_weights
from phasescope.suites import Suite
from phasescope.suites.listings import Listings, listings_of

_SEEN = "checkpoints, equal in the sha256 of every weight file"


def audit_suite(suite: Suite) -> list[Finding]:
    """What the rules find in what is listed of a suite: what is certain first, what is as it should be last.

    Of a suite on the hub one listing for each revision is asked for, and kept; of folders the weights are read, for
    their hashes. Progress is shown.

    Raises `PhasescopeError` if the hub cannot be reached or does not show a repository.
    """
    return audit_listings(listings_of(suite))


def audit_listings(listings: Listings) -> list[Finding]:
    """The same of listings that are there."""
    return in_order(_findings(ListedSuite.read(listings)))


def _findings(suite: ListedSuite) -> Iterator[Finding]:
    yield from equal_weights(suite.digests(), suite.main_digests(), _SEEN)
    yield from files.equal_parts(suite.hashes())
    yield from files.stale_variants(suite)
    yield from files.missing_weights(suite)
    yield from files.other_sizes(suite)
    yield from files.main_and_last(suite)
    yield from files.without_hashes(suite)
    yield from names.grid_gaps(suite)
    yield from names.unmatched_names(suite)
    yield from names.tokens_and_steps(suite)
    yield from other_configurations(suite)
    yield from known_faults(suite)
