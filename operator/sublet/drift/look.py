"""Reads what a leased cluster holds of ours: by our label, page by page, in seven requests however many claims there are.

Nothing is believed of a cluster that isn't the one that the lease is pinned to: it is asked who it is after the lists.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sublet.binder.namespace import CLAIM_LABEL
from sublet.drift.compare import PLURALS, Obj, Observed, Place
from sublet.fleet.cluster import LeasedCluster
from sublet.kube.errors import NotFound, Unreachable
from sublet.kube.identity import read_cluster_uid
from sublet.kube.session import ApiServer

_PAGE: Final = "500"
_MOST_PAGES: Final = 200
"""Of one list; a server whose lists have no end is not believed."""


@dataclass(frozen=True, slots=True)
class Sight:
    """All that a cluster shows under our label."""

    namespaces: Mapping[str, Obj]
    objects: Mapping[str, Mapping[Place, Obj]]
    """namespace -> what is in it"""

    def home(self, name: str) -> Observed:
        """Return one namespace as seen."""
        return Observed(self.namespaces.get(name), self.objects.get(name, {}))


async def look(cluster: LeasedCluster) -> Sight:
    """List everything under our label; raises the errors of the API, and Unreachable if it is another cluster now."""
    api = cluster.api
    # contents first: what is made meanwhile is then in a namespace that is seen
    objects: dict[str, dict[Place, Obj]] = {}
    for plural, group in PLURALS.items():
        async for item in _items(api, f"{group}/{plural}"):
            meta = item["metadata"]
            objects.setdefault(meta["namespace"], {})[plural, meta["name"]] = item
    namespaces = {n["metadata"]["name"]: n async for n in _items(api, "/api/v1/namespaces")}
    await confirm(cluster)
    return Sight(namespaces, objects)


async def look_into(cluster: LeasedCluster, name: str) -> Observed:
    """Read one namespace and what it holds, live."""
    api = cluster.api
    try:
        namespace = await api.get(f"/api/v1/namespaces/{name}")
    except NotFound:
        await confirm(cluster)
        return Observed(None)
    objects: dict[Place, Obj] = {}
    for plural, group in PLURALS.items():
        async for item in _items(api, f"{group}/namespaces/{name}/{plural}"):
            objects[plural, item["metadata"]["name"]] = item
    return Observed(namespace, objects)


async def find_named(api: ApiServer, name: str, place: Place) -> Obj | None:
    """Read one object, whoever made it; by a list, which needs no right of its own."""
    plural, wanted = place
    path = f"{PLURALS[plural]}/namespaces/{name}/{plural}"
    listing = await api.get(path, fieldSelector=f"metadata.name={wanted}")
    return next(iter(listing.get("items") or ()), None)


async def confirm(cluster: LeasedCluster) -> None:
    """See that this is still the cluster that was confirmed."""
    if await read_cluster_uid(cluster.api) != cluster.facts.cluster_uid:
        raise Unreachable("the kubeconfig leads to another cluster now")


async def _items(api: ApiServer, path: str) -> AsyncIterator[dict[str, Any]]:
    params = {"labelSelector": CLAIM_LABEL, "limit": _PAGE}
    for _ in range(_MOST_PAGES):
        page = await api.get(path, **params)
        for item in page.get("items") or ():
            yield item
        if not (after := (page.get("metadata") or {}).get("continue")):
            return
        params["continue"] = after
    raise Unreachable(f"the list of {path} has no end")
