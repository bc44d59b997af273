"""Lists of pods, live, however large tenants make them: a tenant's own pods never stop the operator.

Five hundred pods of 1.5 MiB are more than one answer of a leased cluster may have. What doesn't fit is read again in
pages that always do.
"""

from typing import Final

from sublet.kube.errors import BadAnswer
from sublet.kube.lists import PAGE_SIZE
from sublet.kube.paging import items
from sublet.kube.session import ApiServer
from sublet.kube.wire import Pod

_MOST_PAGES: Final = 40
_SMALL_PAGE: Final = 3
"""An object is 1.5 MiB at most where it is stored, and up to six times as much in JSON; an answer has 32 MiB."""
_MOST_SMALL_PAGES: Final = 4_000
_MOST_POD_BYTES: Final = 10 * 1024 * 1024


async def list_pods(api: ApiServer, path: str, **selector: str) -> list[Pod]:
    """Return the pods of a list; raises the errors of the API, BadAnswer also where the list has no end."""
    try:
        return await _read(api, path, PAGE_SIZE, _MOST_PAGES, selector)
    except BadAnswer:
        return await _read(api, path, _SMALL_PAGE, _MOST_SMALL_PAGES, selector)


async def _read(
    api: ApiServer, path: str, limit: int, most: int, selector: dict[str, str]
) -> list[Pod]:
    found = items(api, path, Pod, selector, limit=limit, most=most, most_bytes=_MOST_POD_BYTES)
    return [pod async for pod in found]
