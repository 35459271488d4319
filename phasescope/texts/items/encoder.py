"""From text to items: what models read before a scored text, and around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.texts.tokens import Encoder

if TYPE_CHECKING:
    from jaxtyping import Int, Int32
    from transformers import PreTrainedTokenizerBase

    from phasescope.texts.inputs import Framing
    from phasescope.texts.tokens import Encoded

BEFORE = 1
"""Tokens that `ItemEncoder.around` puts before those it is given."""


class ItemEncoder:
    """A tokenizer, and what is read before the first token of a text so that this token can be predicted too.

    Before a text stands the tokenizer's beginning-of-text token, or, where there is none, its end-of-text token, as
    lm-evaluation-harness has it; of masked language models what frames every text they read.

    Raises:
        PhasescopeError: the tokenizer has neither.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, framing: Framing | None) -> None:
        self.framing = framing
        self._encoder = Encoder(tokenizer)
        begin = tokenizer.bos_token_id
        begin = self._encoder.end_of_text if begin is None else begin
        if framing is not None:
            begin = framing.first
        if begin is None:
            raise PhasescopeError(
                "The tokenizer has no token that begins or ends a text, and without one before it the first token of "
                "a sentence cannot be scored. Add a tokenizer_config.json that names bos_token or eos_token."
            )
        self.begin = int(begin)

    @property
    def vocabulary(self) -> int:
        return self._encoder.vocabulary

    def encode(self, text: str) -> Encoded:
        """Token ids and offsets of a text, with nothing around it."""
        return self._encoder.encode(text)

    def around(self, tokens: Int[np.ndarray, "length"]) -> Int32[np.ndarray, "framed"]:
        """An item that holds these tokens: token i is at i + `BEFORE`."""
        after = [self.framing.last] if self.framing else []
        return np.concatenate([[self.begin], tokens, after]).astype(np.int32)
