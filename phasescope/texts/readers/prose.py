"""English prose out of technical docstrings: what a reader would read aloud, and nothing else.

A docstring is prose mixed with code, tables, signatures and lists of parameters, in one of several markups
(reStructuredText, numpydoc, Google, Markdown). The markup is not parsed in full: blocks that cannot be prose are left
out by their shape, inline markup is taken off, and what remains must pass a test of being English.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

LEAST_WORDS = 8

# Sections whose content is a list of parameters, names, citations or code, in numpydoc and Google style alike.
_LISTS = (
    r"(other |keyword |optional |extra |input |output |named |function |class |model )?"
    r"(args|arguments|parameters?|params|kwargs|inputs?|outputs?|returns?|yields?|raises?|receives|attributes?|methods?|"
    r"warns|see also|references?|examples?|usage|shapes?|keys|members|fields|properties|variables|functions|classes|"
    r"tables?( of contents)?|contents|index|routine listings|type aliases|tags|todo|authors?|history|call args|"
    r"distributional parameters|expected|exceptions?|options?|signature|subclasses|constants|links|sources?)"
)
_LIST_SECTION = re.compile(_LISTS + r"$", re.IGNORECASE)
_LIST_LABEL = re.compile(_LISTS + r"( \([^)]*\))?\s*:{1,2}$", re.IGNORECASE)
_RULE = re.compile(r"([=\-~^\"'`#*+._:])\1{2,}[\s=\-+]*$")
_FIELD = re.compile(r":[a-zA-Z_][^:`]*:(\s|$)|@(param|type|returns?|raises|keyword|ivar)\b")
_DIRECTIVE = re.compile(r"\.\.(\s|$)")
_ADMONITION = re.compile(
    r"\.\. (note|warning|tip|caution|important|hint|attention|admonition|versionadded|versionchanged|deprecated)::"
)
_BULLET = re.compile(r"(?:[-*+•]|\(?(?:\d{1,2}|[a-zA-Z]|[ivx]+)[.)])\s+(?=\S)")
_CODE_LINE = re.compile(r">>>|\.\.\. |\$ |In \[|Out\[|\|.*\||\+--|@\w+|```|~~~|#include|\S+ *=\S* ")


@dataclass
class _Block:
    """Lines of one indentation, not separated by a blank line."""

    indent: int
    lines: list[str] = field(default_factory=list)


def paragraphs(docstring: str) -> list[str]:
    """The paragraphs of English prose in `docstring`, in order, each one line without markup."""
    found = (_plain(block.lines) for block in _blocks(_prose_lines(inspect.cleandoc(docstring).splitlines())))
    return [paragraph for paragraph in found if is_prose(paragraph)]


def _prose_lines(lines: list[str]) -> Iterator[str]:
    """Leave out list sections, literal blocks, directives, fields and fenced code by their indentation."""
    deeper_than: int | None = None  # leave out what is indented deeper than this
    in_list_section = in_fence = False
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if text.startswith(("```", "~~~")):
            in_fence = not in_fence
            yield ""
            continue
        if not text:
            yield ""
            continue
        if deeper_than is not None and indent > deeper_than:
            continue
        deeper_than = None
        if _RULE.match(text):
            yield ""
            continue
        if _is_heading(text, following):
            in_list_section = bool(_LIST_SECTION.match(text))
            yield ""
            continue
        if in_list_section or in_fence:
            continue
        if _starts_hidden_block(text):
            deeper_than = indent
            yield ""
            continue
        if admonition := _ADMONITION.match(text):
            rest = text[admonition.end() :].strip()
            yield ""
            if rest and not rest[0].isdigit():  # not the number of a version
                yield " " * (indent + 3) + rest
            continue
        if text.endswith("::"):  # a literal block follows
            deeper_than = indent
            line = line.rstrip()[:-1]
        yield line


def _is_heading(text: str, following: str) -> bool:
    under = following.strip()
    return text.startswith(("# ", "## ", "### ")) or (
        bool(_RULE.match(under)) and len(set(under)) == 1 and len(under) >= min(3, len(text))
    )


def _starts_hidden_block(text: str) -> bool:
    if _LIST_LABEL.match(text) or _FIELD.match(text):
        return True
    return bool(_DIRECTIVE.match(text)) and not _ADMONITION.match(text)


def _blocks(lines: Iterable[str]) -> Iterator[_Block]:
    """Split at blank lines, at changes of indentation and at bullets; leave out blocks that look like code."""
    block: _Block | None = None
    for line in [*lines, ""]:
        text = line.strip()
        indent = len(line) - len(line.lstrip())
        if bullet := _BULLET.match(text):
            indent += bullet.end()
            text = text[bullet.end() :]
        if block and (not text or bullet or indent != block.indent):
            if not any(_CODE_LINE.match(part) for part in block.lines):
                yield block
            block = None
        if text:
            block = block or _Block(indent)
            block.lines.append(text)


_REPLACEMENTS = [
    (re.compile(r"[“”]"), '"'),
    (re.compile(r"[‘’]"), "'"),
    (re.compile(r"\s*\[(?:\d+|#\w*|[A-Z]\w*\d+)\]_?(?=\W|$)"), ""),  # footnotes and citations
    (re.compile(r":[\w:+-]+:`~(?:[^`<>]*\.)?([^`<>.]+)`"), r"\1"),  # :func:`~package.name` shows its last part
    (re.compile(r":(?:math|eq):`[^`]*`"), "$"),  # no formula can be read aloud: the test below refuses it
    (re.compile(r":[\w:+-]+:`([^`<>]*?)\s*(?:<[^`>]*>)?`"), r"\1"),
    (re.compile(r"`([^`<>]+?)\s*<[^`>]*>`__?"), r"\1"),
    (re.compile(r"\[([^\]\[]+)\]\((?:[^()\s]*)\)"), r"\1"),  # Markdown links
    (re.compile(r"\[`~?([^`]+)`\]"), r"\1"),
    (re.compile(r"``?([^`]+?)``?_?_?"), r"\1"),
    (re.compile(r"(?<![\w*])\*{1,2}(?=[^\s*])([^*]+?)(?<=[^\s*])\*{1,2}(?![\w*])"), r"\1"),
    (re.compile(r"\|(\w+)\|"), r"\1"),
    (re.compile(r"\\ "), ""),
    (re.compile(r'"{2,}'), '"'),
    (re.compile(r"\s+"), " "),
    (re.compile(r" ([.,;:!?)])(?=\s|$)"), r"\1"),
]


def _plain(lines: list[str]) -> str:
    """Join lines into one paragraph and take inline markup off; nothing if there are too few words anyway."""
    text = " ".join(lines)
    if text.count(" ") < LEAST_WORDS - 1:
        return ""
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    text = text.strip()
    if text.endswith(":"):  # what it announced has been left out
        text = text[: max(text.rfind(". "), text.rfind("? "), text.rfind("! ")) + 1]
    return text


_WORD = re.compile(r"[\"'(\[]*(?:[A-Za-z]?[a-z]+|[A-Z]+|[A-Za-zÀ-ž]+)(?:['-][A-Za-zÀ-ž]+)*s?['\")\].,;:!?]*$")
_NUMBER = re.compile(r"[(]?-?\d+(?:[.,]\d+)*%?[).,;:!?]*$")
_FORBIDDEN = re.compile(
    r"[{}\\<>^~@$|`=#\[\]_/*+%\u0370-\uffff]{2}|[{}\\<>^~@$|`=\u2190-\uffff]|(?<!\w)--?[a-z]|\s[*/+]\s|::|"
    r"(?<!\.)\.\.(?!\.)|\w\(\w|\w\.\w+\(|\(\)\(|"
    r"https?:|www\.|[Cc]opyright|[Ll]icen[sc]ed? |[Aa]ll rights reserved|TODO|FIXME|XXX|autosummary|toctree|"
    r"\b(?:see|in|of|by|from|and|e\.g|i\.e)[.,;)]+(?:\s|$)"  # a citation was its object
)
_OPENING = re.compile(r"[\"'(]?(?:[A-Z][a-z]|[A-Z] |I[nfts] |An? )")
_CLOSING = re.compile(r"[.!?][\"')]?$")
_GRAMMAR = """
a an the and or but if then than of in on at by for from to with without as is are was were be been being it its this
that these those which who whose what when where how why not no nor so such can could may might must should will would
shall do does did has have had you your we our they their them there here i he she his her all any each every some
most more only also into onto over under between about after before because while until both either neither other one
"""
_FUNCTION_WORDS = frozenset(_GRAMMAR.split())


def is_prose(paragraph: str) -> bool:
    """Whether `paragraph` is whole sentences of English: at least eight words, mostly plain, held together by grammar.

    At least 88 % of the words must be letters only (or a number), and at least 22 % words of grammar (the, of, is, …),
    which English text has 40 to 50 % of and lists of names nearly none.
    """
    words = paragraph.split()
    if len(words) < LEAST_WORDS or not _OPENING.match(paragraph) or not _CLOSING.search(paragraph):
        return False
    if _FORBIDDEN.search(paragraph) or paragraph.count("(") != paragraph.count(")") or paragraph.count('"') % 2:
        return False
    plain = sum(1 for word in words if _WORD.match(word) or _NUMBER.match(word))
    grammar = sum(1 for word in words if word.strip("\"'().,;:!?").lower() in _FUNCTION_WORDS)
    return plain >= 0.88 * len(words) and grammar >= 0.22 * len(words)
