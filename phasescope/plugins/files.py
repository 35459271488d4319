"""A function in a file of Python, as the command line names it: `FILE.py:function`."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.errors import BadArgumentError, PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable


def measure_in(text: str) -> Callable[..., Any] | str:
    """The function that `FILE.py:function` names; any other text as it is: the name of a plug-in.

    Raises `PhasescopeError` where there is no such file or function, or the file cannot be run.
    """
    place, _, name = text.rpartition(":")
    if not place.endswith(".py"):
        return text
    path = Path(place).expanduser()
    spec = spec_from_file_location(path.stem, path) if path.is_file() else None
    if spec is None or spec.loader is None:
        raise BadArgumentError(f"There is no file {path}: name one as FILE.py:function.")
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except PhasescopeError:
        raise
    except Exception as error:
        raise PhasescopeError(f"{path} cannot be run ({type(error).__name__}: {error}): put it right.") from error
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        functions = [known for known, thing in vars(module).items() if callable(thing) and known[0] != "_"]
        raise BadArgumentError(f"{path} has no function {name!r}. {did_you_mean(name, functions)}")
    return function
