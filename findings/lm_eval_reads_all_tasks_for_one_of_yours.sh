#!/bin/sh
# lm_eval.simple_evaluate reads all tasks that come with it, even where the only task asked for is given whole.
#
# A task may be given to simple_evaluate as a dictionary, with its own questions: nothing has to be looked up by name.
# Yet each call without `task_manager` makes a TaskManager, which walks through lm_eval's own folder of tasks and opens
# every .yaml file there, 14 403; nothing is kept for the next call. Whoever evaluates one
# checkpoint per call (27 of a training) pays it each time: most of the time where models are small. With
# task_manager=TaskManager(include_defaults=False) none is opened and the results are the same.
#
# Seen with Python 3.11.7, lm_eval 0.4.13, datasets 5.2.0, Linux:
#   without a manager: 14403 files, then 14403
#   include_defaults=False: 0 files; the same accuracy
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lm_eval==0.4.13 datasets==5.2.0
cat > "$folder/count.py" <<'PYTHON'
import json
import sys
from pathlib import Path

import lm_eval
from lm_eval.tasks import TaskManager

folder = Path(sys.argv[1])
rows = [{"question": f"{n} is", "choices": ["odd", "even"], "answer": 1 - n % 2} for n in range(8)]
(folder / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
task = {
    "task": "own",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": str(folder / "own.jsonl")}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{question}}",
    "doc_to_choice": "{{choices}}",
    "doc_to_target": "{{answer}}",
    "metric_list": [{"metric": "acc"}],
}
opened = 0


def count(event, arguments):
    global opened
    if event == "open" and str(arguments[0]).endswith(".yaml"):
        opened += 1


sys.addaudithook(count)


def evaluated(**more):
    global opened
    opened = 0
    found = lm_eval.simple_evaluate(model="dummy", tasks=[task], bootstrap_iters=0, random_seed=0, **more)
    assert found["results"]["own"]["sample_len"] == 8
    return opened


first, second = evaluated(), evaluated()
own = evaluated(task_manager=TaskManager(include_defaults=False))
print(f"without a manager: {first} files, then {second}; include_defaults=False: {own} files")
assert first == 14_403 and second == first and own == 0
PYTHON
HF_HUB_OFFLINE=1 HF_HOME="$folder/cache" "$folder/venv/bin/python" "$folder/count.py" "$folder" 2> "$folder/errors" || { tail -n 5 "$folder/errors"; exit 1; }
