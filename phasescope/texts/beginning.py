"""The token that windows begin with, where models were trained with one at the beginning of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from phasescope.errors import PhasescopeError, did_you_mean

if TYPE_CHECKING:
    from jaxtyping import Int

    from phasescope.texts.tokens import Encoder

BOS = ("auto", "always", "never")


@dataclass(frozen=True)
class Beginning:
    """A token that stands before every window: of no word, at no place of the text, never sampled, never predicted."""

    token: int
    text: str


def beginning_of(encoder: Encoder, bos: str, trained_with_one: bool = False) -> Beginning | None:
    """What windows begin with.

    bos: `auto`: the token that the tokenizer itself puts before a text, by its own post-processing (Llama's, Gemma's,
        OPT's do, GPT-2's and Pythia's do not); `always`: that, or else its beginning-of-text token; `never`: nothing.
    trained_with_one: whether the models are known to have been, whatever the tokenizer does: then `auto` is `always`
        where the tokenizer names such a token.

    Raises `PhasescopeError` for another word, and where a token is wanted and there is none.
    """
    if bos not in BOS:
        raise PhasescopeError(f"Windows cannot begin with a token {bos!r}. {did_you_mean(bos, BOS)}")
    token = None if bos == "never" else encoder.begins_with
    if token is None and (bos == "always" or (bos == "auto" and trained_with_one)):
        token = encoder.beginning_of_text
        if token is None and bos == "always":
            raise PhasescopeError(
                "The tokenizer names no token that begins a text: leave out --bos always, or add a "
                "tokenizer_config.json that names bos_token."
            )
    return None if token is None else Beginning(token, encoder.backend.id_to_token(token) or f"token {token}")


def before(rows: Int[np.ndarray, "sequences n"], value: int) -> Int[np.ndarray, "sequences n+1"]:
    """A column before the others, of one value."""
    return np.pad(rows, ((0, 0), (1, 0)), constant_values=value)
