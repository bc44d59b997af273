"""Reading long lists page by page, so that a cluster of thousands of nodes fits every byte limit."""

from typing import Final, Generic, TypeVar

import msgspec

from sublet.kube.errors import BadAnswer
from sublet.kube.informer import MAX_OBJECTS, MAX_PAGES
from sublet.kube.paging import pages
from sublet.kube.session import ApiServer
from sublet.kube.wire import ListMeta

T = TypeVar("T")

_PAGE: Final = "500"


class Page(msgspec.Struct, Generic[T]):
    """One page of a list."""

    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[T] = msgspec.field(default_factory=list)


async def read_all(
    api: ApiServer, path: str, page: type[Page[T]], *, label_selector: str = ""
) -> list[T]:
    """Return all objects of a collection, decoded as the page's type says; BadAnswer if they have no end."""
    params = {"limit": _PAGE, **({"labelSelector": label_selector} if label_selector else {})}
    items: list[T] = []
    async for got in pages(api, path, page, most=MAX_PAGES, **params):
        items += got.items
        if len(items) > MAX_OBJECTS:
            raise BadAnswer(f"the list of {path} has no end")
    return items
