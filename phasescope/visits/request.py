"""What a capture asks for, and whether a run that is already there was asked for the same."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phasescope.console import counted
from phasescope.errors import BadArgumentError, PhasescopeError
from phasescope.probes import Probes

if TYPE_CHECKING:
    from phasescope.suites import Suite

_OUTPUT_SEQUENCES = 18
_WORDS = {
    "texts_digest": "contents of the texts",
    "seed": "seed of the sampling",
    "tokenizer": "vocabulary",
    "bos": "windows begin with",
}


@dataclass(frozen=True)
class Request:
    """The texts, and what is recorded.

    texts: a file (.txt, .jsonl, .conllu), `docs`, or a data set on the hub; None: the suite's own held-out text where
        it has one, else `docs`.
    sequences, context: how many token windows, and how long; context None: 256 or as long as the model allows.
    output_sequences: how many of them feed surprisal, entropy and KL; None: 18, or all where there are fewer.
    positions: `last`, `all`, or how many random positions of each sequence are sampled.
    seed: of the choice of windows and positions.
    bos: whether windows begin with a beginning-of-text token: `auto` (as the tokenizer itself does), `always`, `never`.
    behaviour: what else the models are asked, see `phasescope.visits.behaviour.scoring`: `minimal_pairs=FILE`, `all`.
        More may be asked of a run later, so it is no part of what a run was asked for.
    """

    texts: str | None = None
    sequences: int = 128
    context: int | None = None
    output_sequences: int | None = None
    positions: str | int = "last"
    seed: int = 0
    probes: Probes = field(default_factory=Probes)
    behaviour: tuple[str, ...] = ()
    bos: str = "auto"

    def __post_init__(self) -> None:
        if not 1 <= self.outputs_of <= self.sequences:
            raise BadArgumentError(
                f"{counted(self.outputs_of, 'output sequence')} do not fit into {counted(self.sequences, 'sequence')}. "
                f"Choose --output-sequences from 1 to {self.sequences}."
            )
        self.probes.gradients_asked(self.sequences)
        if self.positions not in ("last", "all") and not (isinstance(self.positions, int) and self.positions > 0):
            raise BadArgumentError(
                f"{self.positions!r} says no positions to sample. Choose last, all, or a whole number such as 8."
            )

    @property
    def outputs_of(self) -> int:
        """How many sequences feed the outputs."""
        return min(_OUTPUT_SEQUENCES, self.sequences) if self.output_sequences is None else self.output_sequences

    def bos_asked(self, there: str | None) -> str | None:
        """What windows are asked to begin with, of a run in which they begin with `there`."""
        if self.bos == "never":
            return None
        return there or ("a beginning-of-text token" if self.bos == "always" else None)

    def as_asked(self, suite: Suite, texts: str, context: int, sites: list[str]) -> dict[str, Any]:
        """What decides the contents of a run, as plain values to be kept in its manifest and compared."""
        return {
            "family": suite.family,
            "source": suite.source,
            "texts": texts,
            "texts_digest": _digest(texts),
            "sequences": self.sequences,
            "context": context,
            "output_sequences": self.outputs_of,
            "positions": self.positions,
            "seed": self.seed,
            "sites": sites,
            "outputs": self.probes.outputs,
            "compare_seeds": self.probes.compare_seeds,
            "next_byte": self.probes.next_byte,
            "keep_weights": self.probes.keep_weights,
            "dtype": self.probes.dtype or "as stored",
            "storage": self.probes.storage,
            "remote": self.probes.remote,
            "modules": sorted(set(self.probes.modules)),
            "trust_remote_code": self.probes.trust_remote_code,
            "gradients": self.probes.gradients_asked(self.sequences),
            "probe": sorted(self.probes.probe),
        }


def _digest(texts: str) -> str:
    """Of a file's bytes; empty for texts that are not a file."""
    if not Path(texts).is_file():
        return ""
    with Path(texts).open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def refuse_differences(before: dict[str, Any], now: dict[str, Any], place: Path) -> None:
    """Raise `PhasescopeError`, with every difference spelled out, unless both ask for the same."""
    # What an older phasescope could not be asked for is not in its manifests: as good as not asked for.
    keys = [key for key in {**now, **before} if (before.get(key) or None) != (now.get(key) or None)]
    if now["texts_digest"] and before.get("texts_digest") == now["texts_digest"]:
        keys = [key for key in keys if key != "texts"]  # the same file under another name
    if keys:
        spelled = "; ".join(f"{_WORDS.get(key, key)}: {before.get(key)!r} there, {now.get(key)!r} now" for key in keys)
        raise PhasescopeError(
            f"{place} holds a capture that was asked for something else ({spelled}). "
            "Ask for the same, or choose another --out."
        )
