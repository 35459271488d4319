"""A suite on the hub: one repository whose revisions are the checkpoints; and their files, downloaded when needed."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phasescope.errors import BadCheckpointError, PhasescopeError
from phasescope.suites.suite import Checkpoint, Suite, size_in

REPOSITORY = r"[\w.-]+/[\w.-]+"
STEP_PATTERN = r"step(?P<step>\d+)$"

CONFIG_FILES = ("config.json",)
TOKENIZER_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
)
# Python files are fetched with the weights, but run only where remote code was asked for.
SAFETENSORS_FILES = (
    "config.json",
    "generation_config.json",
    "*.py",
    "model*.safetensors",
    "model.safetensors.index.json",
)
PICKLED_FILES = ("pytorch_model*.bin", "pytorch_model.bin.index.json")

# What this process has already fetched: a checkpoint is opened several times (config, tokenizer, weights, one
# tensor), and each question to the hub costs a round trip.
_fetched: dict[tuple[str, str, str], tuple[Path, set[str]]] = {}


def open_hub(repository: str, pattern: str | None = None) -> Suite:
    """The revisions (branches and tags) of a repository that `pattern` finds, as checkpoints.

    `pattern` is a regular expression, searched for in each revision's name, with a group `(?P<step>\\d+)` and, if the
    names tell them, `(?P<seed>\\d+)` and `(?P<size>…)`. Without these the seed is 0 and the size is the number of
    parameters in the repository's name, or that name.

    Raises `PhasescopeError` if the hub cannot be reached, has no such repository, or no revision matches.
    """
    from huggingface_hub import HfApi

    expression = _compile(pattern or STEP_PATTERN)
    with _explained(repository):
        refs = HfApi().list_repo_refs(repository)
    revisions = sorted({ref.name for ref in [*refs.branches, *refs.tags]})
    name = repository.partition("/")[2]
    checkpoints = []
    for revision in revisions:
        found = expression.search(revision)
        if found is None:
            continue
        told = found.groupdict()
        checkpoints.append(
            Checkpoint(
                family=name,
                size=told.get("size") or size_in(name) or name,
                seed=_number(told.get("seed") or "0", "seed", revision),
                step=_number(told["step"] or "", "step", revision),
                location=repository,
                revision=revision,
            )
        )
    if not checkpoints:
        raise PhasescopeError(
            f"No revision of {repository} matches {expression.pattern!r}; it has {', '.join(revisions[:20])}"
            f"{', …' if len(revisions) > 20 else ''}. Give a pattern that matches, as in {repository}@{STEP_PATTERN}"
        )
    return Suite(name, repository if pattern is None else f"{repository}@{pattern}", tuple(checkpoints))


def fetch(checkpoint: Checkpoint, files: tuple[str, ...], revision: str | None = None) -> Path:
    """The folder with those files of a hub checkpoint whose names match `files`; downloaded if they are not cached.

    The folder's name is the commit. Files in subfolders are left out, unless they are named with their path.
    `revision` reads another one than the checkpoint's own.

    Raises `BadCheckpointError` where the hub has no such repository or revision (or does not show it), and
    `PhasescopeError` where it cannot be reached or the disk is full: then no other checkpoint would do better.
    """
    from huggingface_hub import constants, snapshot_download

    revision = revision or checkpoint.revision or "main"
    key = (constants.HF_HUB_CACHE, checkpoint.location, revision)
    folder, there = _fetched.get(key, (Path(), set()))
    if there.issuperset(files) and (folder / "config.json").exists():
        return folder
    with _explained(checkpoint.location, checkpoint), _no_progress_bars():
        folder = Path(
            snapshot_download(
                checkpoint.location,
                revision=revision,
                allow_patterns=list(files),
                ignore_patterns=None if any("/" in name for name in files) else ["*/*"],
            )
        )
    # A branch may have moved since: what was fetched at another commit is not in this folder.
    same = folder == _fetched.get(key, (folder, there))[0]
    _fetched[key] = folder, {*files, *(there if same else ())}
    return folder


def _compile(pattern: str) -> re.Pattern[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise PhasescopeError(f"{pattern!r} is not a regular expression: {error}.") from error
    if "step" not in expression.groupindex:
        raise PhasescopeError(
            f"The pattern {pattern!r} does not say where the step is: put it in a group, as in {STEP_PATTERN!r}."
        )
    return expression


def _number(text: str, what: str, revision: str) -> int:
    if not text.isdecimal():
        raise PhasescopeError(
            f"The {what} of revision {revision!r} is {text!r}, not a number: write (?P<{what}>\\d+) in the pattern."
        )
    return int(text)


@contextmanager
def _explained(repository: str, checkpoint: Checkpoint | None = None) -> Iterator[None]:
    """Turn what the hub's client raises into one sentence."""
    from huggingface_hub import errors
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of whichever HTTP library it uses

    try:
        yield
    except errors.HFValidationError as error:
        raise PhasescopeError(f"{repository!r} is not the name of a repository: {error}") from error
    except (OSError, HTTPError) as error:
        # The client hides an answer such as 500 behind "not in the cache".
        answer = error.__cause__ if isinstance(error.__cause__, errors.HfHubHTTPError) else error
        raise _sentence(answer, repository, checkpoint) from error


def _sentence(error: BaseException, repository: str, checkpoint: Checkpoint | None) -> PhasescopeError:
    from huggingface_hub import constants, errors

    place = checkpoint.place if checkpoint else repository
    bad: type[PhasescopeError] = BadCheckpointError if checkpoint else PhasescopeError
    elsewhere = "" if checkpoint else f" There is no folder {repository} here either."
    if isinstance(error, errors.GatedRepoError):
        page = f"{constants.ENDPOINT}/{repository}"
        return bad(f"{place} is gated: accept its terms at {page}, then log in with `hf auth login`.")
    if isinstance(error, errors.RepositoryNotFoundError):
        remedy = "check the spelling, or, if it is private, log in with `hf auth login`."
        return bad(f"The hub shows no repository {repository}: {remedy}{elsewhere}")
    if isinstance(error, errors.RevisionNotFoundError):
        return bad(f"The repository {repository} has no such revision: {place}.")
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        return PhasescopeError(
            f"The hub answered {status} for {place}: {_STATUS_REMEDIES.get(status, 'try again later.')}"
        )
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PhasescopeError(
            f"The disk is full: {place} does not fit in {constants.HF_HUB_CACHE}. Free some space, or set HF_HOME to a "
            "folder on another disk."
        )
    return PhasescopeError(
        f"The hub ({constants.ENDPOINT}) cannot be reached for {place}, and it is not in the cache: check the "
        f"connection, and that HF_HUB_OFFLINE is not set.{elsewhere}"
    )


_STATUS_REMEDIES = {
    401: "log in with `hf auth login`, or renew the token.",
    403: "your account may not read it.",
    404: "check the spelling.",
    429: "it asks for patience; try again in some minutes.",
}


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep the client's bars from writing over the display of what is being done."""
    # Documented there, though not listed in its __all__.
    from huggingface_hub.utils import (  # type: ignore[attr-defined]
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    enabled = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if enabled:
            enable_progress_bars()
