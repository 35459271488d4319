"""What there is to import from here, and from where: read at run time too, each when it is first asked for."""

from . import measures as measures
from .analyses import Table as Table
from .analyses import analysis as analysis
from .console import show_progress as show_progress
from .errors import PhasescopeError as PhasescopeError
from .hooks import Architecture as Architecture
from .hooks import Attention as Attention
from .hooks import Tap as Tap
from .hooks import TappedModel as TappedModel
from .hooks import register as register
from .hooks import tap as tap
from .plugins import Measure as Measure
from .plugins import Probe as Probe
from .plugins import measure as measure
from .plugins import probe as probe
from .reports.live.results import probe_live as probe_live
from .run import Layer as Layer
from .run import Run as Run
from .run import capture as capture
from .run import open_run as open_run
from .suites import Checkpoint as Checkpoint
from .suites import Suite as Suite
from .suites import open_suite as open_suite
from .visits.training.probe import TrainingProbe as TrainingProbe

__version__: str
