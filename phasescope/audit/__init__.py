"""Whether checkpoints are what their names say: rules, each a pure function from what is known of them to findings."""

from phasescope.audit.finding import Certainty, Finding
from phasescope.audit.repeated import equal_weights
from phasescope.audit.run import audit_run

__all__ = ["Certainty", "Finding", "audit_run", "equal_weights"]
