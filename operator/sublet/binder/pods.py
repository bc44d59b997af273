"""Lists of pods, live, however large tenants make them: a tenant's own pods never stop the operator.

Five hundred pods of 1.5 MiB are more than one answer of a leased cluster may have. What doesn't fit is read again in
pages that always do.
"""

from typing import Final

import msgspec

from sublet.kube.errors import BadAnswer
from sublet.kube.paging import pages
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
        return [
            pod
            async for page in pages(api, path, _Page, most=_MOST_PAGES, limit=_PAGE, **selector)
            for pod in page.items or ()
        ]
