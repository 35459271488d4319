"""Universal parts of speech: gold where the text has them, else from a tagger that needs no download."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError, require_library

if TYPE_CHECKING:
    from phasescope.texts.inputs import Inputs
    from phasescope.texts.words import WordsRead

HANTA = "hanta"
# HanTa's English model speaks the tags of the British National Corpus (C5). Forms of be, have and do are auxiliaries:
# the tag does not say when they are not.
_UNIVERSAL = {
    "AJ0": "ADJ", "AJC": "ADJ", "AJS": "ADJ", "ORD": "ADJ",
    "AV0": "ADV", "AVQ": "ADV", "AVP": "ADP", "PRF": "ADP", "PRP": "ADP",
    "AT0": "DET", "DT0": "DET", "DTQ": "PRON", "DPS": "PRON", "EX0": "PRON",
    "PNI": "PRON", "PNP": "PRON", "PNQ": "PRON", "PNX": "PRON",
    "CJC": "CCONJ", "CJS": "SCONJ", "CJT": "SCONJ", "CRD": "NUM", "ITJ": "INTJ",
    "NN0": "NOUN", "NN1": "NOUN", "NN2": "NOUN", "NP0": "PROPN",
    "POS": "PART", "TO0": "PART", "XX0": "PART",
    "PUL": "PUNCT", "PUN": "PUNCT", "PUQ": "PUNCT", "PUR": "PUNCT",
}  # fmt: skip
_VERBS = {"VB": "AUX", "VD": "AUX", "VH": "AUX", "VM": "AUX", "VV": "VERB"}
# As Universal Dependencies divide them: closed classes, open classes; PUNCT, SYM and X are neither.
FUNCTION = frozenset({"ADP", "AUX", "CCONJ", "DET", "NUM", "PART", "PRON", "SCONJ"})
CONTENT = frozenset({"ADJ", "ADV", "INTJ", "NOUN", "PROPN", "VERB"})
_LATIN = re.compile(r"[A-Za-z]")
_CONTRACTED = re.compile(r"(?P<first>.+?)(?P<rest>n['’]t|['’](?:s|re|ve|ll|d|m))$", re.IGNORECASE)


def tags_read(inputs: Inputs, read: WordsRead, tagger: str | None = None) -> list[str]:
    """A universal part of speech for every word read; "" for one whose gold tag is not given.

    Args:
        read: `words_read(inputs)`.
        tagger: None takes the gold tags of the text where it has any, else HanTa's English model, which comes with the
            package. `hanta`, or the name of a spaCy pipeline that is installed (`en_core_web_sm`), is used always.

    A contraction has the tag of its first part (don't: AUX), as in texts with gold tags. HanTa knows English: a word
    without a Latin letter or a digit gets X from it.

    Raises:
        PhasescopeError: spaCy or that pipeline is not installed, or gives tags for other words.
    """
    if tagger is None and inputs.tags is not None:
        return [inputs.tags[i] for i in read.index]
    found: list[str] = []
    for words in _by_window(read):
        tags = _hanta_tags(words) if tagger in (None, HANTA) else _spacy_tags(words, str(tagger))
        if len(tags) != len(words):
            raise PhasescopeError(
                f"The tagger {tagger or HANTA} gave {len(tags)} tags for {len(words)} words: they do not match the "
                "text. Choose another tagger."
            )
        found += tags
    return found


def previous_tags(read: WordsRead, tags: Sequence[str]) -> list[str]:
    """For every word read the tag of the word before it in its window; "" for the first."""
    return [tags[i - 1] if place else "" for i, place in enumerate(read.place)]


def word_class(tag: str) -> str:
    """`function`, `content`, or "" for what is neither.

    >>> word_class("DET"), word_class("NOUN"), word_class("X")
    ('function', 'content', '')
    """
    return "function" if tag in FUNCTION else "content" if tag in CONTENT else ""


def _by_window(read: WordsRead) -> Iterator[list[str]]:
    starts = [i for i, place in enumerate(read.place) if place == 0]
    for first, last in zip(starts, [*starts[1:], len(read)], strict=True):
        yield read.words[first:last]


def _hanta_tags(words: Sequence[str]) -> list[str]:
    parts: list[str] = []
    heads: list[int] = []  # where the first part of each word is
    for word in words:
        heads.append(len(parts))
        split = _CONTRACTED.match(word)
        parts += [split["first"], split["rest"]] if split else [word]
    tags = _hanta().tag_sent(parts, taglevel=0)
    return [_from_c5(tags[head], word) for head, word in zip(heads, words, strict=True)]


def _from_c5(tag: str, word: str) -> str:
    if not _LATIN.search(word):
        return "NUM" if any(character.isdigit() for character in word) else "X"
    return _VERBS.get(tag[:2]) or _UNIVERSAL.get(tag, "X")


@functools.cache
def _hanta() -> Any:
    require_library("HanTa", "heuristics", "Tagging parts of speech")
    from HanTa.HanoverTagger import HanoverTagger

    return HanoverTagger("morphmodel_en.pgz")


def _spacy_tags(words: Sequence[str], pipeline: str) -> list[str]:
    from importlib import import_module

    load = _spacy(pipeline)
    doc = load(import_module("spacy.tokens").Doc(load.vocab, words=list(words)))
    return [token.pos_ or "X" for token in doc]


@functools.cache
def _spacy(pipeline: str) -> Any:
    from importlib import import_module

    try:
        return import_module("spacy").load(pipeline)
    except ImportError as error:
        raise PhasescopeError(
            f"The tagger {pipeline!r} needs spaCy: pip install spacy, or leave the tagger out (HanTa)."
        ) from error
    except OSError as error:
        raise PhasescopeError(
            f"There is no spaCy pipeline {pipeline!r} here: python -m spacy download {pipeline}, or leave the tagger "
            "out (HanTa)."
        ) from error
