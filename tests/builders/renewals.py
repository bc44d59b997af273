"""A claim on two leased clusters whose tokens are due for renewal, for tests of what one cluster costs the other."""

import base64
from typing import Any

import yaml

from sublet.api import bound_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import Access, GpuClaim
from sublet.api.names import KUBECONFIG_KEY
from sublet.api.times import Millis
from sublet.binder import bind
from sublet.binder.access import Grant
from sublet.kube.errors import NotFound
from tests.builders.api import NOW
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.moves import leased, let_in, running

WEST, EAST = leased("west"), leased("east")
LEASES = {each[0].metadata.uid: each[0] for each in (WEST, EAST)}
DUE = Millis(NOW + 10**9)


def minted(token: Any = "t", end: Any = "2027-01-01T00:00:00Z") -> dict[str, Any]:
    """Return a cluster's answer to a request for a token."""
    return {"status": {"token": token, "expirationTimestamp": end}}


class Cluster(NotedApi):
    """A cluster that mints tokens, or answers as it likes."""

    def __init__(self, claim_uid: str) -> None:
        super().__init__(claim_uid)
        self.minted: Any = minted()

    async def create(self, path: str, *_: Any, **__: Any) -> Any:
        self.calls.append(("CREATE", path))
        return self.minted


class Secrets(Hub):
    """The hub, which takes statuses and Secrets."""

    async def write_status(self, claim: GpuClaim, status: Any) -> GpuClaim:
        self.live = await super().write_status(claim, status)
        return self.live

    def __init__(self, live: GpuClaim) -> None:
        super().__init__(live)
        self.is_there = False
        self.kubeconfig: dict[str, Any] = {}

    async def create(self, _: str, secret: Any, **__: Any) -> dict[str, Any]:
        self.is_there = True
        self.kubeconfig = yaml.safe_load(base64.b64decode(secret["data"][KUBECONFIG_KEY]))
        return {"metadata": {"resourceVersion": "9"}}

    @property
    def contexts(self) -> list[str]:
        """The contexts of the kubeconfig as it was written last."""
        return [each["name"] for each in self.kubeconfig["contexts"]]

    async def replace(self, path: str, secret: Any, *, dry_run: bool) -> dict[str, Any]:
        assert dry_run
        if not self.is_there:
            raise NotFound(404, "NotFound", path)
        return dict(secret)


def claim_on_both() -> GpuClaim:
    """Return a claim on two clusters whose tokens are due for renewal."""
    each, other = running(WEST), running(EAST)
    here, there = each.status.allocation, other.status.allocation
    assert here is not None
    assert there is not None
    both = here.model_copy(update={"placements": (*here.placements, *there.placements)})
    status = each.status.model_copy(update={"allocation": both})
    return let_in(each.model_copy(update={"status": status}), "west", "east", renewal_ms=DUE)


def with_access(each: GpuClaim, **fields: Any) -> GpuClaim:
    """Return a claim of whose way in something else is said."""
    assert each.status.access is not None
    access = each.status.access.model_copy(update=fields)
    return each.model_copy(update={"status": each.status.model_copy(update={"access": access})})


def rehomed_in(name: str, each: GpuClaim) -> GpuClaim:
    """Return a claim whose namespace in one cluster was deleted; the one that takes its place isn't proven."""
    gone = {p.key for p in allocation_of(each).placements if p.lease == name}
    return each.model_copy(update={"status": bound_status.rehomed(each, gone)})


class Setup:
    """A claim whose tokens are due, and the clusters that answer."""

    def __init__(self, *answering: str, claim: GpuClaim | None = None) -> None:
        self.claim = claim or claim_on_both()
        self.apis = {uid: Cluster(self.claim.metadata.uid) for uid in LEASES}
        self.hub = Secrets(self.claim)
        self.now = DUE + 1_000
        self.grants: dict[Any, Grant] = {}
        self.answer(*answering)

    @classmethod
    def of_lost(cls, *answering: str) -> "Setup":
        """Return the same of a claim whose Secret was lost."""
        return cls(*answering, claim=with_access(claim_on_both(), lost_time=DUE))

    def api(self, name: str) -> Cluster:
        """Return one cluster."""
        return next(api for uid, api in self.apis.items() if LEASES[uid].metadata.name == name)

    def answer(self, *names: str) -> None:
        """Let these clusters answer from now on, and no others."""
        apis = {u: api for u, api in self.apis.items() if LEASES[u].metadata.name in names}
        self.tools = tools_of(self.hub, LEASES, apis)
        for uid in apis:
            self.tools.cluster(uid).facts.cluster_uid = uid  # each another cluster
        self.tools.hub, self.tools.grants = self.hub, self.grants
        self.tools.clock.now_ms = lambda: self.now

    def restart(self) -> None:
        """Let another process go on, which knows no token."""
        self.grants.clear()

    async def renew(self, *, may_wait: bool = False) -> Access:
        """Renew the claim's tokens; returns what its status says of them."""
        await bind.renew(self.claim, self.tools, may_wait=may_wait)
        assert self.hub.live is not None
        access = self.hub.live.status.access
        assert access is not None
        return access

    def revoked(self, name: str) -> int:
        """Return how often one cluster's account was taken away."""
        return len(self.api(name).sent("DELETE"))
