"""Reading a whole collection of a cluster that may have thousands of objects, or lists without an end."""

from typing import TypeVar

from sublet.kube.errors import BadAnswer
from sublet.kube.informer import MAX_OBJECTS, MAX_PAGES
from sublet.kube.paging import items
from sublet.kube.session import ApiServer

T = TypeVar("T")


async def read_all(
    api: ApiServer, path: str, type_: type[T], *, label_selector: str = ""
) -> list[T]:
    """Return all objects of a collection; BadAnswer if they have no end."""
    params = {"labelSelector": label_selector} if label_selector else {}
    found: list[T] = []
    async for item in items(api, path, type_, params, most=MAX_PAGES):
        found.append(item)
        if len(found) > MAX_OBJECTS:
            raise BadAnswer(f"the list of {path} has no end")
    return found
