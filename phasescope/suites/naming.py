"""How names tell checkpoints: patterns with groups, and a pattern that fits names which no pattern fitted.

A name tells where in training a checkpoint is, in one of these groups, which says in what unit it is counted:

| group | counts | example |
| --- | --- | --- |
| `step` | steps | `step1000` |
| `thousands` | thousands of steps | `step-50K` |
| `words` | words read | `chck_10M` |
| `chunk` | chunks of the data | `ckpt_356` |
| `tokens`, alone | tokens read | `train_00220B` |

and it may tell `tokens` beside steps (`424B`, `15T`, `10M`), a `stage` of training, and the model: `size`, `seed` (a
number or a word), `recipe` (its data, say).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from phasescope.errors import BadArgumentError, PhasescopeError

EXAMPLE = r"step(?P<step>\d+)$"
"""What messages show as a pattern."""
NAMES = (
    r"(?i)^(?:(?:(?P<stage>(?:stage|phase)\d+)(?:-ingredient(?P<seed>\d+))?[-_])?"
    r"(?:global[-_]?)?(?:step|checkpoint|ckpt|iter)[-_]?(?P<step>\d+)(?:-(?:tokens)?(?P<tokens>\d+[KMBT])T?)?"
    r"|chck[-_](?P<words>\d+[KMB]))$"
)
"""Where no pattern is given, what is found: `step1000`, `stage1-step1000-tokens4B`, `checkpoint-10`, `chck_1M`, …"""
TITLES = r"(?i)\bstep[-_ ]*(?P<step>\d+)\b"
"""What titles of commits tell where no pattern is given: `Training in progress, step 500`."""
COUNTING = {"step": "steps", "thousands": "steps", "words": "words", "chunk": "chunks", "tokens": "tokens"}
"""The groups that say where in training a checkpoint is, the first that a name tells; and in what unit."""
_MAGNITUDES = {"K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_WORD = r"(?i:(?:global[-_]?)?(?:step|checkpoint|ckpt|chck|iter)[-_]?)"
_SHOWN = 8


@dataclass(frozen=True)
class Told:
    """What a name tells of a checkpoint; empty, or None, what it does not."""

    step: int
    """The number that it counts, in `unit`."""
    unit: str = "steps"
    tokens: int | None = None
    stage: str = ""
    seed: str = ""
    size: str = ""
    recipe: str = ""


def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern with a group that counts. Raises `PhasescopeError` for one that is none, or has none."""
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise BadArgumentError(f"{pattern!r} is not a regular expression: {error}.") from error
    if not COUNTING.keys() & expression.groupindex.keys():
        raise BadArgumentError(
            f"The pattern {pattern!r} does not say where the step is: put it in a group, as in {EXAMPLE!r}."
        )
    return expression


def told_by(groups: Mapping[str, str | None], name: str) -> Told:
    """What the groups of a pattern found; name: as messages call the whole.

    >>> told_by({"step": "1000", "tokens": "4B", "stage": "stage1"}, "a name")
    Told(step=1000, unit='steps', tokens=4000000000, stage='stage1', seed='', size='', recipe='')

    Raises `PhasescopeError` where what should be a number is none.
    """
    found = {key: value for key, value in groups.items() if value}
    counting = next((group for group in COUNTING if group in found), "step")
    step = number(found.get(counting, ""), counting, name) * (1000 if counting == "thousands" else 1)
    return Told(
        step,
        COUNTING[counting],
        number(found["tokens"], "tokens", name) if "tokens" in found else None,
        *(found.get(group, "") for group in ("stage", "seed", "size", "recipe")),
    )


def number(text: str, what: str, name: str) -> int:
    """The number that a group found: `0005000`, `424B`, `1.5T`. Raises `PhasescopeError` where it is none.

    name: as messages call the whole.
    """
    if found := re.fullmatch(r"(\d+(?:\.\d+)?)([KMBT]?)", text, re.IGNORECASE):
        value = float(found[1]) * _MAGNITUDES[found[2].upper()] if found[2] else float(found[1])
        if "." not in found[1]:
            return int(found[1]) * _MAGNITUDES.get(found[2].upper(), 1)
        if value.is_integer():
            return int(value)
    raise PhasescopeError(f"The {what} of {name} is {text!r}, not a number: write (?P<{what}>\\d+) in the pattern.")


def looks_like_a_step(name: str) -> bool:
    """Whether the last part of a name has a number with a word for steps, of three digits or more, or alone.

    >>> [looks_like_a_step(name) for name in ("longctx-step50", "train_00220B", "v1.1", "fp16", "run2-0100")]
    [True, True, False, False, True]
    """
    return bool(re.search(rf"{_WORD}\d|\d{{3}}|(?<![\w.])\d+[KMBT]?$", name.rpartition("/")[2]))


def pattern_for(names: Sequence[str]) -> str:
    r"""A pattern that finds the step in names like these: the number after a word for it, or the first that varies.

    What stands before the word, where that differs, is a stage.

    >>> pattern_for(["stage1-step1000-tokens4B", "stage1-step2000-tokens8B"])
    'step(?P<step>\\d+)'
    >>> pattern_for(["step50000-tokens210B", "longctx-step50"])
    '^(?:(?P<stage>longctx)[-_])?step(?P<step>\\d+)(?:-tokens(?P<tokens>\\d+[KMBT]))?$'
    >>> pattern_for(["ckpt_000", "ckpt_356"])
    'ckpt_(?P<step>\\d+)'
    >>> pattern_for(["run2-0100", "run2-0200"])
    '(?<!\\d)\\d+\\D+(?P<step>\\d+)'
    """
    parts = [re.search(rf"^(?:(.*[^-_])[-_])??({_WORD})0*\d+(?:-tokens(\d+[KMBT])$)?", name) for name in names]
    words = sorted({part[2] for part in parts if part})
    if words:
        word = words[0] if len(words) == 1 else f"(?:{'|'.join(words)})"
        before = sorted({part[1] or "" for part in parts if part})
        if len(before) == 1 or any("/" in name for name in names):
            return rf"{word}(?P<step>\d+)"
        stages = "|".join(re.escape(stage).replace(r"\-", "-") for stage in before if stage)
        optional = "?" if "" in before else ""
        tokens = r"(?:-tokens(?P<tokens>\d+[KMBT]))?" if any(part and part[3] for part in parts) else ""
        whole = all(part and part.end() == len(name) for part, name in zip(parts, names, strict=True))
        return rf"^(?:(?P<stage>{stages})[-_]){optional}{word}(?P<step>\d+){tokens}{'$' if whole else ''}"
    numbers = [re.findall(r"\d+", name) for name in names]
    varying = next((place for place, of in enumerate(zip(*numbers, strict=False)) if len(set(of)) > 1), 0)
    return r"(?<!\d)" + r"\d+\D+" * varying + r"(?P<step>\d+)"


def shown(names: Sequence[str]) -> str:
    """Some names, for a sentence."""
    return ", ".join(names[:_SHOWN]) + (f", … ({len(names)} in all)" if len(names) > _SHOWN else "")
