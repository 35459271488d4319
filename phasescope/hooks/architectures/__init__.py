"""The map from architecture to sites and weights: one declarative entry each.

To add one, write an `Architecture` into the file of its kind, and put it into the tuple at the end of that file;
`docs/extending.md` goes through it step by step.
"""

from __future__ import annotations

from phasescope.hooks.architecture import Architecture
from phasescope.hooks.architectures.decoders import DECODERS
from phasescope.hooks.architectures.gemma4 import GEMMA4
from phasescope.hooks.architectures.hybrids import HYBRIDS
from phasescope.hooks.architectures.llamas import LLAMAS
from phasescope.hooks.architectures.masked import MASKED
from phasescope.hooks.architectures.mixtures import MIXTURES
from phasescope.hooks.architectures.modernbert import MODERNBERTS
from phasescope.hooks.architectures.native import NATIVES
from phasescope.hooks.architectures.recurrent import RECURRENT

ARCHITECTURES: tuple[Architecture, ...] = (
    *LLAMAS,
    *DECODERS,
    *MIXTURES,
    *GEMMA4,
    *HYBRIDS,
    *RECURRENT,
    *MASKED,
    *MODERNBERTS,
    *NATIVES,
)
