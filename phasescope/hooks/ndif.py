"""What can go wrong between here and NDIF, as one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from phasescope.errors import BadCheckpointError, PhasescopeError

KEY = "NDIF_API_KEY"
_REMEDIES = {
    401: f"it does not know the key in {KEY}: get one at https://login.ndif.us.",
    403: f"the key in {KEY} may not do this: ask NDIF for access to the model.",
    413: "the request is too large: choose a smaller --batch.",
    429: "its queue is full, or you have asked too often: try again in some minutes.",
}


@contextmanager
def explained(repository: str, revision: str | None) -> Iterator[None]:
    """Turn what nnsight raises when it asks NDIF into a sentence.

    `BadCheckpointError` where the server ran the job and failed, or has no such model: another checkpoint may do
    better. `PhasescopeError` where the server cannot be reached or refuses whatever is asked.
    """
    import httpx
    from nnsight.intervention.backends.remote import RemoteError
    from websocket import WebSocketException

    place = f"{repository}@{revision}" if revision else repository
    try:
        yield
    except RemoteError as error:
        cause = error.__cause__
        if cause is None:
            raise BadCheckpointError(f"NDIF could not read {place}: {_last_line(str(error))}") from error
        if not isinstance(cause, httpx.HTTPStatusError):
            raise _unreachable(place, cause) from error
        said = str(error).removeprefix("Failed to send request: ")
        raise _answered(cause.response.status_code, place, said) from error
    except httpx.HTTPStatusError as error:
        raise _answered(error.response.status_code, place, str(error)) from error
    except (httpx.HTTPError, WebSocketException, OSError) as error:
        status = getattr(error, "status_code", None)
        raise (_answered(status, place, "") if status else _unreachable(place, error)) from error


def _answered(status: int, place: str, said: str) -> PhasescopeError:
    kind = BadCheckpointError if status in (404, 422) else PhasescopeError
    remedy = _REMEDIES.get(status, "try again later." if status >= 500 else "the model may not be there for you.")
    return kind(f"NDIF answered {status} for {place}: {remedy}{f' It says: {_last_line(said)}' if said else ''}")


def _unreachable(place: str, error: BaseException) -> PhasescopeError:
    from nnsight.schema.config import CONFIG

    return PhasescopeError(
        f"NDIF ({CONFIG.API.HOST}) cannot be reached for {place} ({_last_line(str(error)) or type(error).__name__}): "
        "check the connection, and NDIF_HOST if you set it."
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
