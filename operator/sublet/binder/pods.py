"""Lists of pods, live, however large tenants make them: a tenant's own pods never stop the operator.

Five hundred pods of 1.5 MiB are more than one answer of a leased cluster may have. What doesn't fit is read again in
pages that always do.
"""

from typing import Final

import msgspec

from sublet.kube.errors import BadAnswer
from sublet.kube.session import ApiServer
from sublet.kube.wire import ListMeta, Pod, PodList

_PAGE: Final = "16"
"""An object is 1.5 MiB at most, an answer of a leased cluster 32 MiB."""
_MOST_PAGES: Final = 1_000


class _Page(msgspec.Struct):
    metadata: ListMeta
    items: list[Pod] | None


async def list_pods(api: ApiServer, path: str, **selector: str) -> list[Pod]:
    """Return the pods of a list; raises the errors of the API, BadAnswer also where the list has no end."""
    try:
        return (await api.get_as(path, PodList, **selector)).items
    except BadAnswer:
        return await _in_pages(api, path, selector)


async def _in_pages(api: ApiServer, path: str, selector: dict[str, str]) -> list[Pod]:
    found: list[Pod] = []
    params = {**selector, "limit": _PAGE}
    for _ in range(_MOST_PAGES):
        page = await api.get_as(path, _Page, **params)
        found += page.items or ()
        if not page.metadata.next:
            return found
        params["continue"] = page.metadata.next
    raise BadAnswer(f"the list of {path} has no end")
