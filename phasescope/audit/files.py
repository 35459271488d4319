"""Rules about files: some parts equal, a stale variant, missing or empty revisions, another file as `main`.

Each is a function from what the hub lists (`ListedSuite`) to findings. Sources of what they look for: issues 206, 205,
202 and 141 of EleutherAI/pythia.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from phasescope.audit import words
from phasescope.audit.finding import Finding
from phasescope.audit.listed import ListedSuite, digest_of
from phasescope.audit.repeated import BEGINNING, last_steps
from phasescope.store import ShardKey


def equal_parts(
    parts_of: Mapping[ShardKey, Mapping[str, str]], what: str = "weight files", seen: str = "sha256"
) -> Iterator[Finding]:
    """Checkpoints that share some of their weight files with another step and not the rest: mixtures.

    parts_of: of each checkpoint the hash of each part, by its name. what: the parts, as sentences call them.
    seen: what is equal of them, as the evidence says it.

    Of a part that most checkpoints share it is supposed that it holds frozen weights; of steps 0 and 1, that the first
    update was zero for it.
    """
    last = last_steps(parts_of)
    digests = {key: " ".join(sorted(parts.values())) for key, parts in parts_of.items()}
    holding: dict[tuple[str, str], dict[ShardKey, str]] = {}
    for key, parts in parts_of.items():
        for path, digest in parts.items():
            if len(parts) > 1:
                holding.setdefault((key.size, digest), {})[key] = path
    parted: dict[str, int] = Counter(key.size for key, parts in parts_of.items() if len(parts) > 1)
    together: dict[tuple[tuple[ShardKey, ...], str], list[str]] = {}
    for (size, _), paths in holding.items():
        keys = sorted(paths)
        whole = {digests[key] for key in keys}
        frozen = len(keys) > parted[size] / 2 and len(keys) > 2
        if len(whole) < 2 or frozen or {key.step for key in keys} <= BEGINNING:
            continue
        # Of those that share a file it is likeliest the last step's: branches are cut from the end of a training.
        origin = next((key for key in keys if key.step == last[key.size, key.seed]), None)
        own = digests.get(origin) if origin else None
        suspects = tuple(key for key in keys if origin is None or digests.get(key) != own)
        said = "of another step" if origin is None else f"of {words.steps([origin.step])}"
        together.setdefault((suspects, said), []).append(paths[keys[0]])
    for (suspects, said), names in together.items():
        of = len(parts_of[suspects[0]])
        verb = words.verb(len(suspects), "holds", "hold")
        yield Finding(
            "some parts equal",
            suspects,
            f"{words.checkpoints(suspects, last)} {verb} {len(names)} of {of} {what} {said} "
            f"({words.listed(names[:3])}{', …' if len(names) > 3 else ''}), the others being their own: a mixture.",
            f"equal {seen} of {len(names)} of {of}",
            "certain",
            suspects,
        )


def stale_variants(suite: ListedSuite) -> Iterator[Finding]:
    """Checkpoints whose `.safetensors` is that of another, while the `.bin` beside it is theirs alone."""
    first = {key: digest_of(listed.loaded) for key, listed in suite.of.items() if len(listed.variants) > 1}
    second = {key: digest_of(list(suite.of[key].variants.values())[1]) for key in first}
    mains = suite.main_digests()
    times = Counter([*filter(None, first.values()), *mains.values()]), Counter(filter(None, second.values()))
    stale: dict[tuple[str, int], list[ShardKey]] = {}
    last = last_steps(suite.of)
    for key, digest in first.items():
        ends = key.step == last[key.size, key.seed]
        if not ends and key.step not in BEGINNING and times[0][digest] > 1 and times[1][second[key]] == 1:
            stale.setdefault((key.size, key.seed), []).append(key)
    for (size, seed), keys in stale.items():
        yield Finding(
            "stale variant",
            tuple(keys),
            f"{words.model(size, [seed], last)}: at {words.steps([key.step for key in keys])} model.safetensors is "
            "another checkpoint's and pytorch_model.bin is each one's own: what is loaded first is the wrong one.",
            f"{len(keys)} checkpoints with a repeated sha256 of the one and a unique sha256 of the other",
            "certain",
            tuple(keys),
        )


def missing_weights(suite: ListedSuite) -> Iterator[Finding]:
    """Revisions that are not there, that hold no weights, or fewer parts than these say there are."""
    last = last_steps(suite.of)
    gone, empty, parts = list[ShardKey](), list[ShardKey](), list[ShardKey]()
    for key, listed in sorted(suite.of.items()):
        if listed.listing is None:
            gone.append(key)
        elif not listed.loaded:
            empty.append(key)
        elif listed.lacking[0] < listed.lacking[1]:
            parts.append(key)
    for keys, one, several in (
        (gone, "is not in the repository", "are not in the repository"),
        (empty, "holds no weights", "hold no weights"),
        (parts, "lacks weight files", "lack weight files"),
    ):
        if keys:
            said = f"{words.checkpoints(keys, last)} {words.verb(len(keys), one, several)}."
            seen = _what_is_there(suite, keys)
            yield Finding("missing weights", tuple(keys), said, seen, "certain", tuple(keys))


def _what_is_there(suite: ListedSuite, keys: list[ShardKey]) -> str:
    listed = suite.of[keys[0]]
    if listed.listing is None:
        return f"no branch or tag of that name in {suite.checkpoints[keys[0]].location}"
    if listed.loaded:
        return f"{listed.lacking[0]} of {listed.lacking[1]} files at {keys[0].label}"
    names = [file.path for file in listed.listing.files]
    return f"{keys[0].label} has {words.listed(names[:4]) if names else 'no file'}{', …' if len(names) > 4 else ''}"


def main_and_last(suite: ListedSuite) -> Iterator[Finding]:
    """Models whose default branch holds other weights than the last step: averaged, annealed, or another training's."""
    digests, last = suite.digests(), last_steps(suite.of)
    for (size, seed), digest in suite.main_digests().items():
        key = ShardKey(size, seed, last[size, seed])
        same_files = set(suite.main[size, seed].loaded) == set(suite.of[key].loaded)  # else it may be a conversion
        if digests.get(key, digest) == digest or not same_files:
            continue
        same = [one.step for one in digests if (one.size, one.seed) == (size, seed) and digests[one] == digest]
        what = f"those of {words.steps(sorted(same))}" if same else "other weights than any step"
        yield Finding(
            "main is not the last step",
            (key,),
            f"{words.model(size, [seed], last)}: main is not step {key.step}, it holds {what}. Final weights are "
            "often averaged or annealed; else one of the two is of another training.",
            f"sha256 {digest[:16]}… at main, {digests[key][:16]}… at step {key.step}",
            "note",
        )


NO_HASHES = "no hashes"


def without_hashes(suite: ListedSuite, read: Collection[ShardKey] = ()) -> Iterator[Finding]:
    """Checkpoints of which the listing tells no hash of the weights: nothing can be said of what they hold.

    read: those of which some weights were.
    """
    digests, last = suite.digests(), last_steps(suite.of)
    keys = tuple(
        sorted(key for key, listed in suite.of.items() if listed.loaded and key not in digests and key not in read)
    )
    if keys:
        yield Finding(
            NO_HASHES,
            keys,
            f"Of {words.checkpoints(keys, last)} the listing tells no hash of the weights: whether they are those of "
            "another checkpoint is not known.",
            f"{len(keys)} of {len(suite.of)} checkpoints",
            "note",
        )
