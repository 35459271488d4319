"""Rules about names of revisions: steps that the grid lacks, names like steps that no pattern matches, odd tokens."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.audit.listed import ListedSuite
from phasescope.audit.repeated import last_steps
from phasescope.store import ShardKey

_LIKE_A_STEP = re.compile(r"(?i)(?:step|checkpoint|ckpt|chck|iter)[a-z]*[-_]?\d")
_TOKENS = re.compile(r"(?i)tokens?[-_]?(\d+(?:\.\d+)?)([KMBT])(?![A-Za-z0-9])")
_TIMES = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
# A grid that lacks more than this is none.
_SPARSE = 0.2
_SHOWN = 6
# Names round the tokens they tell, to a tenth of a short interval at most.
_OFF = 0.2


def grid_gaps(suite: ListedSuite) -> Iterator[Finding]:
    """Steps that lie between others of an even grid and have no revision."""
    last = last_steps(suite.of)
    for size, seed in last:
        steps = sorted(key.step for key in suite.of if (key.size, key.seed) == (size, seed))
        spacings = Counter(after - before for before, after in pairwise(steps))
        if not spacings:
            continue
        spacing, times = spacings.most_common(1)[0]
        on_grid = [step for step in steps if step % spacing == 0]
        if times < 8 or spacing < 2 or len(on_grid) < 2:
            continue
        begin = next(before for before, after in pairwise(steps) if after - before == spacing)
        absent = sorted({*range(begin - begin % spacing, on_grid[-1], spacing)} - {*steps, 0})
        absent = [step for step in absent if step > begin]
        if absent and len(absent) <= _SPARSE * (len(absent) + times):
            yield Finding(
                "steps missing",
                tuple(ShardKey(size, seed, step) for step in absent),
                f"{words.model(size, [seed], last)}: the repository has no {words.steps(absent)}, between others every "
                f"{spacing} steps.",
                f"{len(absent)} of {len(absent) + len(on_grid)} steps every {spacing}",
                "note",
            )


def unmatched_names(suite: ListedSuite) -> Iterator[Finding]:
    """Branches and tags that look like steps and are no checkpoint of the suite."""
    last = last_steps(suite.of)
    read: dict[str, dict[str, ShardKey]] = {}
    for key, checkpoint in suite.checkpoints.items():
        read.setdefault(checkpoint.location, {})[checkpoint.revision or ""] = key
    for repository, names in suite.revisions.items():
        known = read[repository]
        if all(re.fullmatch(r"main|[0-9a-f]{40}", name) for name in known):
            continue  # its checkpoints are commits, or it is one itself
        left = [name for name in names if name not in known and _LIKE_A_STEP.search(name)]
        if left:
            of = next(iter(known.values()))
            shown = ", ".join(left[:_SHOWN]) + (", …" if len(left) > _SHOWN else "")
            yield Finding(
                "names not read",
                (),
                f"{words.model(of.size, [of.seed], last)}: {len(left)} of the revisions of {repository} "
                f"{words.verb(len(left), 'looks like a step and is', 'look like steps and are')} not read: {shown}.",
                f"{len(known)} of {len(names)} revisions are read",
                "note",
            )


def tokens_and_steps(suite: ListedSuite) -> Iterator[Finding]:
    """Revisions whose names tell fewer tokens than that of the step before, or too many between others: mixed up.

    Batches may grow during a training; a step is odd where those around it fit one rate, and it does not.
    """
    last = last_steps(suite.of)
    for size, seed in last:
        told = [
            (key, tokens)
            for key, one in sorted(suite.checkpoints.items())
            if (key.size, key.seed) == (size, seed) and (tokens := _tokens(one.revision or ""))
        ]
        falling = {key for (_, before), (key, tokens) in pairwise(told) if tokens < before}
        odd = sorted(falling or _off_the_line(told))
        if odd:
            named = [suite.checkpoints[key].revision or "" for key in odd]
            yield Finding(
                "tokens and steps",
                tuple(odd),
                f"{words.model(size, [seed], last)}: the tokens in {words.listed(named[:_SHOWN])} do not grow with the "
                "steps as those of the others do.",
                f"{len(odd)} of {len(told)} names",
                "likely",
                tuple(odd),
            )


def _off_the_line(told: Sequence[tuple[ShardKey, float]]) -> set[ShardKey]:
    """Those that lie off the line of the steps around them, where the two before and the two behind are on it."""
    found = set()
    for place in range(2, len(told) - 2):
        around = [told[place + other] for other in (-2, -1, 1, 2)]
        steps, tokens = ([one[0].step for one in around], [one[1] for one in around])
        rates = [(tokens[two] - tokens[one]) / (steps[two] - steps[one]) for one, two in ((0, 1), (1, 2), (2, 3))]
        own = told[place][0].step
        off = abs(told[place][1] - tokens[1] - rates[1] * (own - steps[1]))
        if min(rates) > (1 - _OFF) * max(rates) and off > _OFF * (tokens[2] - tokens[1]):
            found.add(told[place][0])
    return found


def _tokens(name: str) -> float:
    """The tokens that a revision's name tells; 0 where it tells none."""
    found = _TOKENS.search(name)
    if found is None:
        return 0.0
    return float(found[1]) * _TIMES[found[2].lower()]
