"""One page of a list as the texts of its items: cut off at the first that wasn't asked for, each decoded alone.

Bytes are bounded, but not what they decode to: 31 MB of `[],` are 800 MB of objects and take the event loop for seconds.
So nothing of a page is an object before somebody looks at it, and then one item of it at a time.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from sublet.kube.bodies import decode
from sublet.kube.errors import BadAnswer
from sublet.kube.wire import ListMeta

T = TypeVar("T")

PAGE_SIZE: Final = 500
MOST_ITEM_BYTES: Final = 3 * 1024 * 1024
"""An API server takes no larger request."""
_NOTHING: Final = msgspec.Raw(b"")


class ListPage(NamedTuple):
    """One page of a list."""

    metadata: ListMeta
    items: tuple[msgspec.Raw, ...]
    bytes: int
    """Of the whole answer."""


def page_of(body: bytes, most: int, what: str) -> ListPage:
    """Cut a page into its items; BadAnswer if it is no list, or has more than `most` of them."""
    page = decode(body, _decoder(most), what)
    items = msgspec.structs.astuple(page.items) if page.items is not None else ()
    return ListPage(page.metadata, tuple(x for x in items if x is not _NOTHING), len(body))


def item_of(
    text: msgspec.Raw,
    decoder: msgspec.json.Decoder[T],
    what: str,
    most_bytes: int = MOST_ITEM_BYTES,
) -> T:
    """Return what an item's text holds; BadAnswer if it isn't that, or is larger than any object."""
    if len(text) > most_bytes:
        raise BadAnswer(f"an item of {what} is larger than {most_bytes} bytes")
    return decode(text, decoder, f"an item of {what}")


def objects_of(answer: Mapping[str, Any], what: str) -> list[dict[str, Any]]:
    """Return the objects of a list that was read as a whole; BadAnswer if it is no list, or has anything else in it."""
    found = answer.get("items", _NOTHING)
    if not isinstance(answer.get("metadata"), dict) or not isinstance(found, list | None):
        raise BadAnswer(f"{what} is not what the API promises: it is no list")
    return [object_of(each, f"an item of {what}") for each in found or ()]


def object_of(body: object, what: str) -> dict[str, Any]:
    """Return an object with a name, as all are that an API server has; BadAnswer if it is something else."""
    meta = body.get("metadata") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(meta, dict):
        raise BadAnswer(f"{what} is not what the API promises: it has no metadata")
    if not isinstance(meta.get("name"), str):
        raise BadAnswer(f"{what} is not what the API promises: it has no name")
    return body


@cache
def _decoder(most: int) -> msgspec.json.Decoder[Any]:
    """Return what decodes pages of at most so many items."""
    # a list is built to its end before anybody counts it; a struct written as an array ends at the first item too many
    fields = [(f"item{n}", msgspec.Raw, _NOTHING) for n in range(most)]
    items = msgspec.defstruct("Items", fields, array_like=True, forbid_unknown_fields=True)
    # null where a list of metadata is empty
    page = msgspec.defstruct("Page", [("metadata", ListMeta), ("items", items | None)])
    return msgspec.json.Decoder(page)


__all__ = [
    "MOST_ITEM_BYTES",
    "PAGE_SIZE",
    "ListPage",
    "item_of",
    "object_of",
    "objects_of",
    "page_of",
]
