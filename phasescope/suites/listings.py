"""What the hub lists of a suite: of each revision its commit and its files with sizes and hashes; no file is fetched.

One request for each repository tells its branches and tags, one for each revision its files. The files of a commit
never change, so a listing is kept (in the user's cache, by commit) and not asked for again: an audit that was stopped,
or that was made to wait by the hub's limit of requests, goes on where it was.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from phasescope.console import progress
from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.store import read_json, write_json
from phasescope.suites.adapters import base_named, is_adapter
from phasescope.suites.distributed import distributed_in
from phasescope.suites.download import sha256
from phasescope.suites.hub_answers import explained
from phasescope.suites.suite import Checkpoint, Suite
from phasescope.suites.transfer import Transfer, patiently, transferring

# Requests under way at once: few, for the hub counts them.
_AT_ONCE = 8
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class ListedFile:
    """One file of a listing. hash: sha256 of a large one, git's blob id of another; None where the hub tells none."""

    path: str
    size: int
    hash: str | None


@dataclass(frozen=True)
class Listing:
    """The files of one commit, or of a folder (whose commit is ""). base: what an adapter in a folder adapts."""

    commit: str
    files: tuple[ListedFile, ...]
    base: str = ""


@dataclass(frozen=True)
class Listings:
    """What is listed of a suite.

    Attributes:
        of: of each checkpoint; None where the repository has no such revision.
        main: of each repository what its default branch holds, where it has one.
        revisions: the branches and tags of each repository, by name, with the commit of each.
        renamed: of repositories that have another name now, that name.
        before: what was listed of a checkpoint earlier, where its revision was another commit then: the latest such.
    """

    of: Mapping[Checkpoint, Listing | None]
    main: Mapping[str, Listing] = field(default_factory=dict)
    revisions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[Checkpoint, Listing] = field(default_factory=dict)


def hub_listings(
    checkpoints: Sequence[Checkpoint],
    told: Callable[[int], None] = lambda _: None,
    beside: Callable[[str], None] = lambda _: None,
) -> Listings:
    """What the hub lists of checkpoints that are there, and of the default branch of each of their repositories.

    told: is called with how many of the checkpoints are listed with each answer; beside: with what is waited for.

    Raises `PhasescopeError` if the hub cannot be reached, or does not show a repository.
    """
    repositories = list(dict.fromkeys(checkpoint.location for checkpoint in checkpoints))
    with (
        transferring(Transfer(tell=beside)) as transfer,
        ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="listings") as pool,
    ):
        try:
            answers = dict(zip(repositories, pool.map(_refs, repositories), strict=True))
            refs = {repository: commits for repository, (_, commits) in answers.items()}
            wanted = {(one.location, one.revision or "main") for one in checkpoints}
            wanted |= {(repository, "main") for repository in repositories}
            named: dict[tuple[str, str], list[str]] = {}
            for repository, revision in sorted(wanted):
                if commit := _commit(refs[repository], revision):
                    named.setdefault((repository, commit), []).append(revision)
            asked = {pool.submit(_listing, *commit): commit for commit in named}
            found: dict[tuple[str, str], Listing | None] = {}
            for answer in as_completed(asked):
                repository, revisions = asked[answer][0], named[asked[answer]]
                found_now = {(repository, revision): answer.result() for revision in revisions}
                found |= found_now
                told(sum((one.location, one.revision or "main") in found_now for one in checkpoints))
        except BaseException:
            transfer.stop()  # nobody waits for a busy hub any longer
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Listings(
        {one: found.get((one.location, one.revision or "main")) for one in checkpoints},
        {repository: main for repository in repositories if (main := found.get((repository, "main")))},
        {repository: dict(sorted(refs[repository].items())) for repository in repositories},
        {repository: name for repository, (name, _) in answers.items() if name not in ("", repository)},
        _earlier(checkpoints, refs),
    )


def listed_elsewhere(listings: Listings, recorded: Mapping[Checkpoint, str]) -> Listings:
    """What is listed of further checkpoints of the same repositories that are at another commit than is recorded.

    recorded: the commit that each was recorded at. Of a revision that is gone nothing is.

    Raises `PhasescopeError` if the hub cannot be reached.
    """
    moved = {}
    for one, before in recorded.items():
        now = listings.revisions.get(one.location, {}).get(one.revision or "main", before)
        if now != before:
            moved[one] = now
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="listings") as pool:
        return Listings(
            dict(zip(moved, pool.map(_listing, [one.location for one in moved], moved.values()), strict=True))
        )


def _refs(repository: str) -> tuple[str, dict[str, str]]:
    """What the repository is called, as the hub leads there from that name, and the commit of each branch and tag."""
    from huggingface_hub import constants

    with explained(repository):
        answer = patiently(functools.partial(_ask, f"{constants.ENDPOINT}/api/models/{repository}/refs"))
    told = answer.json()
    name = re.search(r"/api/models/(.+)/refs", str(answer.url))
    commits = {ref["name"]: ref["targetCommit"] for kind in ("tags", "branches") for ref in told.get(kind, [])}
    return name[1] if name else "", commits


