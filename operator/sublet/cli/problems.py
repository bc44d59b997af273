"""Errors as one line on the terminal: what is wrong, where, and what to do. Never a traceback."""

import re
import sys
import traceback
from typing import TYPE_CHECKING, Final, NoReturn

from sublet.cli.lines import one_line
from sublet.kube import errors

if TYPE_CHECKING:
    from pydantic import ValidationError

_TLS_OBJECT: Final = re.compile(r" ssl:(default|True|False|<[^>]*>)")
_HUB: Final = "the hub"
_OPTION: Final = "--context"
_NOBODY: Final = 'User "system:anonymous"'
_AWAY: Final = "is its address right, and is it up?"
_OTHER: Final = "is its address right, and are its CRDs of this version of sublet?"
_UNTRUSTED: Final = (
    "are certificate-authority-data and the client certificate of the kubeconfig right?"
)


class Problem(Exception):
    """Something the user can do something about."""


def describe(error: Exception, *, what: str) -> str:
    """Say in one line why `what` failed and what to do about it."""
    if isinstance(error, errors.ApiError):
        return f"{what}: {_answered(error)}"
    if isinstance(error, errors.BadAnswer):
        return f"{what}: {_where(error)} is asked in vain: {error}; {_OTHER}"
    if isinstance(error, errors.Unreachable):
        text = _TLS_OBJECT.sub("", str(error))
        return f"{what}: {_where(error)} doesn't answer: {text}; {_UNTRUSTED if 'SSL' in text else _AWAY}"
    if (invalid := _invalid(error)) is not None:
        first = invalid.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return f"{what}: {field} isn't as this version of sublet knows it ({first['msg']})"
    return f"{what}: {error}"


def unexpected(error: Exception, *, what: str) -> str:
    """Name a mistake of ours so that it can be reported: what it is and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"{what}: unexpected {type(error).__name__}: {error}{place}; please report this"


def fail(message: str, *, status: int = 1) -> NoReturn:
    """Print one line on standard error and end with an exit status."""
    note(message)
    raise SystemExit(status)


def note(message: str) -> None:
    """Print one line on standard error and go on."""
    print(f"sublet: {one_line(' '.join(message.split()))}", file=sys.stderr)


def _invalid(error: Exception) -> "ValidationError | None":
    """Return what a model says of bad data; help must not load the models for it."""
    pydantic = sys.modules.get("pydantic")
    return error if pydantic is not None and isinstance(error, pydantic.ValidationError) else None


def _answered(error: errors.ApiError) -> str:
    where, option = _where(error), _option(error)
    if isinstance(error, errors.Unauthorized):
        return f"{where} doesn't accept your credentials; log in again (kubectl get ns tells)"
    if isinstance(error, errors.Forbidden) and _NOBODY in error.message:
        return f"{where} doesn't know who you are: the kubeconfig gives no credential, or its plugin failed (kubectl get ns tells)"
    if isinstance(error, errors.Forbidden):
        return f"{where} refuses: {error.message}; ask for the right, or check {option}"
    if not isinstance(error, errors.NotFound):
        return f"{where} answered {error.status} {error.reason}: {error.message}"
    if error.details.get("name"):
        namespace = ", namespace (-n)" if option == _OPTION else ""
        return f"not found on {where}; check name{namespace} and context ({option})"
    # the kind itself isn't known there
    return f"{where} doesn't know this kind; is it the right cluster ({option}), and is Sublet installed there?"


def _where(error: Exception) -> str:
    """Return what the cluster is called that the error came from."""
    return str(getattr(error, "__notes__", [_HUB])[0])


def _option(error: Exception) -> str:
    """Return by which option that cluster was chosen."""
    notes: list[str] = getattr(error, "__notes__", [])
    return notes[1] if len(notes) > 1 else _OPTION
