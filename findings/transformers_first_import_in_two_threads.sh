#!/bin/sh
# A thread that says `from transformers import AutoTokenizer` while another thread is still importing transformers for
# the first time gets "ImportError: cannot import name 'AutoTokenizer' from 'transformers'", though nothing is missing:
# the same statement works a moment later, and in the thread that came first.
#
# Why: transformers/__init__.py ends by putting another object (a _LazyModule, which knows the names) in its own place
# in sys.modules. Python's import system lets the second thread wait until the first has done, but then goes on with the
# module that it had found before it waited: the one that was replaced, and has none of the names.
# (CPython, Python/import.c, PyImport_ImportModuleLevelObject: import_get_module, then import_ensure_initialized.)
# So a program that loads transformers in the background, to be ready sooner, has to let one thread import it whole.
#
# Seen with transformers 5.24.0 on CPython 3.11.7: `second: ImportError: cannot import name 'AutoTokenizer' from
# 'transformers' (…/transformers/__init__.py)`, then `afterwards: AutoTokenizer`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet "transformers==5.24.0"
cat > "$folder/two.py" <<'PY'
import sys
import threading
import time

import transformers as _  # to compile it: the race is then the same at any speed of the disk

for name in [name for name in sys.modules if name.split(".")[0] == "transformers"]:
    del sys.modules[name]

begun, said = threading.Event(), {}


class Notice:
    """The first thread is within transformers when something below it is looked for: then the second begins."""

    def find_spec(self, name, path=None, target=None):
        if name.startswith("transformers.") and threading.current_thread().name == "first" and not begun.is_set():
            begun.set()
            time.sleep(1)  # The second comes to the lock of the module, and waits there for this thread.
        return None


def ask(name):
    try:
        from transformers import AutoTokenizer

        said[name] = AutoTokenizer.__name__
    except ImportError as error:
        said[name] = f"ImportError: {error}"


first = threading.Thread(target=ask, args=("first",), name="first")
second = threading.Thread(target=ask, args=("second",), name="second")
sys.meta_path.insert(0, Notice())
first.start()
begun.wait()
second.start()
first.join()
second.join()
ask("afterwards")
for name, what in said.items():
    print(f"{name}: {what}")
right = said["first"] == said["afterwards"] == "AutoTokenizer"
sys.exit(0 if right and said["second"].startswith("ImportError: cannot import name 'AutoTokenizer'") else 1)
PY
"$folder/venv/bin/python" "$folder/two.py"