def _earlier(checkpoints: Sequence[Checkpoint], refs: Mapping[str, Mapping[str, str]]) -> dict[Checkpoint, Listing]:
    """What revisions held that are another commit now than when they were listed; now is noted for the next time."""
    seen = {repository: _seen(repository) for repository in refs}
    found = {}
    for one in checkpoints:
        now = _commit(refs[one.location], one.revision or "main")
        commits = seen[one.location].setdefault(one.revision or "main", [])
        others = [commit for commit in commits if commit != now]
        if now and others and (listing := _kept_listing(one.location, others[-1])):
            found[one] = listing
        if now:
            seen[one.location][one.revision or "main"] = [*others, now]
    for repository, commits_of in seen.items():
        with suppress(OSError, PhasescopeError):
            write_json(_kept(repository, "commits"), commits_of)
    return found


def _seen(repository: str) -> dict[str, list[str]]:
    """The commits that each revision was seen at, the latest last."""
    with suppress(PhasescopeError, AttributeError, TypeError):
        return {str(name): list(map(str, commits)) for name, commits in read_json(_kept(repository, "commits")).items()}
    return {}


def _commit(refs: Mapping[str, str], revision: str) -> str | None:
    """The commit that a revision is; a revision may be one itself."""
    return refs.get(revision) or (revision if _COMMIT.fullmatch(revision) else None)


def _listing(repository: str, commit: str) -> Listing | None:
    """The files of a commit, as kept or as the hub tells; None where it has no such commit (any more)."""
    from huggingface_hub import errors

    if (known := _kept_listing(repository, commit)) is not None:
        return known
    kept = _kept(repository, commit)
    with explained(repository):
        try:
            files = tuple(_file(entry) for entry in _pages(repository, commit) if entry.get("type") == "file")
        except errors.RevisionNotFoundError:
            return None
    listing = Listing(commit, files)
    with suppress(OSError, PhasescopeError):  # where nothing can be kept it is asked for again
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, asdict(listing))
    return listing


def _kept_listing(repository: str, commit: str) -> Listing | None:
    with suppress(PhasescopeError, TypeError, KeyError, AttributeError):
        entries = read_json(_kept(repository, commit))["files"]
        return Listing(commit, tuple(ListedFile(**entry) for entry in entries))
    return None


def _pages(repository: str, commit: str) -> Iterable[dict[str, Any]]:
    """Every entry below a commit; a thousand to a page."""
    from huggingface_hub import constants

    url: str | None = f"{constants.ENDPOINT}/api/models/{repository}/tree/{quote(commit, safe='')}?recursive=true"
    while url:
        page = patiently(functools.partial(_ask, url))
        yield from page.json()
        url = page.links.get("next", {}).get("url")


def _ask(url: str) -> Any:
    from huggingface_hub import constants, get_session

    # Documented there, though not listed in its __all__.
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    response = get_session().get(
        url, headers=build_hf_headers(), timeout=constants.HF_HUB_ETAG_TIMEOUT, follow_redirects=True
    )
    hf_raise_for_status(response)
    return response


def _file(entry: Mapping[str, Any]) -> ListedFile:
    return ListedFile(str(entry["path"]), int(entry.get("size") or 0), (entry.get("lfs") or entry).get("oid"))


def _kept(repository: str, commit: str) -> Path:
    return kept_under("listings", repository) / f"{commit}.json"


def kept_under(kind: str, repository: str = "") -> Path:
    """The folder in the user's cache for what is known of a hub, or of a repository there."""
    import platformdirs
    from huggingface_hub import constants

    hub = urlsplit(constants.ENDPOINT).netloc.replace(":", "-")
    return Path(platformdirs.user_cache_dir("phasescope")) / kind / hub / repository.replace("/", "--")


def listings_of(suite: Suite) -> Listings:
    """What is listed of a suite: by the hub, or of folders what lies there (whose weights are read, for their hashes).

    Raises as `hub_listings` does; `BadCheckpointError` for a file that cannot be read.
    """
    remote = [checkpoint for checkpoint in suite if not checkpoint.is_local]
    with progress(len(suite), "listing", "checkpoints") as tracker:
        # Several are asked for at once: none is named, beside what is waited for.
        found = hub_listings(remote, tracker.advance, tracker.beside) if remote else Listings({})
        local: dict[Checkpoint, Listing | None] = {}
        for checkpoint in suite:
            if checkpoint.is_local:
                tracker.doing(checkpoint.label)
                local[checkpoint] = folder_listing(Path(checkpoint.location))
                tracker.advance()
    return replace(found, of={**found.of, **local})


def folder_listing(folder: Path) -> Listing | None:
    """The files of a folder, with the sha256 of each; None where it is gone.

    Of a distributed checkpoint those of the folder that it is in; where a checkpoint is one file, that.
    """
    if not folder.exists():
        return None
    try:
        within = distributed_in(folder) or folder
        files = [folder] if folder.is_file() else sorted(path for path in within.iterdir() if path.is_file())
        listed = tuple(ListedFile(path.name, path.stat().st_size, sha256(path)) for path in files)
        return Listing("", listed, base_named(within) if within.is_dir() and is_adapter(within) else "")
    except OSError as error:
        raise BadCheckpointError(f"{error.filename or folder} cannot be read ({error.strerror}).") from error
