"""The files of a checkpoint on the hub, downloaded into the hub's own cache when they are needed.

The client of the hub does this, but for the bytes of large files: its own download of them begins anew after a stop,
cannot be stopped between two chunks of ten megabytes and does not say how far it is. They are put where it looks for
them, and it finds them there.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import time
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from phasescope.errors import NO_SPACE, BadCheckpointError
from phasescope.suites.cached import cache_of
from phasescope.suites.fetched import fetched
from phasescope.suites.hub_answers import disk_full, explained
from phasescope.suites.suite import Checkpoint
from phasescope.suites.transfer import current, patiently
from phasescope.suites.weights import LIKE_WEIGHTS

if TYPE_CHECKING:
    from huggingface_hub import RepoFile, ResolvedRevision

CONFIG_FILES = ("config.json", "adapter_config.json", "*.py")
TOKENIZER_FILES = (
    "config.json",
    "*.py",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
)
# Python files are fetched with the configuration, but run only where remote code was asked for.
SAFETENSORS_FILES = (
    *CONFIG_FILES,
    "generation_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "adapter_model.safetensors",
)
PICKLED_FILES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")

# Seconds between two words of how far a download is: pieces are many, and what probes at the same time is slowed.
_BETWEEN_WORDS = 0.2

# Larger files the hub gives to its own client alone, by another protocol.
_LARGEST_OVER_HTTP = 50 * 10**9


def fetch(checkpoint: Checkpoint, files: tuple[str, ...], revision: str | None = None) -> Path:
    """The folder with those files of a hub checkpoint whose names match `files`; downloaded if they are not cached.

    The folder's name is the commit. Files in subfolders are left out, unless they are named with their path; those of a
    checkpoint that is a folder of a revision (`checkpoint.folder`) are looked for there.
    `revision` reads another one than the checkpoint's own. A download that was stopped, in this process or an
    earlier one, goes on where it was.

    Raises `BadCheckpointError` where the hub has no such repository or revision (or does not show it), and
    `PhasescopeError` where it cannot be reached or the disk is full: then no other checkpoint would do better.
    """
    from huggingface_hub import constants, snapshot_download

    inside = checkpoint.folder if revision is None else ""
    revision = revision or checkpoint.revision or "main"
    key = (constants.HF_HUB_CACHE, checkpoint.location, revision)
    folder, there = fetched.get(key, (Path(), set()))
    wanted = tuple(f"{inside}/{name}" for name in files) if inside else files
    if there.issuperset(wanted) and (folder / inside / "config.json").exists():
        return folder
    with explained(checkpoint.location, checkpoint):
        ref = cache_of(checkpoint.location) / "refs" / revision
        had_ref = ref.exists()
        commit = _resolve(checkpoint.location, revision)
        if not _is_complete(checkpoint.location, commit, wanted) and not constants.HF_HUB_OFFLINE:
            _fetch_large(checkpoint, commit, wanted, None if had_ref else ref)
        folder = Path(
            patiently(
                lambda: snapshot_download(
                    checkpoint.location,
                    revision=commit,
                    allow_patterns=list(wanted),
                    ignore_patterns=_deeper(inside, files),
                    tqdm_class=_silent(),
                )
            )
        )
    # A branch may have moved since: what was fetched at another commit is not in this folder.
    same = folder == fetched.get(key, (folder, there))[0]
    fetched[key] = folder, {*wanted, *(there if same else ())}
    return folder


def _deeper(inside: str, files: tuple[str, ...]) -> list[str] | None:
    """What patterns would find in folders further down, for to the hub's client a star stands for slashes too."""
    if any("/" in name for name in files):
        return None
    return [f"{inside}/*/*" if inside else "*/*"]


def size_of(checkpoint: Checkpoint) -> tuple[int, int]:
    """The bytes of a checkpoint's configuration and weights: of all of them, and of those that are not cached.

    Raises as `fetch` does. Nothing is downloaded.
    """
    with explained(checkpoint.location, checkpoint):
        commit = _resolve(checkpoint.location, checkpoint.revision or "main")
        listing = _listing(checkpoint.location, commit.resolved)
        own = SAFETENSORS_FILES if checkpoint.file is None else (*CONFIG_FILES, checkpoint.file)
        files = _matching(listing, own, checkpoint.folder)
        if checkpoint.file is None and not any(".safetensors" in file.path for file in files):
            files = _matching(listing, (*SAFETENSORS_FILES, *PICKLED_FILES), checkpoint.folder)
    cache = cache_of(checkpoint.location)
    return sum(file.size for file in files), sum(file.size for file in files if not _blob(cache, file).exists())


def files_like_weights(checkpoint: Checkpoint) -> list[str]:
    """The files on the hub, in folders too, whose names say that they may hold weights."""
    with explained(checkpoint.location, checkpoint):
        commit = _resolve(checkpoint.location, checkpoint.revision or "main")
        return sorted(
            file.path for file in _listing(checkpoint.location, commit.resolved) if file.path.endswith(LIKE_WEIGHTS)
        )


def folders_in(repository: str) -> list[str]:
    """The folders of the default branch that hold a model, or an adapter of one."""
    commit = _resolve(repository, "main")
    paths = [file.path.rpartition("/") for file in _listing(repository, commit.resolved)]
    return sorted({folder for folder, _, name in paths if folder and name in ("config.json", "adapter_config.json")})


