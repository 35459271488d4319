#!/usr/bin/env bash
# torch.set_num_threads is forgotten by the first matrix product of a new thread.
#
# torch 2.13.0 (CPU, x86-64 wheels with MKL and libgomp), Python 3.11.
# torch.set_num_threads(1) is called in the main thread. A thread begun after that reports torch.get_num_threads() == 1,
# but if its first operation is a matrix product, that product still runs on all threads that OMP_NUM_THREADS allows:
# the number lives in OpenMP's per-thread settings, and PyTorch sets it in a new thread only when it is first asked for
# its own number (or first runs a loop of its own). Sums are then added in another order, so the bits of a seeded
# training can depend on which thread it ran in. Calling torch.set_num_threads in each new thread mends it.
#
# Seen: "torch 2.13.0+cpu: first product in a new thread: 2 threads at work; after asking: 1"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet torch==2.13.0 numpy==2.3.4
cat > "$work/seen.py" <<'PY'
import threading
import time

import torch

torch.set_num_threads(1)
matrix = torch.randn(3000, 3000)
matrix @ matrix


def at_work() -> float:
    """CPU seconds of the whole process in a product, over those of this thread alone: how many threads computed."""
    whole, own = time.process_time(), time.thread_time()
    matrix @ matrix
    return (time.process_time() - whole) / (time.thread_time() - own)


def seen(ask: bool, into: list[float]) -> None:
    if ask:
        assert torch.get_num_threads() == 1
    into.append(at_work())


found: list[float] = []
for ask in (False, True):
    thread = threading.Thread(target=seen, args=(ask, found))
    thread.start()
    thread.join()
first, asked = (round(number) for number in found)
print(f"torch {torch.__version__}: first product in a new thread: {first} threads at work; after asking: {asked}")
assert (first, asked) == (2, 1), "the behaviour has changed"
PY
OMP_NUM_THREADS=2 "$work/venv/bin/python" "$work/seen.py"
