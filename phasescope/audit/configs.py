"""The rule about configurations: `config.json` or the tokenizer's files are not those of the other checkpoints.

Listings tell only that a file differs. Most differences are the version of a library; one in the vocabulary is not (52
revisions of trillionlabs/0.5B-Intermediate-Checkpoints name another than their weights have: disc. 1 there). Where
files were read, only values count that change what is computed.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.audit.listed import ListedSuite
from phasescope.audit.repeated import last_steps
from phasescope.store import ShardKey

RULE = "another configuration"
_CONFIG = "config.json"
_FILES = (_CONFIG, "tokenizer.json", "vocab.json", "merges.txt")
_SHOWN = 60
# What says nothing of what is computed from tokens: who wrote the file, types of numbers, dropout, tasks.
_NO_MATTER = {
    "_name_or_path", "_commit_hash", "_attn_implementation", "architectures", "attention_dropout", "attn_pdrop",
    "auto_map", "attention_probs_dropout_prob", "bos_token_id", "classifier_dropout", "dtype", "embd_pdrop",
    "eos_token_id",
    "gradient_checkpointing", "hidden_dropout", "hidden_dropout_prob", "id2label", "initializer_range", "label2id",
    "output_attentions", "output_hidden_states", "pad_token_id", "pretraining_tp", "resid_pdrop", "return_dict",
    "task_specific_params", "torch_dtype", "transformers_version", "use_cache",
}  # fmt: skip


def other_configurations(suite: ListedSuite) -> Iterator[Finding]:
    """Of each size and seed and file, the checkpoints that have another than most."""
    last = last_steps(suite.of)
    for size, seed in last:
        for name in _FILES:
            hashes = _hashes(suite, (size, seed), name)
            if len(versions := Counter(hashes.values())) > 1:
                usual = versions.most_common(1)[0][0]
                others = [key for key, of in hashes.items() if of != usual]
                yield _finding(words.model(size, [seed], last), name, others, len(versions))


def other_bases(suite: ListedSuite) -> Iterator[Finding]:
    """Adapters that name another model to adapt than most of their training do."""
    last = last_steps(suite.of)
    for size, seed in last:
        bases = {key: one.base for key, one in sorted(suite.of.items()) if (key.size, key.seed) == (size, seed)}
        bases = {key: base for key, base in bases.items() if base}
        if len(named := Counter(bases.values())) < 2:
            continue
        usual = named.most_common(1)[0][0]
        others = tuple(key for key, base in bases.items() if base != usual)
        yield Finding(
            "another base",
            others,
            f"{words.model(size, [seed], last)}: the adapters of {words.steps([key.step for key in others])} adapt "
            f"another model ({words.listed(sorted({bases[key] for key in others})[:3])}) than the others ({usual}).",
            f"{len(others)} of {len(bases)} adapters, by base_model_name_or_path",
            "likely",
            others,
        )


def other_values(
    suite: ListedSuite, told: Mapping[str, Mapping[str, Any]], tokenizers: tuple[str, ...] = ()
) -> Iterator[Finding]:
    """The same where the versions of the files were read, by hash: which values differ from those that most have.

    A value that changes once, from a step to the end, may be a later stage's, as a longer context. One that a version
    does not tell is what its architecture has by default; of tokenizers nothing is supposed.
    """
    last = last_steps(suite.of)
    for model in last:
        for name in (_CONFIG, *tokenizers):
            hashes = _hashes(suite, model, name)
            of = words.model(model[0], [model[1]], last)
            usual = Counter(hashes.values()).most_common(1)[0][0] if hashes else ""
            left = [key for key, digest in hashes.items() if digest not in told and digest != usual]
            if left and name in _FILES:
                yield _finding(of, name, left, len(set(hashes.values())))
            versions = {digest: told[digest] for digest in hashes.values() if digest in told}
            values = sorted({value for version in versions.values() for value in version} - _NO_MATTER)
            for value in values if len(versions) > 1 else ():
                yield from _of_value(of, name, value, {key: versions.get(at) for key, at in hashes.items()})


def _of_value(
    of: str, name: str, value: str, versions: Mapping[ShardKey, Mapping[str, Any] | None]
) -> Iterator[Finding]:
    told = {key: of_it for key, of_it in versions.items() if of_it is not None}
    if name != _CONFIG:
        told = {key: of_it for key, of_it in told.items() if value in of_it}
    said = {key: of_it[value] if value in of_it else _default(_json(of_it), value) for key, of_it in told.items()}
    shown = {key: _json(what) for key, what in said.items()}
    if len(different := Counter(shown.values())) < 2:
        return
    usual = different.most_common(1)[0][0]
    others = tuple(key for key, what in shown.items() if _differ(json.loads(what), json.loads(usual)))
    if others:
        yield Finding(
            RULE,
            others,
            f"{of}: {name} of {words.steps([key.step for key in others])} says {value} {_short(shown[others[0]])}, "
            f"that of the others {_short(usual)}: another computation, as in a later stage of training, or a mistake.",
            f"{len(others)} of {len(shown)} checkpoints",
            "note",
        )


@functools.lru_cache(maxsize=64)
def _default(told: str, value: str) -> Any:
    """What an architecture computes with where its configuration does not say a value."""
    from transformers import AutoConfig

    try:
        whole = AutoConfig.for_model(**json.loads(told)).to_dict()
    except Exception:  # an architecture that is not known, or code of its own: nothing is supposed
        return None
    return whole.get(value, (whole.get("rope_parameters") or {}).get(value))


def _differ(one: Any, other: Any) -> bool:
    """Whether two values do, in what both of them say."""
    if isinstance(one, dict) and isinstance(other, dict):
        return any(_differ(one[name], other[name]) for name in one.keys() & other.keys())
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return any(map(_differ, one, other))
    return bool(one != other)


def _json(what: Any) -> str:
    return json.dumps(what, sort_keys=True)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _hashes(suite: ListedSuite, model: tuple[str, int], name: str) -> dict[ShardKey, str]:
    return {
        key: digest
        for key, listed in sorted(suite.of.items())
        if (key.size, key.seed) == model and listed.loaded and (digest := listed.hash_of(name))
    }


def _finding(of: str, name: str, keys: list[ShardKey], versions: int) -> Finding:
    verb = words.verb(len(keys), "has", "have")
    return Finding(
        RULE,
        tuple(keys),
        f"{of}: {words.steps([key.step for key in keys])} {verb} another {name} than the "
        "other checkpoints: often no more than the version of a library.",
        f"{versions} versions of {name}, by git's blob id",
        "note",
    )
