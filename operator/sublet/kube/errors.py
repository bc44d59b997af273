"""What an API server, or the way to it, may answer instead of what was asked: one type per case.

Callers match on types, never on texts. `Unreachable` is set apart on purpose: after it nobody knows whether a
write was applied, so the caller reads back by deterministic name and UID. Texts come from the server and end in
conditions and logs, so they are cut to a bounded, printable length: a server may lie at any length.
"""

import math
from http import HTTPStatus
from typing import Any, Final

MESSAGE_LENGTH: Final = 2_000
_REASON_LENGTH: Final = 100
_LONGEST_RETRY_SECONDS: Final = 60.0


class KubeError(Exception):
    """Base of everything that a request may raise."""


class Unreachable(KubeError):
    """No answer: refused, timed out, cut off or over the byte limit. A write may have been applied."""


class BadAnswer(Unreachable):
    """It answered, but as no API server does: too much, another shape, a redirect, a list without end."""


class Untrusted(Unreachable):
    """Its certificate isn't one that our CA signed, or not for this name: whoever it is, nothing was sent."""


class ApiError(KubeError):
    """The API server answered with an error status."""

    status = 0

    def __init__(
        self, status: int, reason: str, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.details = details or {}


class Unauthorized(ApiError):
    """401: the credential isn't valid, which is not the same as unreachable."""


class Forbidden(ApiError):
    """403: RBAC, a quota or an admission policy said no; the message says which."""


class NotFound(ApiError):
    """404: no such object (or no such kind)."""


class Conflict(ApiError):
    """409: it exists already, or the resourceVersion or UID precondition failed."""


class Gone(ApiError):
    """410: the resourceVersion is too old; list again."""


class Invalid(ApiError):
    """422: validation failed, or a JSON patch `test` did."""


class TooManyRequests(ApiError):
    """429: try again after `retry_after_seconds`."""

    retry_after_seconds: float = 1.0


class ServerError(ApiError):
    """5xx: the server is in trouble; a write may have been applied."""


_BY_STATUS: dict[int, type[ApiError]] = {  # HTTP status -> error type
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Invalid,
    429: TooManyRequests,
}


def error_from_status(
    status: int, body: dict[str, Any], retry_after: str | None = None
) -> ApiError:
    """Build the error for an HTTP status from the server's `Status` object (or an empty dict)."""
    kind = _BY_STATUS.get(
        status, ServerError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else ApiError
    )
    details = body.get("details")
    error = kind(
        status,
        _printable(body.get("reason"), _REASON_LENGTH) or "Unknown",
        _printable(body.get("message"), MESSAGE_LENGTH) or "no message",
        details if isinstance(details, dict) else None,
    )
    if isinstance(error, TooManyRequests) and retry_after is not None:
        error.retry_after_seconds = _seconds(retry_after)
    return error


def _printable(text: object, length: int) -> str:
    """Return the beginning of a text as it may be shown, "" of anything else: str() of a deep nest raises RecursionError."""
    cut = text[: length + 1] if isinstance(text, str) else ""
    clean = "".join(c if c.isprintable() else " " for c in cut)
    return clean if len(clean) <= length else clean[:length] + "…"


def _seconds(retry_after: str) -> float:
    """Return a Retry-After in seconds, bounded; a date or nonsense is one second."""
    try:
        seconds = float(retry_after)
    except ValueError:
        return 1.0
    return min(_LONGEST_RETRY_SECONDS, max(0.0, seconds)) if math.isfinite(seconds) else 1.0
