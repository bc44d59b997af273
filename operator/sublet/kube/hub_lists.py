"""Whole collections of the hub in small pages, for whoever must ask it live about all objects of a kind.

A tenant may make each of its claims as large as the hub's store takes, which is 1.5 MB: in one answer, some hundreds of
them would be more than any answer may have, and longer than the event loop can be held.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from sublet.kube.bodies import decoder_of
from sublet.kube.lists import ListPage, item_of
from sublet.kube.paging import pages
from sublet.kube.session import ApiServer

PAGE_SIZE: Final = 50
"""Objects of one answer."""
MOST_PAGES: Final = 10_000
_Body = dict[str, Any]


async def objects(hub: ApiServer, path: str, *, limit: int = PAGE_SIZE) -> AsyncIterator[_Body]:
    """Yield each object of a collection."""
    async for page in pages(hub, path, most=MOST_PAGES, limit=limit):
        async for each in _objects_of(page, path):
            yield each


async def visit(hub: ApiServer, path: str, take: Callable[[_Body], None]) -> str:
    """Hand over each object of a collection; return the collection's resourceVersion, which is that of its last page."""
    version = ""
    async for page in pages(hub, path, most=MOST_PAGES, limit=PAGE_SIZE):
        version = page.metadata.resource_version
        async for each in _objects_of(page, path):
            take(each)
    return version


async def _objects_of(page: ListPage, path: str) -> AsyncIterator[_Body]:
    decoder = decoder_of(dict)
    for text in page.items:
        yield item_of(text, decoder, path)
        await asyncio.sleep(0)  # one that its tenant made large takes a while
