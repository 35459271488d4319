"""Layers whose attention and MLP read the same residual stream."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from phasescope.hooks.architecture import Architecture

IN_PARALLEL = "its attention and MLP work in parallel on the same residual stream, so nothing lies between them"


def in_parallel(sequential: Architecture, **when: Any) -> Architecture:
    """The same without a stream between attention and MLP; when: the settings that put them side by side."""
    taps = {name: tap for name, tap in sequential.taps.items() if name != "resid_mid"}
    return replace(sequential, taps=taps, when=when, missing={"resid_mid": IN_PARALLEL})
