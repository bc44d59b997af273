"""Reading long lists page by page, so that a cluster of thousands of nodes fits every byte limit."""

from typing import Final, Generic, TypeVar

import msgspec

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
    """Return all objects of a collection, decoded as the page's type says."""
    params = {"limit": _PAGE, **({"labelSelector": label_selector} if label_selector else {})}
    items: list[T] = []
    while True:
        got = await api.get_as(path, page, **params)
        items += got.items
        if not got.metadata.next:
            return items
        params["continue"] = got.metadata.next
