"""On what a model computes, and in which number format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from phasescope.errors import BadArgumentError, did_you_mean

if TYPE_CHECKING:
    import torch

DTYPES = ("float32", "float16", "bfloat16", "float64")
_WORTH_THREADS = 512
"""Up to so many rows two threads take longer than one (docs/benchmarks.md)."""


def resolve_device(name: str | torch.device = "auto") -> str:
    """The device that is meant: `auto` is the first of cuda, mps and cpu that this machine has.

    Raises `PhasescopeError` for a device that does not exist here.
    """
    import torch

    there = ["cpu"]
    if torch.backends.mps.is_available():
        there.insert(0, "mps")
    if torch.cuda.is_available():
        there = ["cuda", *(f"cuda:{index}" for index in range(torch.cuda.device_count())), *there]
    if str(name) == "auto":
        return there[0]
    if str(name) not in there:
        raise BadArgumentError(f"There is no device {str(name)!r} here. {did_you_mean(name, ['auto', *there])}")
    return str(name)


def dtype_named(name: str | torch.dtype) -> str | torch.dtype:
    """The dtype that is meant; `auto` and dtypes as they are. Raises `PhasescopeError` for what is none."""
    import torch

    if not isinstance(name, str) or name == "auto":
        return name
    if name not in DTYPES:
        raise BadArgumentError(f"{name!r} is no dtype to compute in. {did_you_mean(name, DTYPES)}")
    chosen: torch.dtype = getattr(torch, name)
    return chosen


@contextmanager
def computing_threads(number: int) -> Iterator[int]:
    """Let each operation of PyTorch on the CPU use so many threads; gives how many it used before, and will again."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


@contextmanager
def threads_for(samples: int) -> Iterator[None]:
    """Let linear algebra on the CPU use one thread where matrices of so few samples are no work for more.

    Threads of BLAS and of PyTorch wait for one another in busy loops: thousands of small products take several times
    as long on two threads as on one.
    """
    if samples > _WORTH_THREADS:
        yield
        return
    from threadpoolctl import threadpool_limits

    with computing_threads(1), threadpool_limits(1, user_api="blas"):
        yield
