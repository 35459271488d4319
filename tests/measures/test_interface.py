from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil

import numpy as np
import pytest
import torch

from phasescope import measures
from phasescope.measures._tensors import as_float64, as_tensor

MODULES = [f"phasescope.measures.{module.name}" for module in pkgutil.iter_modules(measures.__path__)]


@pytest.mark.parametrize("module", MODULES)
def test_examples_in_docstrings_are_true(module: str) -> None:
    torch.manual_seed(0)
    loaded = importlib.import_module(module)
    assert (
        doctest.testmod(
            loaded, extraglobs={"torch": torch, **{name: getattr(measures, name) for name in measures.__all__}}
        ).failed
        == 0
    )


def test_every_measure_is_public_and_explained() -> None:
    for name in measures.__all__:
        assert inspect.getdoc(getattr(measures, name)), name


def test_measures_need_nothing_but_the_room_and_errors() -> None:
    sources = [inspect.getsource(importlib.import_module(module)) for module in MODULES]
    imported = {
        line.split()[1] for source in sources for line in source.splitlines() if line.startswith("from phasescope")
    }
    assert all(name.startswith(("phasescope.measures", "phasescope.errors")) for name in imported)


def test_any_array_is_taken() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert as_tensor(array).data_ptr() == torch.from_numpy(array).data_ptr()  # shared, not copied
    reversed_rows, read_only = array[::-1], array.copy()
    read_only.flags.writeable = False
    for odd in (reversed_rows, read_only, array.T, [[1, 2], [3, 4]], array.astype(np.float16)):
        np.testing.assert_array_equal(as_float64(odd).numpy(), np.asarray(odd))
