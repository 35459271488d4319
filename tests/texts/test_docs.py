from __future__ import annotations

import gc
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from phasescope.texts.readers import docs
from phasescope.texts.readers.docs import Seen, build_docs, docs_texts
from phasescope.texts.readers.prose import is_prose

PACKAGES = ("networkx", "mpmath")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return build_docs(PACKAGES)


def test_every_paragraph_is_prose_and_there_is_enough(texts: list[str]) -> None:
    assert sum(map(len, texts)) > 900_000  # Python alone has that much; all packages together about 5 MB
    paragraphs = [paragraph for text in texts for paragraph in text.split("\n\n")]
    assert all(is_prose(paragraph) for paragraph in paragraphs)
    assert len(set(paragraphs)) == len(paragraphs)


def test_no_trace_of_code_markup_or_tables(texts: list[str]) -> None:
    trace = re.compile(r">>>|::|:param|----|====|``|(?<!\.)\.\. \w|\w\(\w+=|:\w+:`|https?:|\t|  |\f")
    assert [match[0] for text in texts for match in trace.finditer(text)] == []


def test_help_topics_and_modules_are_in_it(texts: list[str]) -> None:
    whole = "\n".join(texts)
    assert "Names are introduced by name binding operations." in whole
    assert any("multigraph" in text.lower() for text in texts)


def test_any_part_is_like_the_whole(texts: list[str]) -> None:
    """The words of one package are spread over the text: the last tenth, held out, must have its share."""
    about = [bool(re.search(r"\b(graph|nodes?|edges?)\b", text)) for text in texts]
    tenth = len(texts) // 10
    assert sum(about[-tenth:]) / tenth == pytest.approx(sum(about) / len(about), abs=0.15)


def test_another_process_gives_the_same_text_and_imports_nothing(texts: list[str]) -> None:
    """Another process hashes strings with another seed: nothing may depend on the order of a set."""
    code = f"""
import hashlib, sys
from phasescope.texts.readers.docs import build_docs
print(hashlib.sha256(chr(12).join(build_docs({PACKAGES})).encode()).hexdigest())
print([name for name in ("networkx", "mpmath", "pydoc_data", "torch") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONHASHSEED": "123"}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert ran.stdout.split("\n")[:2] == [hashlib.sha256("\f".join(texts).encode()).hexdigest(), "[]"]


def test_repetitions_are_seen_also_with_a_name_changed() -> None:
    seen = Seen()
    template = "As an instance of the class, the {} object inherits from it a collection of generic methods, and more."
    assert seen.is_new(template.format("gamma"))
    assert not seen.is_new(template.format("gamma"))
    assert not seen.is_new(template.format("beta"))
    assert seen.is_new("Nothing of what is said in this sentence has been said in the one before it.")


class TestCache:
    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        """One help topic as the installation: what is tested here is the cache, not the text."""
        self.home = tmp_path / "installation"
        self.cache = tmp_path / "cache"
        self.write("A first sentence that is long enough to be kept as prose of the text. " * 4)
        monkeypatch.setattr(docs, "_package_roots", lambda packages: {"python": self.home})
        monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(self.cache / name))

    def write(self, text: str) -> None:
        module = self.home / "pydoc_data" / "topics.py"
        module.parent.mkdir(parents=True, exist_ok=True)
        module.write_text(f"topics = {{'topic': {text!r}}}\n")

    def test_it_is_built_once(self) -> None:
        first = docs_texts()
        self.write("Another sentence that would have been read if the text had been built again. " * 4)
        assert docs_texts() == first
        assert [path.suffix for path in (self.cache / "phasescope").iterdir()] == [".txt"]

    def test_another_version_of_a_package_is_another_text(self, monkeypatch: pytest.MonkeyPatch) -> None:
        first = docs_texts()
        self.write("Another sentence that is to be read because the package has been updated. " * 4)
        monkeypatch.setattr(docs, "_version", lambda package: "0.0.1")
        assert docs_texts() != first

    def test_without_a_place_for_the_cache_it_goes_on(self) -> None:
        self.cache.write_text("a file where the folder should be")
        assert docs_texts()[0].startswith("A first sentence")

    def test_a_damaged_cache_is_made_anew(self) -> None:
        first = docs_texts()
        (cached,) = (self.cache / "phasescope").iterdir()
        for damage in (b"", b"\xff\xfe\x00"):
            cached.write_bytes(damage)
            assert docs_texts() == first

    def test_files_that_are_not_python_of_this_version_are_passed_over(self) -> None:
        (self.home / "broken.py").write_text('"""' + "The docstring of a broken module. " * 20 + '"""\nprint "old"\n')
        (self.home / "bytes.py").write_bytes(b'"""' + b"\x00\xff" * 50 + b'"""')
        assert len(build_docs()) == 1

    def test_the_collector_is_on_again_afterwards(self) -> None:
        build_docs()
        assert gc.isenabled()


@pytest.mark.slow
def test_the_whole_text_has_the_size_it_should() -> None:
    texts = build_docs()
    assert 3e6 < sum(map(len, texts)) < 8e6
    assert len(texts) > 1500
