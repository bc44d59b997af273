"""Whom we act as, if our own user's kubeconfig says so: read from its user entry, sent as kubectl sends it.

The client library leaves it out, and who wants to be somebody weaker would act with all rights of their own.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

_USER: Final = "Impersonate-User"
_KEY_MARKS: Final = "!#$&'*+-.^_`|~"
"""What may stand in a header's name beside letters and digits; kubectl escapes the rest, and the percent sign."""


class Unsupported(ValueError):
    """A kubeconfig asks for what we don't do; it names the field, and is safe to show."""


def acting_as(user: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the headers that say whom a user of a kubeconfig acts as; none if it is nobody else."""
    headers = tuple(_headers(user))
    if headers and headers[0][0] != _USER:
        raise Unsupported("as-uid, as-groups and as-user-extra of a user need `as` beside them")
    return headers


def _headers(user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field, header in (("as", _USER), ("as-uid", "Impersonate-Uid")):
        if said := user.get(field):
            yield from ((header, text) for text in _texts([said], field))
    yield from (("Impersonate-Group", text) for text in _texts(user.get("as-groups"), "as-groups"))
    extra = user.get("as-user-extra") or {}
    if not isinstance(extra, dict):
        raise Unsupported("as-user-extra isn't a map of lists of texts")
    for key, values in extra.items():
        header = f"Impersonate-Extra-{quote(str(key), safe=_KEY_MARKS)}"
        yield from ((header, text) for text in _texts(values, "as-user-extra"))


def _texts(values: object, field: str) -> list[str]:
    """Return texts that may stand in a header."""
    found = [] if values is None else values
    if not isinstance(found, list):
        raise Unsupported(f"{field} isn't a list of texts")
    if not all(isinstance(each, str) and each.isprintable() for each in found):
        raise Unsupported(f"{field} holds something that isn't a plain text")
    return found
