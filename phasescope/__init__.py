"""phasescope: see when, where and why a language model settles.

An activation-probing instrument for training runs of language models. Start with `capture` and `open_run`;
`phasescope.measures` can be used alone.
"""

import sys
import warnings
from importlib import import_module
from typing import Any

import lazy_loader

__version__ = "0.1.0"

# What there is stands in __init__.pyi. Loaded on first use, so that `phasescope --help` does not wait for torch.
_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if "ipykernel" in sys.modules:
        _know_tqdm()
    return _load(name)


def _know_tqdm() -> None:
    """Load tqdm, whose bars ours stand for, without its word that a notebook lacks a package that would draw them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("tqdm.auto")
