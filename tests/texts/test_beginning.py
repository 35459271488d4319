"""Windows that begin with a token: which one, and that all else is what it is without it, one place further on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from phasescope.errors import PhasescopeError
from phasescope.suites import PRESETS
from phasescope.texts import Document, Encoder, Inputs, Word, freeze, words_read
from phasescope.texts.beginning import BOS, Beginning, beginning_of
from phasescope.texts.readers.documents import read_documents

SPECIAL = ("<s>", "</s>", "[X]")


def tokenizer(template: str | None = "<s> $A", **named: str) -> PreTrainedTokenizerFast:
    """One token per byte, as Llama's: a token before a text that its own post-processing puts there."""
    entries = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    made = Tokenizer(models.BPE(vocab={entry: index for index, entry in enumerate(entries)}, merges=[]))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    if template:
        made.post_processor = processors.TemplateProcessing(
            single=template, pair=f"{template} $B", special_tokens=[(token, SPECIAL.index(token)) for token in SPECIAL]
        )
    return PreTrainedTokenizerFast(tokenizer_object=made, **{"bos_token": "<s>", "eos_token": "</s>", **named})


@pytest.mark.parametrize(
    ("template", "named", "auto", "always"),
    [
        ("<s> $A", {}, 0, 0),  # Llama, Mistral, Gemma
        ("</s> $A", {"bos_token": "</s>"}, 1, 1),  # OPT
        (None, {}, None, 0),  # GPT-2, Pythia: it is named, but nothing puts it there
        ("$A </s>", {}, None, 0),  # an end alone
        ("<s> $A </s>", {}, 0, 0),
        ("[X] <s> $A", {}, 0, 0),  # several: the one that is known as the beginning
        ("[X] </s> $A", {}, None, 0),
        ("[X] $A", {}, 2, 2),  # one under another name: it is what models were trained with
    ],
)
def test_which_token(template: str | None, named: dict[str, str], auto: int | None, always: int) -> None:
    for own in (
        tokenizer(template, **named),
        Tokenizer.from_str(tokenizer(template, **named).backend_tokenizer.to_str()),
    ):
        encoder = Encoder(own)
        begins = {bos: beginning_of(encoder, bos) for bos in ("auto", "always", "never")}
        assert begins["never"] is None
        assert begins["auto"] == (None if auto is None else Beginning(auto, SPECIAL[auto]))
        if not named or not isinstance(own, Tokenizer):  # a bare one does not say what its tokens are called
            assert begins["always"] == Beginning(always, SPECIAL[always])


def test_models_that_are_known_to_have_been_trained_with_one() -> None:
    """Comma's: what their tokenizer does of itself is not asked, and what was said is."""
    texts = [Document("the cat sat on the mat. " * 4)]
    made = {bos: freeze(texts, tokenizer(None), sequences=1, context=8, bos=bos, trained_with_bos=True) for bos in BOS}
    assert {bos: one.begin and one.begin.text for bos, one in made.items()} == {
        "auto": "<s>", "always": "<s>", "never": None
    }  # fmt: skip
    assert freeze(texts, tokenizer(None), sequences=1, context=8).begin is None
    assert PRESETS["comma"].begins
    assert not PRESETS["pythia"].begins


def test_a_token_that_is_not_there_cannot_be_wanted() -> None:
    words = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    bare = PreTrainedTokenizerFast(tokenizer_object=words)
    with pytest.raises(PhasescopeError, match="names no token that begins a text"):
        freeze([Document("a a a a")], bare, sequences=1, context=2, bos="always")
    assert freeze([Document("a a a a")], bare, sequences=1, context=2).begin is None
    assert freeze([Document("a a a a")], bare, sequences=1, context=2, trained_with_bos=True).begin is None
    with pytest.raises(PhasescopeError, match="Did you mean never"):
        freeze([Document("a a a a")], bare, sequences=1, context=2, bos="nevr")


DOCUMENTS = [
    Document(f"the cat {number}, the dög of the day. " * (3 + number % 4), None if number % 2 else (Word(0, 3, "DET"),))
    for number in range(12)
]


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 99), st.integers(1, 6), st.integers(3, 24), st.sampled_from(["last", "all", 1, 2]))
def test_all_else_is_what_it_is_without(seed: int, sequences: int, context: int, positions: Any) -> None:
    own = tokenizer()
    asked = {"sequences": sequences, "positions": positions, "seed": seed, "output_sequences": sequences}
    begun = freeze(DOCUMENTS, own, context=context, **asked)
    plain = freeze(DOCUMENTS, own, context=context - 1, bos="never", **asked)
    assert begun.begin == Beginning(0, "<s>")
    assert (begun.first, plain.first, begun.context) == (1, 0, context)
    assert (begun.tokens[:, 0] == 0).all()
    assert np.array_equal(begun.tokens[:, 1:], plain.tokens)
    assert (begun.word_ids[:, 0] == -1).all()
    assert np.array_equal(begun.word_ids[:, 1:], plain.word_ids)
    assert (begun.words, begun.tags) == (plain.words, plain.tags)
    assert np.array_equal(begun.positions, plain.positions + 1)
    assert np.array_equal(begun.counts, plain.counts)
    assert begun.bytes is not None
    assert plain.bytes is not None
    assert (begun.bytes.starts[:, 0] == -1).all()
    assert np.array_equal(begun.bytes.starts[:, 1:], plain.bytes.starts)
    assert np.array_equal(begun.bytes.documents[:, 1:], plain.bytes.documents)
    here, there = words_read(begun), words_read(plain)
    # The same words are measured: those that no end of a window can have cut.
    assert here.words == there.words
    assert here.measured.tolist() == there.measured.tolist()
    surprisal = np.random.default_rng(seed).random((sequences, context - 1))
    assert np.allclose(here.log_probabilities(surprisal), there.log_probabilities(surprisal[:, 1:]))


def test_positions_are_those_of_the_text() -> None:
    with pytest.raises(PhasescopeError, match="8 positions cannot be sampled in sequences of 7 tokens"):
        freeze(DOCUMENTS, tokenizer(), sequences=2, context=8, positions=8)
    assert freeze(DOCUMENTS, tokenizer(), sequences=2, context=8, positions="all").positions.min() == 1


def test_it_is_frozen(tmp_path: Path) -> None:
    inputs = freeze(DOCUMENTS, tokenizer(), sequences=2, context=8)
    inputs.save(tmp_path / "inputs.h5")
    loaded = Inputs.load(tmp_path / "inputs.h5")
    assert (loaded.begin, loaded.hash) == (inputs.begin, inputs.hash)
    with pytest.raises(ValueError, match="not every sequence begins with token 5"):
        freeze(DOCUMENTS, tokenizer(), sequences=2, context=8).__class__(
            **{name: getattr(inputs, name) for name in inputs.__dataclass_fields__ if name not in ("hash", "begin")},
            begin=Beginning(5, "x"),
        )


def test_masked_models_keep_their_framing() -> None:
    from phasescope.texts import Framing

    inputs = freeze(DOCUMENTS, tokenizer(), sequences=2, context=8, framing=Framing(0, 1, 2), bos="always")
    assert inputs.begin is None


def test_a_text_of_our_own(tmp_path: Path) -> None:
    """As much text as windows need without the token is enough."""
    (tmp_path / "text.txt").write_text("a" * 21)
    read = freeze(read_documents(tmp_path / "text.txt"), tokenizer(), sequences=3, context=8)
    assert read.tokens.tolist() == [[0, *[read.tokens[0, 1]] * 7]] * 3
