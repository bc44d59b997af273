"""Mending of a bound claim against a hub and one cluster in memory, which answer as a test says."""

from collections.abc import Mapping
from typing import Any

from sublet.api.gpuclaim import Access, ClaimStatus, ClusterAccess, GpuClaim
from sublet.api.ids import ClusterUID
from sublet.drift.finding import Finding
from sublet.drift.mend import mending
from sublet.kube.errors import Conflict, NotFound
from sublet.kube.lists import ListPage
from tests.builders.api import NOW, as_claim, as_lease
from tests.builders.clusters import CLUSTER, Hub, NotedApi, tools_of
from tests.builders.fleet import bound, held, nodes
from tests.builders.wire import page

WEST = as_lease()
LEASE = WEST.metadata.uid
NODES = nodes(WEST, 1)


def bound_claim(namespace: int = 1) -> GpuClaim:
    """Return a bound claim whose kubeconfig names its namespace of that number."""
    found = bound(held(as_claim(), WEST, NODES))
    name = f"sublet-{found.metadata.uid}-{namespace}"
    access = Access(
        secret_name="train-kubeconfig",
        clusters=(ClusterAccess(alias="west", namespace=name, expiration_time=NOW + 10**7),),
    )
    return found.model_copy(update={"status": found.status.model_copy(update={"access": access})})


class Home(NotedApi):
    """A cluster in which the namespace is as `meta` says, None: gone; `taken`: names that are somebody else's."""

    def __init__(
        self, claim: GpuClaim, meta: dict[str, Any] | None, *, taken: bool = False
    ) -> None:
        super().__init__(claim.metadata.uid)
        self._meta = meta
        self._taken = taken

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        if path.endswith("/kube-system"):
            return {"metadata": {"uid": CLUSTER}}
        if "/namespaces/sublet-" in path and path.count("/") == 4:
            if self._meta is None:
                raise NotFound(404, "NotFound", path)
            return {"metadata": {"uid": "n1", "name": path.rsplit("/", 1)[1], **self._meta}}
        if "fieldSelector" in params and self._taken:
            return {"items": [{"metadata": {"name": "x", "managedFields": [{"manager": "kubectl"}]}}]}  # fmt: skip
        return {"metadata": {}, "items": []}

    async def list_page(self, path: str, params: Mapping[str, str], **_: Any) -> ListPage:
        return page(*(await self.get(path, **params))["items"])

    async def request(self, method: str, path: str, **_: Any) -> None:
        await super().request(method, path)
        if self._taken:
            raise Conflict(409, "AlreadyExists", path)


class Writing(Hub):
    """The hub, which keeps what is written."""

    def __init__(self, live: GpuClaim, calls: list[tuple[str, str]]) -> None:
        super().__init__(live)
        self._calls = calls

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        self._calls.append(("HUB", ""))
        self.live = await super().write_status(claim, status)
        return self.live

    async def replace(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {}


async def run(claim: GpuClaim, api: Home, hub: Writing | None = None) -> tuple[Finding, ...]:
    """Mend a claim; returns what was found."""
    hub = hub or Writing(claim, api.calls)
    tools = tools_of(hub, {LEASE: WEST}, {LEASE: api})
    tools.hub = hub
    found: list[Finding] = []
    work = mending(ClusterUID(CLUSTER), tools, lambda _, __, findings: found.extend(findings))
    await work(claim, lambda: None)
    return tuple(found)


def labelled(claim: GpuClaim) -> dict[str, Any]:
    labels = {"sublet.dev/claim": claim.metadata.uid, "pod-security.kubernetes.io/enforce": "restricted"}  # fmt: skip
    return {"labels": labels, "annotations": {}}
