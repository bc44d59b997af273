"""Errors as one line on the terminal: what is wrong, where, and what to do. Never a traceback."""

import sys
from typing import NoReturn

from sublet.kube import errors


class Problem(Exception):  # noqa: N818  it is shown, not handled
    """Something the user can do something about."""


def describe(error: Exception, *, what: str) -> str:
    """Say in one line why `what` failed and what to do about it."""
    if isinstance(error, errors.Unauthorized):
        return (
            f"{what}: the hub doesn't accept your credentials; log in again (kubectl get ns tells)"
        )
    if isinstance(error, errors.Forbidden):
        return f"{what}: you lack the right to do this: {error.message}"
    if isinstance(error, errors.NotFound):
        return f"{what}: not found; check name, namespace (-n) and context (--context)"
    if isinstance(error, errors.ApiError):
        return f"{what}: the hub answered {error.status} {error.reason}: {error.message}"
    if isinstance(error, errors.Unreachable):
        return f"{what}: the hub doesn't answer: {error}"
    return f"{what}: {error}"


def fail(message: str) -> NoReturn:
    """Print one line on standard error and end with exit status 1."""
    print(f"sublet: {message}", file=sys.stderr)
    raise SystemExit(1)
