"""How to reach into a network: one file per engine, and the map from architecture to sites."""

from __future__ import annotations

from phasescope.hooks.architectures import ARCHITECTURES, Architecture, get_architecture
from phasescope.hooks.engine import ENGINES, Engine, Reading, TappedModel, get_engine
from phasescope.hooks.sites import COMPONENTS, Component, Site, select_sites

__all__ = [
    "ARCHITECTURES",
    "COMPONENTS",
    "ENGINES",
    "Architecture",
    "Component",
    "Engine",
    "Reading",
    "Site",
    "TappedModel",
    "get_architecture",
    "get_engine",
    "select_sites",
]
