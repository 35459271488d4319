#!/usr/bin/env bash
# `ray.init` replaces the handler of SIGTERM that a program has set, and does not call it.
#
# ray 2.60.0, Python 3.11.
# A training or probing job sets a handler of SIGTERM to write what it has before Slurm, Kubernetes or a spot market
# takes its machine. Once it is a driver of a Ray cluster, that handler is gone: `ray.init` sets one of its own, without a
# word, and the one before is neither called nor given back by `ray.shutdown`. (Sent to a driver, SIGTERM was here
# answered by Ray's native code, and the process ended without running what the program had registered.) A handler that
# is set after `ray.init` stays and works, so set it there, or set it again.
#
# Seen: "before ray.init: mine; after: init.<locals>.sigterm_handler; after ray.shutdown: init.<locals>.sigterm_handler"
#       "set again after ray.init: it ran"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet ray==2.60.0
cat > "$work/seen.py" <<'PY'
import os
import signal
import time

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
import ray

ran = []


def mine(number, frame):
    ran.append(number)


def started():
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)


def name():
    return signal.getsignal(signal.SIGTERM).__qualname__


signal.signal(signal.SIGTERM, mine)
before = name()
started()
during = name()
signal.signal(signal.SIGTERM, mine)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(1)
assert ran == [signal.SIGTERM]
ray.shutdown()
started()
ray.shutdown()
after = name()
print(f"before ray.init: {before}; after: {during}; after ray.shutdown: {after}")
print("set again after ray.init: it ran")
assert before == "mine" and "mine" not in (during, after), (before, during, after)
PY
"$work/venv/bin/python" "$work/seen.py" 2>/dev/null
