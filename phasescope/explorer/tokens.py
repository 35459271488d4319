"""What the frozen inputs say at each position, for people: pieces of text where a tokenizer is there, else words."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

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

    def open_aside(self, then: Callable[[], None] = lambda: None) -> threading.Thread:
        """Open the tokenizer in a thread of its own; where that worked, do what comes `then` in it too."""
        thread = threading.Thread(target=self._open_now, args=(then,), name="tokenizer", daemon=True)
        thread.start()
        return thread

    def _open_now(self, then: Callable[[], None]) -> None:
        try:
            self._tokenizer = self._open()
            then()
        except Exception as error:  # Whatever it is: the names of tokens must not wait for it for ever.
            if self._tokenizer is None:
                self.missing = str(error) or type(error).__name__

    def at(self, sequence: int, position: int) -> str:
        """One token as a piece of text, its leading blank left out; `␣` where it is nothing else."""
        token = int(self._inputs.tokens[sequence, position])
        if self._tokenizer is not None:
            piece = str(self._tokenizer.decode([token]))
            return (piece.strip(" ") or "␣").translate(_BLANKS)
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

    def shown_at(self, sequence: int, position: int) -> int:
        """Where in the running text a token is seen: itself, or the first token of its word."""
        word = int(self._inputs.word_ids[sequence, position])
        if self._tokenizer is not None or word < 0:
            return position
        while position > 0 and self._inputs.word_ids[sequence, position - 1] == word:
            position -= 1
        return position

    def beginning(self, sequence: int, length: int = 48) -> str:
        """The first words of a sequence."""
        text = " ".join("".join(self.running(sequence)[:24]).split())
        return text if len(text) <= length else text[: length - 1] + "…"
