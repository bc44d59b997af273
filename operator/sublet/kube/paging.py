"""Long lists page by page, so that they fit every limit of bytes; a server whose lists have no end is not believed."""

from collections.abc import AsyncIterator
from typing import Protocol, TypeVar

from sublet.kube.errors import BadAnswer
from sublet.kube.session import ApiServer
from sublet.kube.wire import ListMeta


class Paged(Protocol):
    """One page of a list."""

    metadata: ListMeta


P = TypeVar("P", bound=Paged)


async def pages(
    api: ApiServer, path: str, type_: type[P], *, most: int, **params: str
) -> AsyncIterator[P]:
    """Yield the pages of a collection, decoded as the type says; BadAnswer after `most` of them without an end."""
    for _ in range(most):
        page = await api.get_as(path, type_, **params)
        yield page
        if not page.metadata.next:
            return
        params["continue"] = page.metadata.next
    raise BadAnswer(f"the list of {path} has no end")
