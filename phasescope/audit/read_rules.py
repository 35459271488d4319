"""Rules on a few entries of weights, and on headers, that were read of a suite whose checkpoints were not fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from phasescope.audit import words
from phasescope.audit.configs import other_values
from phasescope.audit.files import equal_parts
from phasescope.audit.finding import Finding
from phasescope.audit.kept_weights import Weights
from phasescope.audit.listed import ListedSuite
from phasescope.audit.read_weights import EMBEDDING, ReadSuite
from phasescope.audit.repeated import equal_weights, last_steps
from phasescope.audit.told import TOKENIZERS
from phasescope.audit.weights import correlations, equal_entries, weights_in_order
from phasescope.store import ShardKey

_SEEN = "checkpoints, equal in every entry that was read of every matrix"
# Two variants of one checkpoint may differ by the rounding of half precision, as a part of what entries spread over.
_ROUNDING = 0.02
# Below this two states have nothing in common; above it they are of one training.
_UNRELATED, _RELATED = 0.1, 0.5


def all_of(suite: ListedSuite, read: ReadSuite) -> Iterator[Finding]:
    """Every one of them."""
    samples = {key: of.entries for key, of in read.of.items() if of.entries}
    names = equal_entries(samples)
    copies = [
        *equal_weights({key: " ".join(sorted(of.values())) for key, of in names.items()}, seen=_SEEN),
        *equal_parts(names, "matrices that were looked at", "entries"),
    ]
    yield from copies
    known = {key for one in copies for key in one.suspects}
    yield from weights_in_order({key: of for key, of in samples.items() if key not in known})
    yield from stale_variants(read)
    yield from other_training_as_main(read)
    yield from wrong_shapes(suite, read)
    yield from other_values(suite, read.told, TOKENIZERS)
    yield from other_steps(suite, read)
    yield from unread(read)


def stale_variants(read: ReadSuite) -> Iterator[Finding]:
    """Checkpoints whose `.safetensors` and `.bin` hold different weights."""
    last = last_steps(read.of)
    for size, seed in last:
        keys = [key for key, of in sorted(read.of.items()) if (key.size, key.seed) == (size, seed) and _differ(of)]
        if keys:
            yield Finding(
                "stale variant",
                tuple(keys),
                f"{words.model(size, [seed], last)}: at {words.steps([key.step for key in keys])} .safetensors and "
                ".bin hold different weights: one of them is another checkpoint's, and the first is loaded.",
                f"{len(keys)} of {sum(bool(of.other) for of in read.of.values())} checkpoints with both",
                "certain",
                tuple(keys),
            )


def _differ(of: Weights) -> bool:
    for name in set(of.entries) & set(of.other):
        one, two = of.entries[name], of.other[name]
        if one.shape != two.shape or not np.allclose(one, two, rtol=_ROUNDING, atol=_ROUNDING * float(one.std())):
            return True
    return False


def other_training_as_main(read: ReadSuite) -> Iterator[Finding]:
    """Repositories whose default branch has nothing in common with the end of the training beside it."""
    last = last_steps(read.of)
    for (size, seed), main in read.main.items():
        keys = sorted(key for key, of in read.of.items() if (key.size, key.seed) == (size, seed) and of.entries)[-2:]
        if len(keys) < 2 or not main.entries:
            continue
        table = correlations([main.entries, *(read.of[key].entries for key in keys)])
        if abs(table[0, 1:]).max() < _UNRELATED and table[1, 2] > _RELATED:
            yield Finding(
                "main is of another training",
                (keys[-1],),
                f"{words.model(size, [seed], last)}: the weights of main have nothing in common with those of "
                f"{words.steps([key.step for key in keys])}: main is of another training.",
                f"correlation {table[0, 2]:.3f} of main and step {keys[1].step}, {table[1, 2]:.3f} of the two steps",
                "likely",
            )


def wrong_shapes(suite: ListedSuite, read: ReadSuite) -> Iterator[Finding]:
    """Checkpoints whose `config.json` names more or fewer rows of vocabulary than their embedding has."""
    last = last_steps(read.of)
    wrong: dict[tuple[str, int, int, int], list[ShardKey]] = {}
    for key, of in sorted(read.of.items()):
        told = read.told.get(suite.of[key].hash_of("config.json") or "", {}).get("vocab_size")
        rows = {shape[0] for name, shape in of.shapes.items() if EMBEDDING.search(name) and len(shape) == 2}
        if isinstance(told, int) and len(rows) == 1 and told not in rows:
            wrong.setdefault((key.size, key.seed, told, rows.pop()), []).append(key)
    for (size, seed, told, found), keys in wrong.items():
        yield Finding(
            "wrong shapes",
            tuple(keys),
            f"{words.model(size, [seed], last)}: at {words.steps([key.step for key in keys])} config.json says "
            f"{told} words, and the embedding has {found} rows: one of the two is of another model.",
            f"vocab_size {told}, embedding {found}",
            "certain",
            tuple(keys),
        )


def other_steps(suite: ListedSuite, read: ReadSuite) -> Iterator[Finding]:
    """Checkpoints beside whose weights a trainer wrote another step than their names tell."""
    last = last_steps(read.of)
    for key, of in sorted(read.of.items()):
        one = suite.checkpoints[key]
        name = one.folder or one.revision or one.location.rpartition("/")[2]
        for file, step in of.told.items():
            if step != key.step and step not in map(int, re.findall(r"\d+", name)):
                yield Finding(
                    "another step told",
                    (key,),
                    f"{words.checkpoints([key], last)}: the {file} beside the weights is of step {step}.",
                    f"global step {step}, called {name}",
                    "likely",
                    (key,),
                )


def unread(read: ReadSuite) -> Iterator[Finding]:
    """Checkpoints of which nothing could be read, each with the reason."""
    for key, of in sorted(read.of.items()):
        if of.why:
            yield Finding("not read", (key,), f"{of.why} What it holds is not known.", "", "note")
