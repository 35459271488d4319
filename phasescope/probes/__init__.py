"""What to record of a checkpoint: activations, outputs, weights, gradients, scores of items."""

from phasescope.probes.forward import record_forward
from phasescope.probes.gradients import record_gradients
from phasescope.probes.items import score_items
from phasescope.probes.plan import Probes
from phasescope.probes.remote import record_remote
from phasescope.probes.weights import record_weights

__all__ = ["Probes", "record_forward", "record_gradients", "record_remote", "record_weights", "score_items"]
