"""`docs`: real English prose that is already on every user's machine, without network.

It is taken from the help topics of Python and the docstrings of its standard library and of the scientific packages
that phasescope depends on, by parsing their source files; nothing is imported or run. One document per module or help
topic. The same versions of Python and of the packages give the same text, in the same order.
"""

from __future__ import annotations

import ast
import gc
import hashlib
import importlib.util
import json
import os
import platform
import sysconfig
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

from phasescope.console import progress
from phasescope.errors import PhasescopeError
from phasescope.store import replacing
from phasescope.texts.readers import prose

# Dependencies of phasescope, direct or through torch, so that they are there wherever phasescope is.
PACKAGES = (
    "numpy",
    "scipy",
    "pandas",
    "networkx",
    "sympy",
    "mpmath",
    "torch",
    "huggingface_hub",
    "transformers",
    "transformer_lens",
)
SEPARATOR = "\f"
"""Between documents in the cached file, which can therefore be read as any other text file."""

_TESTS = {"test", "tests", "testing", "idle_test", "testing_utils.py", "test_utils.py", "conftest.py"}
_NOT_THE_PACKAGE = {"site-packages", "dist-packages", "_vendor", "vendor", "ensurepip", "lib2to3"}
# Hundreds of near copies of one another; and by size half of that package.
_BOILERPLATE = {("transformers", "models")}
_LEAST_DOCSTRING_SHARE = 0.05
_LEAST_DOCUMENT_WORDS = 30
_DOCUMENTING_CALLS = {"add_newdoc", "add_docstr", "add_docstr_all"}


def docs_texts() -> list[str]:
    """All documents of `docs`, about 5 MB of prose, in an order in which any part is like the whole.

    Built once (some ten seconds) and kept in the user's cache directory, under a name made of the versions of Python
    and the packages; without a writable cache directory it is built anew each time.
    """
    cached = _cache_file()
    with suppress(OSError, UnicodeDecodeError):
        texts = cached.read_text(encoding="utf-8").split(SEPARATOR)
        if texts != [""]:
            return texts
    texts = build_docs()
    with suppress(OSError, PhasescopeError), replacing(cached) as temporary:
        temporary.write_text(SEPARATOR.join(texts), encoding="utf-8", newline="")
    return texts


def build_docs(packages: Sequence[str] = PACKAGES) -> list[str]:
    """Read, clean and deduplicate the documents of Python and `packages` anew, past any cache."""
    roots = _package_roots(packages)
    files = [(package, path) for package, root in roots.items() for path in _source_files(package, root)]
    if not files:
        raise PhasescopeError(
            "There are no Python source files to take the text 'docs' from in this installation. "
            "Give a text of your own: --texts FILE.txt."
        )
    named: dict[str, str] = {}
    seen = Seen()
    with progress(len(files), "Reading documentation", "files") as bar, _without_collector():
        for package, path in files:
            bar.doing(f"Reading documentation of {package}")
            for name, docstrings in _documents_in(path):
                found = [p for docstring in docstrings for p in prose.paragraphs(docstring)]
                found = [p for p in found if seen.is_new(p)]
                if sum(len(p.split()) for p in found) >= _LEAST_DOCUMENT_WORDS:
                    named[f"{package}/{path.relative_to(roots[package]).as_posix()}/{name}"] = "\n\n".join(found)
            bar.advance()
    # Shuffled by name, not by package: whoever holds the last part out holds out text like the rest.
    return [named[name] for name in sorted(named, key=lambda name: hashlib.sha256(name.encode()).digest())]


class Seen:
    """Remembers runs of six words, to tell a paragraph that is new from one that is, nearly, a repetition."""

    RUN = 6

    def __init__(self) -> None:
        self._runs: set[int] = set()

    def is_new(self, paragraph: str) -> bool:
        """Whether at most half of the paragraph's runs of words were in earlier paragraphs; then remembers it.

        Templates filled with different names (a hundred distributions that "inherit a collection of generic
        methods") differ in a few words only, which comparing whole paragraphs would miss.
        """
        words = paragraph.lower().split()
        runs = [hash(tuple(words[i : i + self.RUN])) for i in range(max(len(words) - self.RUN + 1, 1))]
        known = sum(run in self._runs for run in runs)
        self._runs.update(runs)
        return known <= len(runs) / 2


def _package_roots(packages: Sequence[str]) -> dict[str, Path]:
    roots = {"python": Path(sysconfig.get_path("stdlib"))}
    for package in packages:
        spec = importlib.util.find_spec(package)  # of a top-level name: finds it without importing it
        if spec and spec.submodule_search_locations:
            roots[package] = Path(spec.submodule_search_locations[0])
    return roots


def _source_files(package: str, root: Path) -> Iterator[Path]:
    found = []
    for folder, subfolders, names in os.walk(root):
        here = Path(folder).relative_to(root).parts
        subfolders[:] = [
            name
            for name in subfolders
            if name not in _TESTS | _NOT_THE_PACKAGE and (package, *here, name) not in _BOILERPLATE
        ]
        found += [Path(folder, name) for name in names if name.endswith(".py") and name not in _TESTS]
    # Help topics first: of two copies of a paragraph the first is kept.
    return iter(sorted(found, key=lambda path: (path.parent.name != "pydoc_data", path.relative_to(root).parts)))


def _documents_in(path: Path) -> Iterator[tuple[str, list[str]]]:
    """The docstrings of one module, or each help topic in Python's module of topics."""
    try:
        source = path.read_bytes()
    except OSError:
        return
    topics = path.name == "topics.py" and path.parent.name == "pydoc_data"
    if not topics and _docstring_share(source) < _LEAST_DOCSTRING_SHARE:
        return  # nearly all code: not worth parsing
    try:
        with warnings.catch_warnings():  # about escape sequences in other people's strings
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):  # written for another version of Python
        return
    if topics:
        for topic, text in _topics(module).items():
            yield topic, [text]
    else:
        yield "", list(_docstrings(module.body))


def _docstring_share(source: bytes) -> float:
    return sum(map(len, source.split(b'"""')[1::2])) / max(len(source), 1)


def _topics(module: ast.Module) -> dict[str, str]:
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            found: dict[str, str] = ast.literal_eval(node.value)
            return found
    return {}


def _docstrings(body: list[ast.stmt]) -> Iterator[str]:
    """Strings that stand alone in a module, class or function, and those handed to functions that attach them."""
    for node in body:
        if isinstance(node, ast.Expr):
            value = node.value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                yield value.value
            elif isinstance(value, ast.Call) and _called(value) in _DOCUMENTING_CALLS:
                inner = (n.value for argument in value.args for n in ast.walk(argument) if isinstance(n, ast.Constant))
                yield from (text for text in inner if isinstance(text, str))
        for inside in ("body", "orelse", "handlers", "finalbody"):
            nested = getattr(node, inside, None)
            if isinstance(nested, list):
                yield from _docstrings(nested)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


@contextmanager
def _without_collector() -> Iterator[None]:
    """Syntax trees are millions of small objects without cycles: looking for cycles costs a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _cache_file() -> Path:
    import platformdirs

    versions = {package: _version(package) for package in PACKAGES}
    recipe = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in (__file__, prose.__file__)]
    key = json.dumps([platform.python_version(), versions, recipe])
    return Path(platformdirs.user_cache_dir("phasescope")) / f"docs-{hashlib.sha256(key.encode()).hexdigest()[:16]}.txt"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
