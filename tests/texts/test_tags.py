from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from phasescope.errors import PhasescopeError
from phasescope.texts import (
    Document,
    Inputs,
    Word,
    freeze,
    previous_tags,
    read_documents,
    tags_read,
    word_class,
    words_read,
)
from phasescope.texts.tags import _UNIVERSAL, _hanta


@pytest.fixture(scope="module")
def letters() -> Tokenizer:
    """One token for each byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: number for number, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    return tokenizer


def inputs_of(text: str, tokenizer: Tokenizer, words: tuple[Word, ...] | None = None) -> Inputs:
    length = len(text.encode())
    return freeze([Document(text, words)], tokenizer, sequences=1, context=length, output_sequences=1)


def test_english_is_tagged_without_a_download(letters: Tokenizer) -> None:
    inputs = inputs_of("The old man doesn't see that she quickly ate three apples in London and ", letters)
    read = words_read(inputs)
    tags = dict(zip(read.words, tags_read(inputs, read), strict=True))
    wanted = {
        "The": "DET",
        "old": "ADJ",
        "man": "NOUN",
        "doesn't": "AUX",
        "see": "VERB",
        "that": "SCONJ",
        "she": "PRON",
    }
    assert {word: tags.get(word) for word in wanted} == wanted
    previous = previous_tags(read, tags_read(inputs, read))
    assert previous[:3] == ["", "DET", "ADJ"]
    assert [word_class(tags[word]) for word in ("The", "man", "doesn't")] == ["function", "content", "function"]


def test_hanta_agrees_with_gold_tags(shared_data: Callable[[str], Path], letters: Tokenizer) -> None:
    documents = read_documents(shared_data("texts/en_ewt-ud-dev.conllu"))
    inputs = freeze(documents, letters, sequences=12, context=1000, output_sequences=12)
    read = words_read(inputs)
    gold, found = tags_read(inputs, read), tags_read(inputs, read, "hanta")
    assert len(gold) == len(read)
    same = sum(a == b for a, b in zip(gold, found, strict=True)) / len(gold)
    assert same > 0.84  # 87 % over the whole of the file


def test_every_tag_of_the_model_has_a_universal_one() -> None:
    known = {tag.removeprefix("END_") for tag in _hanta().tag2int if tag.startswith("END_")}
    verbs = {tag for tag in known if tag[0] == "V"}
    # UNC is BNC's own "unclassified", ZZ0 a single letter; the others are the model's marks of nothing known.
    assert known - verbs - set(_UNIVERSAL) == {"UNC", "ZZ0", "NN", "IN", "!!!", "UNKNOWN"}


def test_other_scripts_are_not_tagged_as_english(letters: Tokenizer) -> None:
    inputs = inputs_of("मैं 2024 中文 the cat the cat the cat the cat", letters)
    read = words_read(inputs)
    tags = dict(zip(read.words, tags_read(inputs, read), strict=True))
    assert tags["मैं"] == "X"
    assert tags.get("2024", "NUM") == "NUM"


def test_gold_tags_come_first_and_punctuation_is_no_word(letters: Tokenizer) -> None:
    text = "the cat , the dog , the end of the day"
    spans, start = [], 0
    for word in text.split():
        spans.append(Word(start, start + len(word), "PUNCT" if word == "," else "X" if word == "cat" else None))
        start += len(word) + 1
    inputs = inputs_of(text, letters, tuple(spans))
    read = words_read(inputs)
    assert "," not in read.words
    tags = tags_read(inputs, read)
    assert tags[read.words.index("cat")] == "X"
    assert tags[0] == ""  # has no gold tag, and is not given another one


def test_a_spacy_pipeline_that_is_not_there_is_said(letters: Tokenizer) -> None:
    inputs = inputs_of("the cat the dog the end of the day the cat the dog", letters)
    with pytest.raises(PhasescopeError, match="spaCy"):
        tags_read(inputs, words_read(inputs), "xx_no_such_pipeline")


def test_words_that_do_not_match_their_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wrong.conllu"
    row = "1\tcat\tcat\tNOUN\t_\t_\t0\troot\t_\t_\n"
    path.write_text(f"# text = cat\n{row}\n# text = a dog\n{row}\n", encoding="utf-8")
    with pytest.raises(PhasescopeError, match=r"wrong\.conllu: the words of the sentence at line 4 .*'a dog'"):
        list(read_documents(path))
