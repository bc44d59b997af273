"""A kubeconfig that was lost: older tokens die in every cluster, once, also in one that was silent at first."""

from typing import Any

import pytest

from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.times import Millis
from sublet.binder import bind
from sublet.binder.access import Grant
from sublet.drift import mend
from sublet.drift.access import SecretState
from sublet.kube.session import Endpoint
from tests.builders.api import NOW
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.moves import leased, running

WEST, EAST = leased("west"), leased("east")
LEASES = {each[0].metadata.uid: each[0] for each in (WEST, EAST)}
LOST = Millis(NOW + 10**9)


class Cluster(NotedApi):
    """A cluster that mints tokens."""

    async def create(self, path: str, *_: Any, **__: Any) -> dict[str, Any]:
        self.calls.append(("CREATE", path))
        return {"status": {"token": "t", "expirationTimestamp": "2027-01-01T00:00:00Z"}}


class Secrets(Hub):
    """The hub, which takes statuses and Secrets."""

    async def write_status(self, claim: GpuClaim, status: Any) -> GpuClaim:
        self.live = await super().write_status(claim, status)
        return self.live

    async def create(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {"metadata": {"resourceVersion": "9"}}


def lost_claim() -> GpuClaim:
    """Return a claim on two clusters whose Secret was found deleted."""
    each, other = running(WEST), running(EAST)
    here, there = each.status.allocation, other.status.allocation
    assert here is not None
    assert there is not None
    both = here.model_copy(update={"placements": (*here.placements, *there.placements)})
    home = f"sublet-{each.metadata.uid}-1"
    clusters = tuple(
        ClusterAccess(alias=alias, namespace=home, expiration_time=NOW + 10**10)
        for alias in ("west", "east")
    )
    access = Access(secret_name="s", clusters=clusters, lost_time=LOST, renewal_time=LOST)
    status = each.status.model_copy(update={"access": access, "allocation": both})
    return each.model_copy(update={"status": status})


class Setup:
    """A claim whose Secret was lost, and the clusters that answer."""

    def __init__(self, *answering: str) -> None:
        self.claim = lost_claim()
        self.apis = {uid: Cluster(self.claim.metadata.uid) for uid in LEASES}
        self.hub = Secrets(self.claim)
        self.now = LOST + 1_000
        self.grants: dict[Any, Grant] = {}
        self.answer(*answering)

    def answer(self, *names: str) -> None:
        apis = {u: api for u, api in self.apis.items() if LEASES[u].metadata.name in names}
        self.tools = tools_of(self.hub, LEASES, apis)
        for uid in apis:
            self.tools.cluster(uid).facts.cluster_uid = uid  # each another cluster
        self.tools.hub, self.tools.grants = self.hub, self.grants
        self.tools.clock.now_ms = lambda: self.now

    async def renew(self) -> Access:
        await bind.renew(self.claim, self.tools)
        assert self.hub.live is not None
        access = self.hub.live.status.access
        assert access is not None
        return access

    def revoked(self, name: str) -> int:
        uid = next(u for u, lease in LEASES.items() if lease.metadata.name == name)
        return len(self.apis[uid].sent("DELETE"))


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sublet.binder.access.kubeconfig", lambda _: "")


async def test_the_account_is_made_anew_before_a_token_is_minted_and_then_it_is_over():
    setup = Setup("west", "east")
    access = await setup.renew()

    assert access.lost_time is None
    for api in setup.apis.values():
        assert [method for method, _ in api.calls] == ["DELETE", "APPLY", "CREATE"]
        assert {path.rsplit("/serviceaccounts/", 1)[1] for _, path in api.calls} == {"tenant", "tenant/token"}  # fmt: skip


async def test_a_silent_clusters_tokens_die_when_it_answers_and_the_others_work_on_meanwhile():
    setup = Setup("west")
    access = await setup.renew()
    assert access.lost_time == LOST

    setup.now += 600_000
    setup.answer("west", "east")
    access = await setup.renew()

    assert access.lost_time is None
    assert (setup.revoked("west"), setup.revoked("east")) == (1, 1)


async def test_another_process_that_doesnt_know_what_was_revoked_does_it_again():
    setup = Setup("west")
    await setup.renew()
    setup.grants.clear()
    setup.now += 600_000
    setup.answer("west", "east")
    await setup.renew()

    assert (setup.revoked("west"), setup.revoked("east")) == (2, 1)


async def test_a_clock_that_went_back_saves_no_token_that_was_out(monkeypatch: pytest.MonkeyPatch):
    setup = Setup("west", "east")
    await setup.renew()
    assert setup.hub.live is not None
    setup.now -= 600_000

    async def gone(*_: Any) -> SecretState:
        return SecretState.GONE

    monkeypatch.setattr(mend, "look_at_secret", gone)
    await mend._mend_access(setup.hub.live, setup.tools, [])

    assert (setup.revoked("west"), setup.revoked("east")) == (2, 2)


async def test_a_token_from_before_the_loss_is_no_sign_that_anything_was_revoked():
    setup = Setup("west", "east")
    uid, home = setup.claim.metadata.uid, f"sublet-{setup.claim.metadata.uid}-1"
    endpoint = Endpoint("https://west.example")
    for alias in ("west", "east"):
        setup.grants[uid, alias] = Grant(
            alias, home, endpoint, "old", LOST, Millis(LOST + 10**9), 10**9
        )
    await setup.renew()

    assert (setup.revoked("west"), setup.revoked("east")) == (1, 1)
