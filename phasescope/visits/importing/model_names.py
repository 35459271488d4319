"""Which model a name means, beyond its size, seed and step: `pythia-1.4b-deduped` is not `pythia-1.4b`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from phasescope.suites.presets import PRESETS

# What names of files and folders say about measuring, not about the model.
_ABOUT_MEASURING = {
    "results", "result", "eval", "evals", "evaluation", "evaluations", "harness", "lm", "lmeval", "scores", "samples",
    "shot", "shots", "zero", "few", "five", "zeroshot", "fewshot", "hf", "main", "model", "models", "checkpoint",
    "checkpoints", "ckpt", "ckpts", "suite", "run",
}  # fmt: skip
_SHOTS = re.compile(r"(?:zero|few|five|\d+)[-_ ]?shots?", re.IGNORECASE)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T_ -]\d\d[-:]?\d\d[-:]?\d\d(?:\.\d+)?)?|\d\d-\d\d-\d{4}(?:-\d\d){0,3}")
_SUFFIX = re.compile(r"\.(?:jsonl?|csv|tsv|parquet|pth)$", re.IGNORECASE)
# So EleutherAI's own results call what is on the hub without it: evals/pythia-v1/pythia-160m in EleutherAI/pythia.
_SAME = {("pythia", "v1.1"): ("pythia",)}

# Arguments of lm_eval with which another model is measured than the one that is named.
_CHANGES = ("peft", "delta", "gguf_file", "autogptq", "gptqmodel", "load_in_4bit", "load_in_8bit", "steer_path")
_NO = ("", "none", "false")


def model_in(name: str, size: str | None, leave_out: Iterable[re.Pattern[str]] = ()) -> str:
    """What the part of a name that tells a size says of the model beside it; "" where nothing does.

    Args:
        name: of a model, a file or a folder; of a path, or `owner/name`, the last part with the size counts.
        size: as the name writes it; None: it tells none, and then no model either.
        leave_out: what tells the seed and the step.

    >>> model_in("EleutherAI/intervention-pythia-v1.1-1.4b-deduped-long", "1.4b")
    'intervention-pythia-deduped-long'
    >>> model_in("1.4b-deduped-5shot_step103000.json", "1.4b", [re.compile(r"step\\d+")])
    'deduped'
    """
    parts = [part for part in re.split(r"[/\\]|__", name) if size is not None and size.lower() in part.lower()]
    if size is None or not parts:
        return ""
    text = _SUFFIX.sub("", parts[-1])
    for pattern in (_DATE, _SHOTS, *leave_out):
        text = pattern.sub(" ", text)
    before, _, after = _cut(text, size)
    words = [*_words(before), *(word for word in _words(after) if not re.fullmatch(r"[\d.]+", word))]
    return "-".join(_known_as(words))


def _cut(text: str, size: str) -> tuple[str, str, str]:
    found = re.search(re.escape(size), text, re.IGNORECASE)
    return (text, "", "") if found is None else (text[: found.start()], found[0], text[found.end() :])


def _words(text: str) -> list[str]:
    words = (word.strip(".") for word in re.split(r"[^a-z0-9.]+", text.lower()))
    return [
        word for word in words if word and word not in _ABOUT_MEASURING and not re.fullmatch(r"tokens[\d.]+b", word)
    ]


def _known_as(words: list[str]) -> list[str]:
    for written, meant in _SAME.items():
        for place in range(len(words) - len(written) + 1):
            if tuple(words[place : place + len(written)]) == written:
                return [*words[:place], *meant, *words[place + len(written) :]]
    return words


def changes_in(arguments: dict[str, Any]) -> str:
    """What lm_eval's model arguments change about the model that they name: `+peft=lora/step2`; "" for nothing."""
    found = {name: str(arguments[name]) for name in _CHANGES if str(arguments.get(name, "")).lower() not in _NO}
    return "".join(f"+{name}={value}" for name, value in found.items())


def alike(told: str, model: str) -> bool:
    """Whether a name that was told may be that of a model: the same words, or all but the family's (`deduped`).

    >>> alike("deduped", "pythia-deduped"), alike("pythia", "pythia-deduped"), alike("", "pythia")
    (True, False, True)
    """
    words, own = told.split("-"), model.split("-")
    return not told or sorted(words) in (sorted(own), sorted(own[1:]))


def models_of_run(source: str, sizes: Iterable[str]) -> set[str] | None:
    """What the models of a run may be called, by the suite that it was captured from; None where that tells nothing.

    A folder tells it where its name has the size in it, `pythia-160m-deduped`.
    """
    if source in PRESETS:
        preset = PRESETS[source]
        return {
            _of_repository(
                preset.repository.format(
                    size=size, seed=seed, step=0, thousands=0, name=preset.names[size][place] if preset.names else ""
                ),
                preset.sizes,
            )
            for size in preset.sizes
            for place, seed in enumerate(preset.seeds)
        }
    if "/" in source and not Path(source).exists() and not Path(source).is_absolute():
        plain = re.sub(r"@.*", "", source)
        return {_of_repository(re.sub(r"\{(?!size)\w*\}", "", plain).replace("{size}", size), [size]) for size in sizes}
    told = {model_in(source, _written(source, size)) for size in sizes if _written(source, size)}
    whole = [size for size in sizes if re.search(r"[a-z]{2,}[-_]\d", size)]  # the folder's name is the size
    return told - {""} or ({""} if whole else None)


def _of_repository(name: str, sizes: Iterable[str]) -> str:
    """Of a repository that tells no size (`allenai/OLMo-2`) its whole name."""
    bare = name.rpartition("/")[2]
    size = next((size for size in sorted(sizes, key=len, reverse=True) if size.lower() in bare.lower()), None)
    text = re.sub(r"(?<![a-z])(?:seed|step)[-_]*\d*k?", " ", bare, flags=re.IGNORECASE)
    return model_in(text, size) if size else "-".join(_known_as(_words(text)))


def _written(name: str, size: str) -> str | None:
    found = re.search(rf"(?<![a-z0-9.]){re.escape(size)}(?![a-z0-9])", name.rpartition("/")[2], re.IGNORECASE)
    return found[0] if found else None
