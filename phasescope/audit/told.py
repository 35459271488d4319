"""What the files beside the weights tell of a computation: values of configurations and tokenizers, and steps.

Of a tokenizer that is a digest of its vocabulary and of its merges, and what it does to a text; what newer libraries
write in another form is brought into one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phasescope.audit.kept_weights import keep_config, kept_config
from phasescope.audit.listed import Listed, ListedSuite
from phasescope.audit.repeated import last_steps
from phasescope.errors import BadCheckpointError
from phasescope.store import ShardKey
from phasescope.suites import Checkpoint
from phasescope.suites.byte_ranges import parts_of

CONFIG = "config.json"
TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt")
# A configuration beyond that is none; tokenizers are larger.
_LONGEST = {CONFIG: 1 << 20, "tokenizer.json": 1 << 26, "vocab.json": 1 << 25, "merges.txt": 1 << 25}
# Of each model and file at most so many versions are read; what is left is told as another file.
_MOST = 8
# What a trainer says of the step stands at the beginning of its file.
_TOLD_WITHIN = 1 << 14
_STEPS = {"trainer_state.json": rb'"global_step":\s*(\d+)', "latest": rb"^\D*(\d+)\s*$"}
_OF_CONFIG = ("add_bos_token", "add_eos_token", "add_prefix_space", "do_lower_case", "bos_token")


def told_steps(checkpoint: Checkpoint, listed: Listed) -> dict[str, int]:
    """The steps that the Trainer of transformers, or DeepSpeed, wrote beside the weights, by the names of files."""
    found = {}
    for name, pattern in _STEPS.items():
        if (file := listed.files.get(name)) is not None:
            begin = parts_of(checkpoint, listed.commit, file.path, file.size).read(0, _TOLD_WITHIN)
            if said := re.search(pattern, begin):
                found[name] = int(said[1])
    return found


def told_values(suite: ListedSuite, keys: Sequence[ShardKey]) -> dict[str, Mapping[str, Any]]:
    """What each version of the configuration, and of a tokenizer that has several, says: by the hash of the file.

    What is kept is not asked for again.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for name, digest, key in _versions(suite, keys):
        if digest not in found and (told := _told(suite, key, name, digest)) is not None:
            found[digest] = told
    return found


def _versions(suite: ListedSuite, keys: Sequence[ShardKey]) -> Iterator[tuple[str, str, ShardKey]]:
    for model in last_steps(keys):
        of_model = sorted(key for key in keys if (key.size, key.seed) == model)
        for name in (CONFIG, *TOKENIZERS):
            first: dict[str, ShardKey] = {}
            for key in of_model:
                if digest := suite.of[key].hash_of(name):
                    first.setdefault(digest, key)
            times = Counter(suite.of[key].hash_of(name) for key in of_model)
            if name == CONFIG or len(first) > 1:
                yield from ((name, of, first[of]) for of, _ in times.most_common(_MOST + 1) if of in first)


def _told(suite: ListedSuite, key: ShardKey, name: str, digest: str) -> Mapping[str, Any] | None:
    checkpoint, listed = suite.checkpoints[key], suite.of[key]
    file, local = listed.files[name], suite.checkpoints[key].is_local
    if file.size > _LONGEST.get(name, _LONGEST[CONFIG]):
        return None
    if not local and (kept := kept_config(digest)) is not None:
        return kept
    try:
        text = parts_of(checkpoint, listed.commit, file.path, file.size).read(0, file.size).decode()
        told = _merges(text) if name == "merges.txt" else _of(name, json.loads(text))
    except (BadCheckpointError, ValueError, KeyError, TypeError, AttributeError):
        return None  # who loads it tells what is wrong with it
    if not local:
        keep_config(digest, told)
    return told


def _of(name: str, told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        raise ValueError("no object")
    if name == "vocab.json":
        return {"vocabulary": _vocabulary(told)}
    if name == "tokenizer_config.json":
        return {value: _content(told[value]) for value in _OF_CONFIG if told.get(value) is not None}
    return _tokenizer(told) if name == "tokenizer.json" else told


def _tokenizer(told: Mapping[str, Any]) -> dict[str, Any]:
    """Its decoder makes text of tokens, which nothing here does; padding and truncation are for batches."""
    model = told["model"]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model.get("merges") or []]
    added = [(one["id"], one["content"]) for one in told.get("added_tokens") or []]
    found = {
        "vocabulary": _vocabulary(model["vocab"]),
        "merges": _digest(merges, "merges"),
        "added tokens": _digest(sorted(added), "tokens"),
    }
    return found | {part: told[part] for part in ("normalizer", "pre_tokenizer", "post_processor") if part in told}


def _vocabulary(vocab: Any) -> str:
    entries = sorted(vocab.items()) if isinstance(vocab, dict) else list(vocab)
    return _digest(entries, "entries")


def _merges(text: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#version")]
    return {"merges": _digest(lines, "merges")}


def _digest(what: Sequence[Any], of: str) -> str:
    return f"{len(what)} {of} ({hashlib.blake2b(json.dumps(what).encode(), digest_size=4).hexdigest()})"


def _content(token: Any) -> Any:
    return token.get("content") if isinstance(token, dict) else token
