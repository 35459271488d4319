"""What the hub's client raises, as one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from phasescope.errors import NO_SPACE, BadCheckpointError, PhasescopeError

if TYPE_CHECKING:
    from phasescope.suites.suite import Checkpoint

"""What the system says when no more can be written: no space, over the quota, over the allowed size of a file."""
_REMEDIES = {
    401: "log in with `hf auth login`, or renew the token.",
    403: "your account may not read it.",
    404: "check the spelling.",
    429: "it asks for patience; try again in some minutes, or log in with `hf auth login` for a higher limit.",
}


@contextmanager
def explained(repository: str, checkpoint: Checkpoint | None = None, *, typed: bool = False) -> Iterator[None]:
    """Turn what the hub's client raises into one sentence.

    It is a `BadCheckpointError` where the hub has no such repository or revision, or does not show it; else a
    `PhasescopeError`, for then no other checkpoint would do better. `typed`: whether somebody wrote this name, and may
    have meant a folder.
    """
    from huggingface_hub import errors
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of whichever HTTP library it uses

    try:
        yield
    except errors.HFValidationError as error:
        raise PhasescopeError(f"{repository!r} is not the name of a repository: {error}") from error
    except (OSError, HTTPError, errors.RevisionResolutionError) as error:
        # The client hides an answer such as 500 behind "not in the cache".
        answer = error.__cause__ if isinstance(error.__cause__, errors.HfHubHTTPError) else error
        raise _sentence(answer, repository, checkpoint, typed) from error


def disk_full(place: str, needed: int | None = None, free: int | None = None) -> PhasescopeError:
    """The sentence for a disk without room for what is at `place`; sizes in bytes."""
    from huggingface_hub import constants

    from phasescope.suites.room import readable

    sizes = f" needs {readable(needed)}, there are {readable(free)}" if needed is not None and free is not None else ""
    return PhasescopeError(
        f"The disk is full: {place}{sizes or ' does not fit'} in {constants.HF_HUB_CACHE}. Free some space, set "
        "HF_HOME to a folder on another disk, or let visited checkpoints be removed with --cache-limit."
    )


def _sentence(error: BaseException, repository: str, checkpoint: Checkpoint | None, typed: bool) -> PhasescopeError:
    from huggingface_hub import constants, errors

    place = checkpoint.place if checkpoint else repository
    bad: type[PhasescopeError] = BadCheckpointError if checkpoint else PhasescopeError
    elsewhere = "" if not typed else f" There is no folder {repository} here either."
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
        return PhasescopeError(f"The hub answered {status} for {place}: {_REMEDIES.get(status, 'try again later.')}")
    if isinstance(error, OSError) and error.errno in NO_SPACE:
        return disk_full(place)
    return PhasescopeError(
        f"The hub ({constants.ENDPOINT}) cannot be reached for {place}, and it is not in the cache: check the "
        f"connection, and that HF_HUB_OFFLINE is not set.{elsewhere}"
    )
