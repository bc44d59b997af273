"""Long lists page by page, so that they fit every limit of bytes; a server whose lists have no end is not believed."""

from collections.abc import AsyncIterator, Mapping
from typing import TypeVar

from sublet.kube.bodies import decoder_of
from sublet.kube.errors import BadAnswer
from sublet.kube.lists import MOST_ITEM_BYTES, PAGE_SIZE, ListPage, item_of
from sublet.kube.session import ApiServer

T = TypeVar("T")


async def pages(
    api: ApiServer,
    path: str,
    params: Mapping[str, str] | None = None,
    *,
    most: int,
    limit: int = PAGE_SIZE,
    metadata_only: bool = False,
) -> AsyncIterator[ListPage]:
    """Yield a stranger's collection in pages of `limit` texts; BadAnswer after `most` pages without an end."""
    asked = dict(params or {})
    for _ in range(most):
        page = await api.list_page(path, asked, limit=limit, metadata_only=metadata_only)
        yield page
        if not page.metadata.next:
            return
        asked["continue"] = page.metadata.next
    raise BadAnswer(f"the list of {path} has no end")


async def items(
    api: ApiServer,
    path: str,
    type_: type[T],
    params: Mapping[str, str] | None = None,
    *,
    most: int,
    limit: int = PAGE_SIZE,
    most_bytes: int = MOST_ITEM_BYTES,
    metadata_only: bool = False,
) -> AsyncIterator[T]:
    """Yield a stranger's collection, one object at a time, for whoever keeps little of each; else as `pages`."""
    decoder = decoder_of(type_)
    async for page in pages(api, path, params, most=most, limit=limit, metadata_only=metadata_only):
        for text in page.items:
            yield item_of(text, decoder, path, most_bytes)
