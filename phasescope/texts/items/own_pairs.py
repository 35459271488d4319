"""A small set of minimal pairs of our own, in the prose of documentation: a default that needs no file.

It is not BLiMP and compares with no published number. Four paradigms of 64 pairs, on what even a small model trained on
such prose can learn early; every sentence is made here from short lists of words.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

_NOUNS = ("value", "method", "argument", "function", "object", "element", "file", "module")
_OPENINGS = ("The function returns", "The method returns", "You can use", "The class provides")
_DETERMINERS = (("this", "these"), ("that", "those"))
_SUBJECTS = (*_NOUNS, "option", "parameter", "line", "name")
_ENDINGS = ("used by default", "set to zero", "given first")
_RELATIONS = ("name", "type", "size", "end")
_ARTICLE_NOUNS = (
    ("a", "string"), ("a", "list"), ("a", "file"), ("a", "function"), ("a", "value"), ("a", "name"), ("a", "class"),
    ("a", "number"), ("an", "object"), ("an", "error"), ("an", "integer"), ("an", "array"), ("an", "element"),
    ("an", "exception"), ("an", "index"), ("an", "argument"),
)  # fmt: skip


def own_pairs() -> Iterator[dict[str, Any]]:
    """The pairs, with the fields of BLiMP's lines that are read."""
    yield from _determiner_and_noun()
    yield from _subject_and_verb()
    yield from _word_order()
    yield from _indefinite_article()


def _determiner_and_noun() -> Iterator[dict[str, Any]]:
    """this value, not this values; these values, not these value."""
    for opening, (one, several), noun in product(_OPENINGS, _DETERMINERS, _NOUNS[:4]):
        for determiner, good, bad in ((one, noun, f"{noun}s"), (several, f"{noun}s", noun)):
            yield _one_prefix("own_determiner_noun", f"{opening} {determiner}", good, bad, ".")


def _subject_and_verb() -> Iterator[dict[str, Any]]:
    """The value is …, not the value are …; the values are …, not the values is …"""
    endings = [ending for ending in _ENDINGS for _ in _SUBJECTS]
    for noun, ending in list(zip(_SUBJECTS * len(_ENDINGS), endings, strict=True))[:32]:
        for subject, good, bad in ((noun, "is", "are"), (f"{noun}s", "are", "is")):
            yield _one_prefix("own_subject_verb", f"The {subject}", good, bad, f" {ending}.")


def _word_order() -> Iterator[dict[str, Any]]:
    """The name of the file …, not the name the of file …"""
    for relation, noun, ending in product(_RELATIONS, _NOUNS, _ENDINGS[:2]):
        sentences = [f"The {relation} {order} {noun} is {ending}." for order in ("of the", "the of")]
        yield _fields("own_word_order", *sentences) | {
            "one_prefix_method": True,
            "one_prefix_prefix": f"The {relation}",
            "one_prefix_word_good": "of",
            "one_prefix_word_bad": "the",
        }


def _indefinite_article() -> Iterator[dict[str, Any]]:
    """returns an object, not returns a object."""
    for opening, (article, noun) in product(_OPENINGS, _ARTICLE_NOUNS):
        wrong = "an" if article == "a" else "a"
        sentences = [f"{opening} {word} {noun}." for word in (article, wrong)]
        yield _fields("own_indefinite_article", *sentences) | {
            "two_prefix_method": True,
            "two_prefix_prefix_good": f"{opening} {article}",
            "two_prefix_prefix_bad": f"{opening} {wrong}",
            "two_prefix_word": noun,
        }


def _one_prefix(paradigm: str, prefix: str, good: str, bad: str, rest: str) -> dict[str, Any]:
    return _fields(paradigm, f"{prefix} {good}{rest}", f"{prefix} {bad}{rest}") | {
        "one_prefix_method": True,
        "one_prefix_prefix": prefix,
        "one_prefix_word_good": good,
        "one_prefix_word_bad": bad,
    }


def _fields(paradigm: str, good: str, bad: str) -> dict[str, Any]:
    return {"UID": paradigm, "sentence_good": good, "sentence_bad": bad}
