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
from phasescope.audit.matrices import of_matrices
from phasescope.audit.read_weights import EMBEDDING, ReadSuite
from phasescope.audit.repeated import equal_weights, last_steps
from phasescope.audit.told import TOKENIZERS
from phasescope.audit.weights import correlations, equal_entries, weights_in_order
from phasescope.store import ShardKey

_SEEN = "checkpoints, equal in every entry that was read of every matrix"
# Two variants of one checkpoint may differ by the rounding of half precision, as a part of what entries spread over.
_ROUNDING = 0.02
# How configurations call what shapes tell, and what says that there may be another number: embeddings of a width of
# their own, a layer more that predicts tokens further on (DeepSeek V3, GLM-4.5).
_CALLED = {
    "vocabulary": ("vocab_size",),
    "width": ("hidden_size", "n_embd", "d_model"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
}
_SAID = {
    "vocabulary": "words, and the embedding has {} rows",
    "width": "dimensions, and the embedding has {}",
    "layers": "layers, and the weights have {}",
}
_MAY_DIFFER = {
    "width": {"word_embed_proj_dim", "embedding_size", "hidden_size_per_layer_input", "text_config"},
    "layers": {"num_nextn_predict_layers", "text_config"},
}
_LAYER = re.compile(r"^(?:[a-z_]+\.){0,2}(?:layers|h|blocks|layer|block)\.(\d+)\.")
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
    sound = {key: of for key, of in samples.items() if key not in known}
    yield from weights_in_order(sound)
    yield from of_matrices(sound)
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
    """Checkpoints whose `config.json` names another vocabulary, width or number of layers than their weights have."""
    last = last_steps(read.of)
    wrong: dict[tuple[str, int, str, int, int], list[ShardKey]] = {}
    for key, of in sorted(read.of.items()):
        told = read.told.get(suite.of[key].hash_of("config.json") or "", {})
        for value, found in _shapes(of).items():
            names = [name for name in _CALLED[value] if isinstance(told.get(name), int)]
            if names and told[names[0]] != found and not set(told) & _MAY_DIFFER.get(value, set()):
                wrong.setdefault((key.size, key.seed, value, told[names[0]], found), []).append(key)
    for (size, seed, value, named, found), keys in wrong.items():
        yield Finding(
            "wrong shapes",
            tuple(keys),
            f"{words.model(size, [seed], last)}: at {words.steps([key.step for key in keys])} config.json says {named} "
            f"{_SAID[value].format(found)}: one of the two is of another model.",
            f"{value} {named} and {found}",
            "certain",
            tuple(keys),
        )


def _shapes(of: Weights) -> dict[str, int]:
    """What the shapes of weights tell of a configuration: rows and width of the embedding, the number of layers."""
    shapes = {shape for name, shape in of.shapes.items() if EMBEDDING.search(name) and len(shape) == 2}
    layers = {int(named[1]) for name in of.shapes if (named := _LAYER.search(name))}
    found: dict[str, int] = {}
    if len(shapes) == 1:
        ((found["vocabulary"], found["width"]),) = shapes
    if of.whole and layers == set(range(len(layers))) and layers:
        found["layers"] = len(layers)
    return found


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
