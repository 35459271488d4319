"""The rule about configurations: `config.json` or the tokenizer's files are not those of the other checkpoints.

Listings tell only that a file differs. Most differences are the version of a library; one in the vocabulary is not (52
revisions of trillionlabs/0.5B-Intermediate-Checkpoints name another than their weights have: disc. 1 there). Where
`config.json` was read, only values count that change what is computed.
"""

from __future__ import annotations

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
# What says nothing of what is computed from tokens: who wrote the file, types of numbers, dropout, tasks.
_NO_MATTER = {
    "_name_or_path", "_commit_hash", "_attn_implementation", "architectures", "attention_dropout", "attn_pdrop",
    "auto_map", "attention_probs_dropout_prob", "bos_token_id", "classifier_dropout", "dtype", "embd_pdrop",
    "eos_token_id",
    "gradient_checkpointing", "hidden_dropout", "hidden_dropout_prob", "id2label", "initializer_range", "label2id",
    "output_attentions", "output_hidden_states", "pad_token_id", "pretraining_tp", "resid_pdrop", "return_dict",
    "task_specific_params", "torch_dtype", "transformers_version", "use_cache",
}  # fmt: skip


def other_configurations(suite: ListedSuite, names: tuple[str, ...] = _FILES) -> Iterator[Finding]:
    """Of each size and seed and file, the checkpoints that have another than most."""
    last = last_steps(suite.of)
    for size, seed in last:
        for name in names:
            hashes = _hashes(suite, (size, seed), name)
            if len(versions := Counter(hashes.values())) > 1:
                usual = versions.most_common(1)[0][0]
                others = [key for key, of in hashes.items() if of != usual]
                yield _finding(words.model(size, [seed], last), name, others, len(versions))


def other_values(suite: ListedSuite, configs: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """The same where the versions of `config.json` were read, by hash: which values differ. Tokenizers by their files.

    A value that changes once, from a step to the end, may be a later stage's, as a longer context.
    """
    yield from other_configurations(suite, _FILES[1:])
    last = last_steps(suite.of)
    for model in last:
        hashes = _hashes(suite, model, _CONFIG)
        told = {key: configs[of] for key, of in hashes.items() if of in configs}
        for value in sorted({name for of in told.values() for name in of} - _NO_MATTER):
            shown = {key: json.dumps(of.get(value), sort_keys=True) for key, of in told.items()}
            if len(versions := Counter(shown.values())) > 1:
                usual = versions.most_common(1)[0][0]
                others = tuple(key for key, of in shown.items() if of != usual)
                steps = words.steps([key.step for key in others])
                yield Finding(
                    RULE,
                    others,
                    f"{words.model(model[0], [model[1]], last)}: config.json of {steps} says {value} "
                    f"{shown[others[0]]}, that of the others {usual}: another computation, as in a later stage of "
                    "training, or a mistake.",
                    f"{len(others)} of {len(told)} checkpoints",
                    "note",
                )


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
