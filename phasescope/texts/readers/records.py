"""One document out of a record: a text, or words, tokens or token ids that somebody else made, with their tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from phasescope.errors import PhasescopeError, did_you_mean
from phasescope.texts.document import Document, ReadyTokens, Word, whole_characters

_UNITS = ("words", "tokens", "ids")
# What stands for no tag: CoNLL-U's, and that of the published tagged tokens of arXiv 2509.26643.
_NO_TAG = (None, "", "_", "UNK")
_FORMS = 'Each line has a "text", or "words", "tokens" or "ids", with as many "tags" if there are any.'


def read_record(record: Mapping[str, Any], field: str | None, place: str) -> Document | None:
    """The document of one JSON object, None where it is blank.

    Args:
        record: with `text`, which is read unless gold words or tags come with it; `words` (strings, found in the text
            in their order, or else put together with blanks); `tokens` (entries of the tokenizer's vocabulary, or as
            they are decoded) or `ids` (their numbers), which are read as they are. `tags`: one for each.
        field: the one thing that is read: a text, ids or tokens. None: see above.
        place: where it stands, for messages.

    Raises:
        PhasescopeError: it has none of them, or they do not fit together.
    """
    if field is not None:
        if field not in record:
            raise PhasescopeError(
                f"{place} has no field {field!r}. {did_you_mean(field, record)} Name the field after the file: "
                "FILE.jsonl:FIELD."
            )
        return _stripped(of_value(record[field], place, f"the field {field!r}"))
    lists = [unit for unit in _UNITS if isinstance(record.get(unit), list)]
    tags = record.get("tags") if isinstance(record.get("tags"), list) else None
    if lists and ("text" not in record or (tags is not None and len(tags) == len(record[lists[0]]))):
        return _of_units(lists[0], record, tags, place)
    if "text" not in record:
        raise PhasescopeError(
            f"{place} has no field 'text'. {did_you_mean('text', record)} {_FORMS} Name another field after the file: "
            "FILE.jsonl:FIELD."
        )
    return _stripped(of_value(record["text"], place, "the field 'text'"))


def _stripped(document: Document | None) -> Document | None:
    return None if document is None else replace(document, text=document.text.strip())


def of_value(value: Any, place: str, what: str) -> Document | None:
    """The document of a text, of token ids or of tokens; None of one that is blank."""
    if isinstance(value, str):
        return Document(whole_characters(value)) if value.strip() else None
    if isinstance(value, list) and value and {type(part) for part in value} in ({int}, {str}):
        return Document("", ready=ReadyTokens(tuple(value), None, place))
    raise PhasescopeError(f"{place}: {what} holds a {type(value).__name__}, not a text nor a list of tokens.")


def read_tagged_tokens(values: Any, place: str) -> Document:
    """The document of a list of `[token, tag]`, as the published tagged tokens of arXiv 2509.26643 are.

    Raises:
        PhasescopeError: it is no such list.
    """
    pairs = values if isinstance(values, list) else []
    if not pairs or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        raise PhasescopeError(f"{place} is no list of [token, tag]. Other tokens come in as .jsonl: {_FORMS}")
    record = {"tokens": [token for token, _ in pairs]}
    found = _of_units("tokens", record, [tag for _, tag in pairs], place)
    assert found is not None  # there are pairs
    return found


def read_ids(path: Path) -> list[Document]:
    """The documents of a .npy of token ids: each row of `[sequences, tokens]`, or the whole of `[tokens]`.

    Raises:
        PhasescopeError: it is no array, or not of whole numbers.
    """
    try:
        ids = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise PhasescopeError(f"{path} cannot be read as an array of token ids: {error}.") from error
    if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu" or ids.ndim not in (1, 2):
        raise PhasescopeError(f"{path} holds no token ids: they are whole numbers, [tokens] or [sequences, tokens].")
    rows = np.atleast_2d(ids)
    return [
        Document("", ready=ReadyTokens(tuple(row.tolist()), None, f"{path} row {number}"))
        for number, row in enumerate(rows, start=1)
    ]


def _of_units(unit: str, record: Mapping[str, Any], tags: Sequence[Any] | None, place: str) -> Document | None:
    values = record[unit]
    kind: type = int if unit == "ids" else str
    for value in values:
        if not isinstance(value, kind) or isinstance(value, bool):
            name = "whole numbers" if unit == "ids" else "strings"
            raise PhasescopeError(f"{place}: the field {unit!r} holds {value!r}, and its values are {name}.")
    if tags is not None and len(tags) != len(values):
        raise PhasescopeError(f"{place} has {len(tags)} tags for {len(values)} {unit}: give one for each.")
    said = None if tags is None else tuple(None if tag in _NO_TAG else str(tag) for tag in tags)
    if not values:
        return None
    if unit == "words":
        return _of_words([whole_characters(word) for word in values], said, record.get("text"), place)
    return Document("", ready=ReadyTokens(tuple(values), said, place))


def _of_words(words: Sequence[str], tags: Sequence[str | None] | None, text: Any, place: str) -> Document | None:
    whole = whole_characters(text) if isinstance(text, str) else " ".join(words)
    found: list[Word] = []
    end = 0
    for word, tag in zip(words, tags or [None] * len(words), strict=True):
        start = whole.find(word, end)
        if start < 0:
            raise PhasescopeError(
                f"{place}: the word {word!r} is not in the text after the words before it: give the words as they are "
                "written there, or leave the text out."
            )
        end = start + len(word)
        if word.strip():
            found.append(Word(start, end, tag))
    return Document(whole, tuple(found)) if found else None
