"""What `--behaviour lens=…` asks for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from phasescope.errors import BadArgumentError
from phasescope.texts.made.passages import TOKENS, TRANSLATED

TUNED = "tuned"
_SAY = "Say lens=tokens:512, lens=tuned, or lens=FILE of translators, or two of them joined by a comma."


@dataclass(frozen=True)
class LensWish:
    """How many tokens are looked at, and through translators that are trained, given in a file, or not at all."""

    tokens: int = TOKENS
    train: bool = False
    file: Path | None = None

    @classmethod
    def parse(cls, text: str | None) -> LensWish:
        """`tokens:N`, `tuned`, and the path of translators, joined by commas.

        Raises `BadArgumentError` for what is none of these, for a file that is not there, and for two ways of tuning.
        """
        tokens, train, file = TOKENS, False, None
        for part in (each.strip() for each in (text or "").split(",")):
            name, _, number = part.partition(":")
            if name == "tokens":
                if not number.isdecimal() or int(number) < 2:
                    raise BadArgumentError(f"{part!r} in --behaviour lens is no number of at least 2. {_SAY}")
                tokens = int(number)
            elif part == TUNED:
                train = True
            elif part:
                file = Path(part).expanduser()
                if not file.exists():
                    raise BadArgumentError(f"There are no translators at {part}. {_SAY}")
        if train and file:
            raise BadArgumentError("Translators are trained or given, not both: leave out tuned, or the file.")
        return cls(tokens, train, file)

    @property
    def name(self) -> str:
        """Of the set of items: other tokens or other translators are another set."""
        tuned = TUNED if self.train else f"{TRANSLATED}-{self._digest()}" if self.file else ""
        return "-".join(part for part in ("text", str(self.tokens), tuned) if part)

    def _digest(self) -> str:
        total = hashlib.blake2b(digest_size=4)
        for path in sorted(self.file.iterdir()) if self.file and self.file.is_dir() else [self.file]:
            if path is not None and path.is_file():
                with path.open("rb") as opened:
                    while block := opened.read(1 << 20):
                        total.update(block)
        return total.hexdigest()
