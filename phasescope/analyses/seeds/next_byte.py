"""How far apart are models that cut the text differently? KL between what they say of its next byte.

Where two tokenizers both have a boundary, both models say which token comes next; summed by the first byte of the token
that is a distribution of the next byte, over 256 bytes and one class for tokens that are no text (its end). By the
data-processing inequality its KL is never more than that of what the models say of the whole rest of the text.
docs/analyses/seeds.md says what else it is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasescope.analyses.reader import RunReader, as_table
from phasescope.analyses.resampled_means import resampled_ratios
from phasescope.analyses.seeds.columns import NEXT_BYTE

if TYPE_CHECKING:
    from jaxtyping import Float32, Float64, Int
    from pandas import DataFrame

    from phasescope.analyses.options import Options

_NAME = "outputs/next_byte"


@dataclass(frozen=True, eq=False)
class _Places:
    """The positions of a run at which a byte is asked for: their number, window by window, and their window."""

    number: Int[np.ndarray, "positions"]
    sequence: Int[np.ndarray, "positions"]


def next_byte_table(reader: RunReader, options: Options) -> DataFrame:
    """Table `next_byte`: one row per step and size with its own seeds, and with each size of the runs beside it.

    What is not there is said by the attribute `absent`; `uncompared` is the part of it about runs that were asked for.
    """
    rows: list[tuple[Any, ...]] = []
    reasons: list[str] = []
    uncompared: list[str] = []
    if not _has_bytes(reader):
        reasons.append("RUN holds no next bytes: capture with --next-byte.")
    else:
        rows += _own(reader, options)
        for path in options.beside:
            found, reason = _beside(reader, Path(path), options)
            rows += found
            uncompared += [reason] if reason else []
    order = {size: place for place, size in enumerate(reader.sizes)}
    rows.sort(key=lambda row: (row[0] != "seeds", row[2], order[row[1]], row[3], row[4]))
    table: DataFrame = as_table(rows, NEXT_BYTE)
    if uncompared:
        table.attrs["uncompared"] = " ".join(uncompared)
    if reasons or uncompared:
        table.attrs["absent"] = " ".join(reasons + uncompared)
    return table


def _has_bytes(reader: RunReader) -> bool:
    for key in reader.keys[:1]:
        with reader.folder.open_shard(key) as shard:
            return _NAME in shard.names("outputs")
    return False


def _own(reader: RunReader, options: Options) -> Iterator[tuple[Any, ...]]:
    """Seeds of each size at the same step, at every position."""
    tokens = reader.inputs.tokens[: reader.inputs.output_sequences, 1:]
    number = np.arange(tokens.size)
    places = _Places(number, number // tokens.shape[1])
    for size in reader.sizes:
        for step in reader.steps(size):
            models = _models(reader, size, step, places)
            if len(models) > 1:
                kl = _pairwise(models)
                apart = kl[~np.eye(len(kl), dtype=bool)]
                there = _summary(apart, places.sequence, options)
                shape = _shape(apart, places.sequence, len(apart), options)
                yield ("seeds", size, "", size, step, *there, *(np.nan,) * 3, *shape)


def _beside(reader: RunReader, path: Path, options: Options) -> tuple[list[tuple[Any, ...]], str]:
    """Rows about another run, or why there are none."""
    from phasescope.store import RunFolder

    other = RunReader(RunFolder(path))
    other.require_shards()
    if not _has_bytes(other):
        return [], f"{path.name} holds no next bytes: capture it with --next-byte."
    ours, theirs = _common(reader, other)
    if not len(ours.number):
        return [], _nothing_common(reader, other)
    rows = []
    for size in reader.sizes:
        for beside in other.sizes:
            for step in sorted({*reader.steps(size)} & {*other.steps(beside)}):
                here, there = _models(reader, size, step, ours), _models(other, beside, step, theirs)
                if len(here) and len(there):
                    rows.append(("runs", size, path.name, beside, step, *_between(here, there, ours.sequence, options)))
    return rows, "" if rows else f"{path.name} and RUN have no step in common."


def _nothing_common(reader: RunReader, other: RunReader) -> str:
    """Why two runs have no position at which both can be asked, and what can be done."""
    names = {"RUN": reader, other.folder.path.name: other}
    nowhere = [name for name, one in names.items() if _boundaries(one).empty]
    if nowhere:
        return (
            f"Nothing was compared: of no token of {' and '.join(nowhere)} it is known where in the text it begins, "
            "because the tokenizer changes the text before it cuts it."
        )
    return (
        f"Nothing was compared: {other.folder.path.name} and RUN have no position of the text in common. Capture both "
        "with the same --texts, short enough to be read whole, and as many --output-sequences as --sequences."
    )


def _between(
    here: Float32[np.ndarray, "models positions classes"],
    there: Float32[np.ndarray, "others positions classes"],
    sequence: Int[np.ndarray, "positions"],
    options: Options,
) -> tuple[Any, ...]:
    kl = _pairwise(np.concatenate([here, there]))
    number, positions = len(here), kl.shape[2]
    over, back = (block.reshape(-1, positions) for block in (kl[:number, number:], kl[number:, :number]))
    summaries = (*_summary(over, sequence, options), *_summary(back, sequence, options))
    return (*summaries, *_shape(np.concatenate([over, back]), sequence, len(over), options))


def _common(reader: RunReader, other: RunReader) -> tuple[_Places, _Places]:
    """Where tokens of both runs begin at the same byte of the same document, but not at its very beginning.

    There some tokenizers put a blank that is not in the text.
    """
    joined = _boundaries(reader).merge(_boundaries(other), on=["document", "start"], suffixes=("", "_there"))
    joined = joined.sort_values("number", kind="stable")
    columns = (("number", "sequence"), ("number_there", "sequence_there"))
    ours, theirs = (_Places(*(joined[name].to_numpy(np.int64) for name in pair)) for pair in columns)
    return ours, theirs


def _boundaries(reader: RunReader) -> DataFrame:
    import pandas as pd

    inputs = reader.inputs
    assert inputs.bytes is not None  # or the run could not have kept next bytes
    windows = slice(inputs.output_sequences)
    documents, starts = (values[windows, 1:] for values in (inputs.bytes.documents, inputs.bytes.starts))
    number = np.arange(documents.size)
    table = pd.DataFrame({"document": documents.ravel(), "start": starts.ravel(), "number": number})
    table["sequence"] = number // documents.shape[1]
    return table[table["start"] > 0].drop_duplicates(["document", "start"])


def _models(
    reader: RunReader, size: str, step: int, places: _Places
) -> Float32[np.ndarray, "models positions classes"]:
    """Log-probabilities of the classes, of each seed that has them."""
    found = []
    for key in (key for key in reader.keys if (key.size, key.step) == (size, step)):
        with reader.folder.open_shard(key) as shard:
            if _NAME in shard.names("outputs"):
                values = shard.read(_NAME)
                found.append(values.reshape(-1, values.shape[-1])[places.number])
    return np.stack(found) if found else np.empty((0, len(places.number), 0), np.float32)


def _pairwise(
    models: Float32[np.ndarray, "models positions classes"],
) -> Float64[np.ndarray, "models models positions"]:
    from phasescope.measures import pairwise_kl

    return pairwise_kl(models).numpy()


def _summary(
    kl: Float64[np.ndarray, "pairs positions"], sequence: Int[np.ndarray, "positions"], options: Options
) -> tuple[float, float, float]:
    """The mean over pairs and positions, with its interval."""
    from phasescope.measures import interval

    mean = kl.mean(0)
    _, cluster = np.unique(sequence, return_inverse=True)
    sums, counts = np.bincount(cluster, weights=mean), np.bincount(cluster).astype(np.float64)
    value, drawn = resampled_ratios(sums[None], counts[None], options)
    low, high = interval(drawn, value, options.level)
    return float(value[0]), float(low[0]), float(high[0])


def _shape(
    kl: Float64[np.ndarray, "pairs positions"], sequence: Int[np.ndarray, "positions"], pairs: int, options: Options
) -> tuple[Any, ...]:
    return options.level, pairs, kl.shape[1], len(np.unique(sequence)), float(np.isinf(kl).mean())
