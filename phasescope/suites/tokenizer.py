"""The tokenizer of a checkpoint."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from phasescope.errors import BadCheckpointError
from phasescope.suites.download import TOKENIZER_FILES, fetch
from phasescope.suites.load import adapted, load_config
from phasescope.suites.reading import blamed_on, quiet_transformers
from phasescope.suites.suite import Checkpoint

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_TOKENIZER_MARKS = ("tokenizer.json", "tokenizer_config.json", "vocab.json", "vocab.txt", "*.model")


def load_tokenizer(checkpoint: Checkpoint, *, trust_remote_code: bool = False) -> PreTrainedTokenizerFast:
    """The fast tokenizer that lies with the checkpoint.

    On disk it may also lie in a folder above, up to the suite's; on the hub, in the default branch; of an adapter, with
    the model that it adapts. Raises
    `BadCheckpointError` if there is none, or only a slow one (which cannot tell where in the text a token is).
    """
    from transformers import AutoTokenizer

    if checkpoint.file is not None:
        from phasescope.suites.native import native_tokenizer

        with blamed_on(checkpoint):
            checkpoint = native_tokenizer(checkpoint)
    folder = _tokenizer_folder(checkpoint)
    with blamed_on(checkpoint), quiet_transformers():
        if (folder / "tokenizer.json").is_file() and not (folder / "tokenizer_config.json").is_file():
            return _bare_tokenizer(checkpoint, folder)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=trust_remote_code)
    if not tokenizer.is_fast:
        raise BadCheckpointError(
            f"The tokenizer of {checkpoint.label} in {folder} is a slow one, which does not tell where in the text a "
            "token is: save a fast one (tokenizer.json) there."
        )
    return tokenizer


def _tokenizer_folder(checkpoint: Checkpoint) -> Path:
    if checkpoint.is_local:
        folder = Path(checkpoint.location)
        # The layouts put at most a seed, a size and the suite above a step.
        places: Iterable[Path] = [folder, *itertools.islice(folder.parents, 3)]
        if checkpoint.config:
            places = [Path(checkpoint.config), *places]
        searched = f"{folder} or a folder above it"
    else:
        places = _places_on_the_hub(checkpoint)
        searched = f"{checkpoint.place} or the branch main"
    for place in places:
        if any(any(place.glob(mark)) for mark in _TOKENIZER_MARKS):
            return place
    if base := adapted(checkpoint):
        return _tokenizer_folder(base)
    raise BadCheckpointError(f"{checkpoint.label} has no tokenizer: put a tokenizer.json into {searched}.")


def _places_on_the_hub(checkpoint: Checkpoint) -> Iterator[Path]:
    yield fetch(checkpoint, TOKENIZER_FILES) / checkpoint.folder
    yield fetch(checkpoint, TOKENIZER_FILES, "main")


def _bare_tokenizer(checkpoint: Checkpoint, folder: Path) -> PreTrainedTokenizerFast:
    """A tokenizer.json as it is. transformers would guess a class from the model, which adds entries of its own."""
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = {index: str(token) for index, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    end = load_config(checkpoint).eos_token_id
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=special.get(end) if isinstance(end, int) else None
    )