def _resolve(repository: str, revision: str) -> ResolvedRevision:
    """The commit of a revision: the hub's, or where it cannot be reached that of the cache."""
    from huggingface_hub import HfApi

    return patiently(lambda: HfApi().resolve_revision(repository, revision=revision))


@functools.lru_cache(maxsize=64)
def _listing(repository: str, commit: str) -> tuple[RepoFile, ...]:
    """The files of a commit, which never change."""
    from huggingface_hub import HfApi, RepoFile

    entries = HfApi().list_repo_tree(repository, revision=commit, recursive=True)
    return tuple(entry for entry in entries if isinstance(entry, RepoFile))


def _matching(entries: Iterable[RepoFile], patterns: tuple[str, ...], folder: str = "") -> list[RepoFile]:
    """The files that match; a star stands for no slash. folder: where patterns begin."""
    whole = [f"{folder}/{each}" if folder else each for each in patterns]
    return [
        entry
        for entry in entries
        if entry.path in whole
        or any(entry.path.count("/") == each.count("/") and fnmatch(entry.path, each) for each in whole)
    ]


def _is_complete(repository: str, commit: ResolvedRevision, files: tuple[str, ...]) -> bool:
    """Whether the cache knows what there is at this commit, and has those files of it."""
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError

    try:
        entries = get_cached_repo_tree(repository, revision=commit)
    except CachedRepoTreeNotFoundError:
        return False
    snapshot = cache_of(repository) / "snapshots" / commit.resolved
    return all((snapshot / entry.path).is_file() for entry in _matching(entries, files))


def _fetch_large(checkpoint: Checkpoint, commit: ResolvedRevision, files: tuple[str, ...], ref: Path | None) -> None:
    """Make room for what is to be fetched, and fetch the large files of it."""
    cache, transfer = cache_of(checkpoint.location), current()
    wanted = _matching(_listing(checkpoint.location, commit.resolved), files)
    if transfer.room is not None:
        transfer.room.take(
            (checkpoint.location, files[0] if files == (checkpoint.file,) else checkpoint.folder or str(commit)),
            cache / "snapshots" / commit.resolved,
            ref,
            {file.path: (_blob(cache, file), file.size) for file in wanted},
            transfer.check,
        )
    for file in wanted:
        if file.lfs is not None and file.size <= _LARGEST_OVER_HTTP and not _blob(cache, file).exists():
            _download(checkpoint, commit.resolved, file, _blob(cache, file))


def _download(checkpoint: Checkpoint, commit: str, file: RepoFile, blob: Path) -> None:
    """Put a file's bytes in their place, beginning with those that an earlier try has left."""
    from filelock import FileLock
    from huggingface_hub import hf_hub_url

    partial, place = blob.with_name(f"{blob.name}.incomplete"), f"{checkpoint.place}: {file.path}"
    lock = blob.parents[2] / ".locks" / blob.parents[1].name / f"{blob.name}.lock"  # the client's own
    for folder in (blob.parent, lock.parent):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if blob.exists():
            return
        have = partial.stat().st_size if partial.exists() else 0
        if have > file.size:
            partial.unlink()
            have = 0
        free = shutil.disk_usage(blob.parent).free
        if free < file.size - have:
            raise disk_full(place, file.size - have, free)
        url = hf_hub_url(checkpoint.location, file.path, revision=commit)
        try:
            with partial.open("ab+") as opened:
                patiently(lambda: _stream(url, opened, file.size, checkpoint.label), opened.tell)
        except OSError as error:
            if error.errno in NO_SPACE:  # What lies there must not keep others from writing.
                partial.unlink(missing_ok=True)
            raise
        if file.lfs is not None and sha256(partial) != file.lfs.sha256:
            partial.unlink()
            raise BadCheckpointError(
                f"{checkpoint.label}: {file.path} arrived from {checkpoint.place} with other bytes than the hub lists. "
                "Run the same command again."
            )
        partial.replace(blob)


def _stream(url: str, file: BinaryIO, size: int, label: str) -> None:
    """Append what is missing of a file. What arrived before something went wrong stays."""
    from huggingface_hub import constants, get_session

    # Documented there, though not listed in its __all__.
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status  # type: ignore[attr-defined]

    transfer = current()
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if file.tell() == size:
        return
    if file.tell():
        headers["Range"] = f"bytes={file.tell()}-"
    # Where this leads to another host, the client leaves out who the user is.
    with get_session().stream(
        "GET", url, headers=headers, follow_redirects=True, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT
    ) as response:
        hf_raise_for_status(response)
        if file.tell() and response.status_code != 206:
            file.seek(0)
            file.truncate()
        told = 0.0
        for piece in response.iter_raw():
            transfer.check()
            file.write(piece)
            transfer.bytes += len(piece)
            if time.monotonic() - told > _BETWEEN_WORDS:
                transfer.tell(f"fetching {label}, {file.tell() / size:.0%}")
                told = time.monotonic()
    file.flush()


def sha256(path: Path) -> str:
    """Of the bytes of a file, as the hub lists it of large files."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _blob(cache: Path, file: RepoFile) -> Path:
    """Where the client keeps a file's bytes."""
    return cache / "blobs" / (file.lfs.sha256 if file.lfs is not None else file.blob_id)


@functools.cache
def _silent() -> type:
    """Progress bars that show nothing: the client's would write over the display of what is being done."""
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    class Silent(tqdm):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **{**options, "disable": True})  # type: ignore[no-untyped-call]

    return Silent
