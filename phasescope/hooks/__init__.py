"""How to reach into a network: one file per engine, and the map from architecture to sites."""

from __future__ import annotations

from phasescope.hooks.architecture import Architecture, Attention
from phasescope.hooks.architectures import ARCHITECTURES
from phasescope.hooks.engine import ENGINES, Engine, TappedModel, get_engine, tap
from phasescope.hooks.lookup import get_architecture
from phasescope.hooks.projections import Concatenated, Half, Interleaved, Separate
from phasescope.hooks.registered import architectures, register
from phasescope.hooks.sampling import Activations, ByHead, Reading
from phasescope.hooks.sites import ATTENDING, COMPONENTS, Component, Site, parts_of, select_sites
from phasescope.hooks.tap import Tap

__all__ = [
    "ARCHITECTURES",
    "ATTENDING",
    "COMPONENTS",
    "ENGINES",
    "Activations",
    "Architecture",
    "Attention",
    "ByHead",
    "Component",
    "Concatenated",
    "Engine",
    "Half",
    "Interleaved",
    "Reading",
    "Separate",
    "Site",
    "Tap",
    "TappedModel",
    "architectures",
    "get_architecture",
    "get_engine",
    "parts_of",
    "register",
    "select_sites",
    "tap",
]
