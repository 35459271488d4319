"""Items: token sequences with one scored span each, and what one checkpoint scored on them."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.errors import PhasescopeError
from phasescope.store import Entry, Scalar, open_container, write_container
from phasescope.texts.inputs import Framing

if TYPE_CHECKING:
    from jaxtyping import Float32, Float64, Int, Int32, Int64, UInt8

ENCODING = "items"
HEAD_SCORES = ("induction", "duplicate_token", "previous_token", "first_token", "entropy")
"""What is kept of each head: the fields of `phasescope.measures.HeadScores`."""
LENS_SCORES = (
    *("kl", "entropy", "surprisal", "rank", "agrees"),
    *("kl_shuffled", "surprisal_shuffled", "rank_shuffled", "agrees_shuffled"),
)
"""What is kept of each token at each place of the lens: the fields of `phasescope.measures.Lens`."""
LENSES, ATTRIBUTED = ("logit", "tuned"), "attributed"
_FRAMING = ("first_token", "last_token", "mask_token")
# A part of a path on any system.
NAME = re.compile(r"\w[\w.+-]*")


@dataclass(frozen=True, eq=False)
class Items:
    """Token sequences, each with one scored span; frozen once per run in `behaviour/<kind>/<name>/items.h5`.

    Attributes:
        kind: the analysis that reads them: `minimal_pairs`, `multiple_choice`, `noise`, `heads`, `lens`.
        name: of this set, as people call it: a paradigm, a task. A part of a path: letters, digits, `_ . + -`.
        tokens: int32, all items one after another, each with whatever is read before its scored span, at least the
            end-of-text token as its beginning; with what masked language models read around it, where there is framing.
        lengths: int64, tokens of each item.
        first: int32, the first scored token of each item; at least 1, for something must be before it.
        last: int32, one beyond the last scored token.
        columns: what the analysis must know of each item: a list of numbers or of strings, one for each item.
        source: the file or text, for people.
        framing: of masked language models, whose scores are pseudo-log-likelihoods: each scored token is masked in its
            turn. None for models that read from left to right.
        hash: of everything that matters to the scores: tokens, lengths, spans, framing. Not of the columns.

    Raises:
        ValueError: arrays or columns that do not belong together, no items, a span that is empty or outside its item,
            a name that is no part of a path.
    """

    kind: str
    name: str
    tokens: Int32[np.ndarray, "total"]
    lengths: Int64[np.ndarray, "items"]
    first: Int32[np.ndarray, "items"]
    last: Int32[np.ndarray, "items"]
    columns: dict[str, list[Any]]
    source: str
    framing: Framing | None = None
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        for kept, dtype in {"tokens": np.int32, "lengths": np.int64, "first": np.int32, "last": np.int32}.items():
            object.__setattr__(self, kept, np.ascontiguousarray(getattr(self, kept), dtype=dtype))
        for label in (self.kind, self.name, *self.columns):
            if not NAME.fullmatch(label):
                raise ValueError(f"{label!r} is no part of a path: use letters, digits, _ . + -, a letter first")
        shapes = {self.lengths.shape, self.first.shape, self.last.shape}
        if len(shapes) > 1 or self.lengths.ndim != 1 or not self.lengths.size:
            raise ValueError(f"lengths, first and last must be [items], at least one; they are {sorted(shapes)}")
        if self.tokens.shape != (self.lengths.sum(),):
            raise ValueError(f"the lengths add up to {self.lengths.sum()} tokens, and tokens are {self.tokens.shape}")
        wrong = (self.first < 1) | (self.last <= self.first) | (self.last > self.lengths)
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            raise ValueError(
                f"item {i} of {self.lengths[i]} tokens cannot be scored from {self.first[i]} to {self.last[i]}"
            )
        for column, values in self.columns.items():
            if len(values) != self.items:
                raise ValueError(f"{len(values)} values of {column} for {self.items} items")
        object.__setattr__(self, "hash", self._digest())

    @property
    def items(self) -> int:
        return len(self.lengths)

    @property
    def starts(self) -> Int64[np.ndarray, "items"]:
        """Where each item begins in `tokens`."""
        starts: Int64[np.ndarray, "items"] = np.cumsum(self.lengths) - self.lengths
        return starts

    @property
    def scored(self) -> Int64[np.ndarray, "items"]:
        """Scored tokens of each item."""
        scored: Int64[np.ndarray, "items"] = (self.last - self.first).astype(np.int64)
        return scored

    @property
    def scored_starts(self) -> Int64[np.ndarray, "items"]:
        """Where the scores of each item begin among the scores of all."""
        starts: Int64[np.ndarray, "items"] = np.cumsum(self.scored) - self.scored
        return starts

    def sequence(self, item: int) -> Int32[np.ndarray, "length"]:
        """The tokens of one item."""
        start = int(self.starts[item])
        return self.tokens[start : start + int(self.lengths[item])]

    def sums(self, log_prob: Float32[np.ndarray, "scored"]) -> Float64[np.ndarray, "items"]:
        """The sum of each item's scores: ln p of its whole scored span, in nats.

        Raises:
            ValueError: not one score for each scored token.
        """
        if log_prob.shape != (self.scored.sum(),):
            raise ValueError(f"scores must be [{self.scored.sum()}], one for each scored token; got {log_prob.shape}")
        return np.add.reduceat(log_prob.astype(np.float64), self.scored_starts)

    def differences(self, other: Items) -> str:
        """In what another set of the same name is different, in words; empty if in nothing that matters."""
        found = []
        if self.items != other.items:
            found.append(f"{self.items} items and {other.items}")
        elif self.hash != other.hash:
            same = [np.array_equal(self.sequence(i), other.sequence(i)) for i in range(self.items)]
            where = f"from item {same.index(False)} on" if False in same else "in which tokens are scored"
            found.append(f"different {where}")
        if self.columns.keys() != other.columns.keys():
            found.append(f"columns {', '.join(self.columns)} and {', '.join(other.columns)}")
        elif self.items == other.items and self.columns != other.columns:
            changed = [name for name in self.columns if self.columns[name] != other.columns[name]]
            found.append(f"different values of {', '.join(changed)}")
        return "; ".join(found)

    def save(self, path: Path) -> None:
        """Write as HDF5, whole or not at all."""
        arrays = {name: getattr(self, name) for name in ("tokens", "lengths", "first", "last")}
        arrays |= {f"columns/{name}": np.array(values) for name, values in self.columns.items()}
        attrs: dict[str, Scalar] = {
            "hash": self.hash,
            "kind": self.kind,
            "name": self.name,
            "source": self.source,
            "columns": " ".join(self.columns),
        }
        if self.framing:
            attrs |= dict(zip(_FRAMING, astuple(self.framing), strict=True))
        write_container(path, ENCODING, {name: Entry(array) for name, array in arrays.items()}, attrs)

    @classmethod
    def load(cls, path: Path) -> Items:
        """Read what `save` wrote.

        Raises:
            PhasescopeError: not such a file, from a newer phasescope, or its bytes have changed.
        """
        with open_container(path, ENCODING) as container:
            if container.recompute_digest() != container.digest:
                raise PhasescopeError(
                    f"The bytes of {path} have changed since it was written: its scores can no longer be told. "
                    "Restore it from a copy, or delete its folder and visit the run again."
                )
            attrs = container.attrs
            return cls(
                kind=str(attrs["kind"]),
                name=str(attrs["name"]),
                tokens=container.read("tokens"),
                lengths=container.read("lengths"),
                first=container.read("first"),
                last=container.read("last"),
                columns={name: container.read(f"columns/{name}").tolist() for name in str(attrs["columns"]).split()},
                source=str(attrs["source"]),
                framing=Framing(*(int(attrs[name]) for name in _FRAMING)) if _FRAMING[0] in attrs else None,
            )

    def _digest(self) -> str:
        total = hashlib.blake2b(digest_size=16)
        total.update(json.dumps([self.items, asdict(self.framing) if self.framing else None]).encode())
        for array, kind in ((self.tokens, "<i4"), (self.lengths, "<i8"), (self.first, "<i4"), (self.last, "<i4")):
            total.update(array.astype(kind).tobytes())
        return total.hexdigest()


@dataclass(frozen=True, eq=False)
class Scores:
    """What one checkpoint scored on some items.

    Attributes:
        log_prob: float32, ln p of each scored token given everything before it (of masked language models: given all
            the others), in nats; flat, in the order of the items.
        greedy: uint8, whether all scored tokens of an item were the most likely ones.
        heads: float32, of items that tell heads apart: by site what each head looks at, as `HEAD_SCORES` names it.
        lens: float32, of items that are looked at through the lens, of the tokens that do not train it: by
            `logit/<site>` and `tuned/<site>` what `LENS_SCORES` names; by `attributed/<part>` what a part adds to the
            logit of the right token and to that of another token.
    """

    log_prob: Float32[np.ndarray, "scored"]
    greedy: UInt8[np.ndarray, "items"]
    heads: dict[str, Float32[np.ndarray, "items heads scores"]] = field(default_factory=dict)
    lens: dict[str, Float32[np.ndarray, "scores tokens"]] = field(default_factory=dict)

    def save(self, path: Path, attrs: dict[str, Scalar]) -> None:
        """Write as HDF5, whole or not at all. attrs: of which checkpoint and which items they are."""
        arrays = {
            "log_prob": Entry(self.log_prob.astype(np.float32), {"units": "nats", "axes": "scored"}),
            "greedy": Entry(self.greedy.astype(np.uint8), {"axes": "items"}),
        }
        named: dict[str, Scalar] = {"axes": "items heads scores", "scores": " ".join(HEAD_SCORES)}
        arrays |= {f"heads/{site}": Entry(scores.astype(np.float32), named) for site, scores in self.heads.items()}
        seen: dict[str, Scalar] = {"axes": "scores tokens", "scores": " ".join(LENS_SCORES)}
        parts: dict[str, Scalar] = {"axes": "targets tokens", "units": "logits"}
        for name, scores in self.lens.items():
            arrays[f"lens/{name}"] = Entry(scores.astype(np.float32), parts if name.startswith(ATTRIBUTED) else seen)
        write_container(path, "scores", arrays, attrs)

    @classmethod
    def load(cls, path: Path, items: Items) -> Scores:
        """Read what `save` wrote. Raises `PhasescopeError` where they are scores of other items, or damaged."""
        with open_container(path, "scores") as container:
            heads = {name.removeprefix("heads/"): container.read(name) for name in container.names("heads")}
            lens = {name.removeprefix("lens/"): container.read(name) for name in container.names("lens")}
            scores = cls(container.read("log_prob"), container.read("greedy"), heads, lens)
            fits = container.attrs.get("items") == items.hash
        lengths = {len(scores.greedy), *map(len, heads.values())}
        if not fits or lengths != {items.items} or len(scores.log_prob) != items.scored.sum():
            raise PhasescopeError(f"{path} holds scores of other items. Delete that file and visit the run again.")
        return scores


def join(
    kind: str,
    name: str,
    sequences: list[Int[np.ndarray, "length"]],
    spans: list[tuple[int, int]],
    columns: dict[str, list[Any]],
    source: str,
    framing: Framing | None = None,
) -> Items:
    """Items of sequences and of the spans `[first, last)` that are scored in them.

    >>> items = join("noise", "swaps", [np.array([0, 7, 8]), np.array([0, 9])], [(1, 3), (1, 2)], {}, "text.txt")
    >>> items.tokens.tolist(), items.scored.tolist()
    ([0, 7, 8, 0, 9], [2, 1])
    """
    bounds = np.array(spans, dtype=np.int32).reshape(-1, 2)
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    tokens = np.concatenate(sequences) if sequences else np.zeros(0)
    return Items(kind, name, tokens.astype(np.int32), lengths, bounds[:, 0], bounds[:, 1], columns, source, framing)
