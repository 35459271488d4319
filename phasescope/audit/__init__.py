"""Whether checkpoints are what their names say: rules, each a pure function from what is known of them to findings."""

from phasescope.audit.finding import Certainty, Finding, left_out
from phasescope.audit.repeated import equal_weights, last_steps
from phasescope.audit.run import audit_run
from phasescope.audit.suite import audit_listings, audit_suite

__all__ = [
    "Certainty",
    "Finding",
    "audit_listings",
    "audit_run",
    "audit_suite",
    "equal_weights",
    "last_steps",
    "left_out",
]
