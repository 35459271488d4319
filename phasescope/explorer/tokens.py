"""What the frozen inputs say at each position, for people: pieces of text where a tokenizer is there, else words."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from phasescope.errors import PhasescopeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from phasescope.texts import Inputs

_BLANKS = str.maketrans({"\n": "⏎", "\t": "⇥"})


class TokenNames:
    """Names of the tokens of a run's inputs.

    A run keeps its tokens as numbers; what they stand for is known to the tokenizer of its suite, which takes seconds
    to open, or is gone. Until it is there, a token is named by the word that it belongs to.
    """

    def __init__(self, inputs: Inputs, open_tokenizer: Callable[[], Any]) -> None:
        self._inputs, self._open = inputs, open_tokenizer
        self._tokenizer: Any = None
        self.missing = ""
        """Why there is no tokenizer; empty where there is one, or while it is opened."""

    @property
    def settled(self) -> bool:
        """Whether names are what they will be: pieces of text, or words because there is no tokenizer."""
        return self._tokenizer is not None or bool(self.missing)

    def open_aside(self) -> threading.Thread:
        """Open the tokenizer in a thread of its own."""
        thread = threading.Thread(target=self._open_now, name="tokenizer", daemon=True)
        thread.start()
        return thread

    def _open_now(self) -> None:
        try:
            self._tokenizer = self._open()
        except PhasescopeError as error:
            self.missing = str(error)

    def at(self, sequence: int, position: int) -> str:
        """One token as a piece of text, its leading blank left out."""
        token = int(self._inputs.tokens[sequence, position])
        if self._tokenizer is not None:
            piece = str(self._tokenizer.decode([token]))
            return (piece.strip(" ") or piece).translate(_BLANKS)
        word = int(self._inputs.word_ids[sequence, position])
        return self._inputs.words[word] if word >= 0 else f"#{token}"

    def running(self, sequence: int) -> list[str]:
        """All tokens of a sequence as running text: with their blanks, or as words with a blank between them.

        A word of several tokens is named once where the tokenizer is not there; its other tokens are empty.
        """
        if self._tokenizer is not None:
            return [str(self._tokenizer.decode([int(token)])) for token in self._inputs.tokens[sequence]]
        words = self._inputs.word_ids[sequence].tolist()
        return [
            f"{self._inputs.words[word]} " if word >= 0 and (place == 0 or words[place - 1] != word) else ""
            for place, word in enumerate(words)
        ]

    def beginning(self, sequence: int, length: int = 48) -> str:
        """The first words of a sequence."""
        text = " ".join("".join(self.running(sequence)[:24]).split())
        return text if len(text) <= length else text[: length - 1] + "…"
