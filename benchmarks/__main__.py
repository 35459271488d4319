"""Run all benchmarks, or the named ones: `python -m benchmarks measures hooks gradients behaviour …`."""

from __future__ import annotations

import sys
from importlib import import_module
from itertools import takewhile

ALL = (
    "measures",
    "cka_intervals",
    "trajectories",
    "phases",
    "seed_noise",
    "link",
    "behaviour",
    "items",
    "asked",
    "hooks",
    "experts",
    "gradients",
    "memory",
    "job",
    "hub",
    "training",
    "live",
    "faults",
    "audit",
    "audit_of_run",
    "scale",
    "similarity",
    "coverage",
    "gpu",
)


def main() -> None:
    for name in list(takewhile(lambda word: not word.startswith("-"), sys.argv[1:])) or ALL:
        print(f"{name}: {(import_module(f'benchmarks.{name}').__doc__ or '').splitlines()[0]}", flush=True)
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
