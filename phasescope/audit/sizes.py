"""Rules about how much there is of the weights: files that are empty or cut short, ranks that lack, other sizes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from phasescope.audit import words
from phasescope.audit.finding import Certainty, Finding
from phasescope.audit.listed import ListedSuite, Variant
from phasescope.audit.repeated import last_steps
from phasescope.store import ShardKey

# Checkpoints of one model differ in size by metadata alone; another type or vocabulary makes more than this.
_SAME_SIZE = 0.01
# No type of numbers makes so little of the same weights: 4 bits are an eighth of 32.
_CUT_SHORT = 0.1
_SHOWN = 6
_RANK = re.compile(r"__(\d+)_\d+\.distcp")


def of_sizes(suite: ListedSuite) -> Iterator[Finding]:
    """Every one of them, model by model."""
    last = last_steps(suite.of)
    for model in last:
        whole = {
            key: listed.loaded
            for key, listed in sorted(suite.of.items())
            if (key.size, key.seed) == model and listed.loaded and listed.lacking[0] == listed.lacking[1]
        }
        ranks = list(_lacking_ranks(whole, last))
        cut = list(_cut_short({key: files for key, files in whole.items() if not _are_of(key, ranks)}, last))
        yield from (*ranks, *cut)
        yield from _other_sizes({key: files for key, files in whole.items() if not _are_of(key, [*ranks, *cut])}, last)


def _are_of(key: ShardKey, findings: Sequence[Finding]) -> bool:
    return any(key in one.checkpoints for one in findings)


def _lacking_ranks(whole: Mapping[ShardKey, Variant], last: Mapping[tuple[str, int], int]) -> Iterator[Finding]:
    """Distributed checkpoints without the files of a rank that the others have.

    Of one that lacks the last ranks alone it may be that it was saved by fewer.
    """
    ranks = {
        key: {int(one[1]): path for path in files if (one := _RANK.fullmatch(path))} for key, files in whole.items()
    }
    of_ranks = {key: of for key, of in ranks.items() if of}
    times = Counter(rank for of in of_ranks.values() for rank in of)
    usual = {rank for rank, number in times.items() if 2 * number > len(of_ranks)}
    for key, of in of_ranks.items():
        absent = sorted(usual - set(of))  # a rank that has nothing to write has no file anywhere
        if absent:
            names = [f"__{rank}_0.distcp" for rank in absent[:_SHOWN]]
            yield Finding(
                "missing weights",
                (key,),
                f"{words.checkpoints([key], last)} lacks the files of {len(absent)} of {len(usual | set(of))} ranks: "
                f"{', '.join(names)}{', …' if len(absent) > _SHOWN else ''}.",
                f"{len(of)} ranks at {key.label}, {len(usual)} mostly",
                "certain" if absent[0] < max(of) else "likely",
                (key,),
            )


def _cut_short(whole: Mapping[ShardKey, Variant], last: Mapping[tuple[str, int], int]) -> Iterator[Finding]:
    """Checkpoints with a weight file that is empty, or much smaller than the others' are."""
    totals = {key: _bytes(files) for key, files in whole.items()}
    usual = median(totals.values()) if totals else 0
    of_path: dict[str, list[int]] = {}
    for files in whole.values():
        for path, file in files.items():
            of_path.setdefault(path, []).append(file.size)
    usual_of = {path: median(sizes) for path, sizes in of_path.items()}
    empty = [key for key, files in whole.items() if any(file.size == 0 for file in files.values())]
    small = [
        key
        for key, files in whole.items()
        if key not in empty
        and (
            totals[key] < _CUT_SHORT * usual
            or any(file.size < _CUT_SHORT * usual_of[path] for path, file in files.items())
        )
    ]
    told: tuple[tuple[list[ShardKey], Certainty, str, str], ...] = (
        (empty, "certain", "has an empty weight file", "have empty weight files"),
        (small, "likely", "has far fewer bytes of weights", "have far fewer bytes of weights"),
    )
    for keys, certainty, one, several in told:
        if keys:
            why = "" if keys is empty else " than the other checkpoints: a file that was cut short, or holds no weights"
            said = f"{words.checkpoints(keys, last)} {words.verb(len(keys), one, several)}{why}."
            seen = f"{_each(totals, keys)}, {usual:,.0f} mostly"
            yield Finding("truncated weights", tuple(keys), said, seen, certainty, tuple(keys))


def _other_sizes(whole: Mapping[ShardKey, Variant], last: Mapping[tuple[str, int], int]) -> Iterator[Finding]:
    """Checkpoints with more or fewer bytes of weights than the others of their model: mostly a type or a vocabulary."""
    totals = {key: _bytes(files) for key, files in whole.items()}
    usual = median(totals.values()) if totals else 0
    keys = [key for key, size in totals.items() if abs(size - usual) > _SAME_SIZE * usual]
    if keys and 2 * len(keys) < len(totals):  # of two, which is the other one?
        yield Finding(
            "another size",
            tuple(keys),
            f"{words.checkpoints(keys, last)} {words.verb(len(keys), 'has', 'have')} another size than the other "
            "checkpoints: often another type of numbers, or more rows of vocabulary.",
            f"{_each(totals, keys)}, {usual:,.0f} mostly",
            "note",
        )


def _bytes(files: Variant) -> int:
    return sum(file.size for file in files.values())


def _each(totals: Mapping[ShardKey, int], keys: Sequence[ShardKey]) -> str:
    shown = [f"{totals[key]:,} bytes at {key.label}" for key in keys[:_SHOWN]]
    return ", ".join(shown) + (", …" if len(keys) > _SHOWN else "")
