"""What can't be put right of a bound claim: it is told, and what else can be done is done."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api import bound_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClusterUID
from sublet.api.times import Millis
from sublet.binder import proof
from sublet.binder.access import SecretTaken, is_renewal_due
from sublet.binder.binder import Binder
from sublet.binder.namespace import contents, namespace, quota_hard
from sublet.binder.ports import ClusterRefuses, ClusterSilent
from sublet.binder.proof import IsolationFault
from sublet.binder.secret import SecretState
from sublet.binder.sites import reachable_sites
from sublet.drift import mend
from sublet.drift.finding import Finding, Reason
from sublet.drift.mend import mending
from sublet.drift.news import News
from sublet.fleet.nodebook import GPU
from tests.builders.api import NOW
from tests.builders.clusters import CLUSTER, tools_of
from tests.builders.mending import LEASE, NODES, WEST, Home, Writing, bound_claim, labelled, run
from tests.builders.wire import page, wire_node

TAKEN = SecretTaken("Secret train-kubeconfig is not this claim's: delete it")
REFUSED = IsolationFault("the tenant's pod is refused: label cost-centre is missing")
NOT_YET = "its namespace at west was deleted, and another can't be handed over yet"


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> list[SecretState]:
    """What becomes of the Secret; it is looked at live."""
    states = [SecretState.FINE]

    async def look_at_secret(*_: Any) -> SecretState:
        return states[-1]

    monkeypatch.setattr(mend, "look_at_secret", look_at_secret)
    return states


class Deleted:
    """A claim whose namespace somebody deleted, and the news of what mending it finds."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: Exception | None = None) -> None:
        claim = bound_claim()
        self.api, self.news, self.fault = Home(claim, None), News(), fault
        self.hub, self.renewed = Writing(claim, self.api.calls), 0
        self.tools = tools_of(self.hub, {LEASE: WEST}, {LEASE: self.api})
        self.tools.hub = self.hub
        self.binder = Binder(
            self.tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: None
        )

        async def furnish(_: Any) -> None: ...

        async def prove(*_: Any) -> Any:
            if self.fault is not None:
                raise self.fault
            return SimpleNamespace()

        async def hand_out(live: GpuClaim, *_: Any) -> Any:
            raise TAKEN

        async def renew(live: GpuClaim, _: Any) -> GpuClaim:
            self.renewed += 1
            return live

        for each in (furnish, prove, hand_out, renew):
            monkeypatch.setattr(mend, each.__name__, each)

    @property
    def live(self) -> GpuClaim:
        """The claim as the hub has it."""
        assert self.hub.live is not None
        return self.hub.live

    async def mend(self) -> None:
        """Put it right as a look does, and let it be told what was found."""
        work = mending(ClusterUID(CLUSTER), self.tools, self.news.note)
        assert self.binder.mend(self.live, work)
        await asyncio.gather(*(run.task for run in self.binder._runs.values() if run.task))
        for claim, said in list(self.news.sayings(lambda _: self.live)):
            told = bound_status.degraded(claim, said.reason, said.message, NOW)
            await self.hub.write_status(claim, told)

    @property
    def said(self) -> tuple[str, str] | None:
        """Why the claim is Degraded."""
        found = [c for c in self.live.status.conditions if c.type == "Degraded"]
        return (found[0].reason, found[0].message) if found else None


@pytest.mark.parametrize(
    "fault",
    [
        REFUSED,
        ClusterSilent("west", "the claim's node n0 isn't seen"),
        ClusterRefuses("west", "no"),
    ],
    ids=["isn't proven", "isn't seen whole", "is refused"],
)
@pytest.mark.usefixtures("secret")
async def test_a_namespace_that_is_gone_and_cant_be_made_anew_is_said(
    fault: Exception, monkeypatch: pytest.MonkeyPatch
):
    world = Deleted(monkeypatch, fault)
    await world.mend()
    assert world.said == ("IsolationDegraded", f"{NOT_YET}: {fault}")


@pytest.mark.usefixtures("secret")
async def test_it_is_said_once_however_often_it_is_tried(monkeypatch: pytest.MonkeyPatch):
    world = Deleted(monkeypatch, REFUSED)
    await world.mend()
    written = list(world.api.sent("HUB"))
    for _ in range(3):
        await world.mend()
    assert world.api.sent("HUB") == written


@pytest.mark.usefixtures("secret")
async def test_a_kubeconfig_that_cant_be_written_for_another_namespace_is_said(
    monkeypatch: pytest.MonkeyPatch,
):
    world = Deleted(monkeypatch)
    await world.mend()
    assert world.said == ("AccessLost", f"{NOT_YET}: {TAKEN}")


async def test_a_kubeconfig_that_is_taken_is_said_once(
    monkeypatch: pytest.MonkeyPatch, secret: list[SecretState]
):
    secret.append(SecretState.TAKEN)
    world = Deleted(monkeypatch)
    await world.mend()
    assert world.said == ("AccessLost", f"{NOT_YET}: {TAKEN}")


async def test_a_kubeconfig_that_is_taken_is_found_though_its_namespace_cant_be_made(
    monkeypatch: pytest.MonkeyPatch, secret: list[SecretState]
):
    secret.append(SecretState.TAKEN)
    world = Deleted(monkeypatch, REFUSED)
    await world.mend()
    assert world.said == ("IsolationDegraded", f"{NOT_YET}: {REFUSED} (and 1 more)")


@pytest.mark.parametrize("state", [SecretState.GONE, SecretState.CHANGED])
async def test_nobody_gets_tokens_for_a_namespace_that_isnt_proven(
    state: SecretState, monkeypatch: pytest.MonkeyPatch, secret: list[SecretState]
):
    secret.append(state)
    world = Deleted(monkeypatch, REFUSED)
    await world.mend()
    assert world.renewed == 0


async def test_a_kubeconfig_that_another_took_over_is_said_and_asks_for_tokens_once(
    monkeypatch: pytest.MonkeyPatch, secret: list[SecretState]
):
    async def renew(*_: Any) -> None:
        raise TAKEN

    async def nothing(claim: GpuClaim, *_: Any) -> GpuClaim:
        return claim

    monkeypatch.setattr(mend, "renew", renew)
    monkeypatch.setattr(mend, "_mend_site", nothing)
    secret.append(SecretState.CHANGED)  # of another version, before anybody asks whose it is
    claim = bound_claim()
    api = Home(claim, labelled(claim))
    hub = Writing(claim, api.calls)

    found = [await run(hub.live or claim, api, hub) for _ in range(3)]

    assert found == [(Finding(Reason.ACCESS_LOST, str(TAKEN)),)] * 3
    assert api.sent("HUB") == [""]


class Whole(Home):
    """A cluster in which all is as it was left, and the quota's status as a test says."""

    def __init__(self, claim: GpuClaim) -> None:
        super().__init__(claim, labelled(claim))
        hub = Writing(claim, self.calls)
        self.tools: Any = tools_of(hub, {LEASE: WEST}, {LEASE: self})
        self.tools.hub = hub
        node = wire_node(NODES[0].name, uid=NODES[0].uid)
        node.status.allocatable = {GPU: "8"}
        self.tools.cluster(LEASE).node = lambda _: node
        ((self.site,), _) = reachable_sites(claim, self.tools, allocation_of(claim).placements)
        self._meta = {"uid": "n1", **namespace(self.site.home)["metadata"]}
        self.hard: dict[str, str] = {}

    async def list_page(self, path: str, params: Any, **_: Any) -> Any:
        shown = []
        for each, wanted in contents(self.site.home):
            collection, name = each.rsplit("/", 1)
            if collection == path:
                meta = {**wanted["metadata"], "name": name, "uid": name}
                status = {"hard": self.hard} if path.endswith("/resourcequotas") else {}
                shown.append({**wanted, "metadata": meta, "status": status})
        return page(*shown)

    async def mended(self, claim: GpuClaim) -> list[Finding]:
        """Put the claim right; return what is found."""
        found: list[Finding] = []
        work = mending(ClusterUID(CLUSTER), self.tools, lambda *said: found.extend(said[2]))
        await work(claim, lambda: None)
        return found


@pytest.mark.usefixtures("secret")
async def test_a_quota_that_isnt_enforced_is_said_until_it_is():
    claim = bound_claim()
    status = bound_status.degraded(claim, Reason.ISOLATION_DEGRADED, "as found before", NOW)
    claim = claim.model_copy(update={"status": status})
    world = Whole(claim)
    assert [f.message.split(": ")[1] for f in await world.mended(claim)] == [proof.NOT_ENFORCED]

    world.hard = quota_hard(world.site.home)
    assert await world.mended(claim) == []


@pytest.fixture
def _not_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def not_enforced(_: Any) -> None:
        raise IsolationFault(proof.NOT_ENFORCED)

    monkeypatch.setattr(mend, "_see_quota", not_enforced)


@pytest.mark.usefixtures("secret", "_not_enforced")
async def test_what_was_put_back_and_isnt_enforced_is_said():
    claim = bound_claim()

    (found,) = await run(claim, Home(claim, labelled(claim)))

    where = f"its namespace sublet-{claim.metadata.uid}-1 at west"
    assert found == Finding(Reason.ISOLATION_DEGRADED, f"{where}: {proof.NOT_ENFORCED}")


@pytest.mark.usefixtures("secret", "_not_enforced")
async def test_tokens_of_an_account_that_was_put_back_are_renewed_though_the_quota_isnt_enforced():
    claim = bound_claim()
    api = Home(claim, labelled(claim))
    hub = Writing(claim, api.calls)
    await run(claim, api, hub)

    assert hub.live is not None
    assert is_renewal_due(hub.live, 3_600, Millis(NOW + 10**9))


@pytest.mark.usefixtures("secret")
async def test_a_cluster_that_falls_silent_takes_nothing_back_that_was_found_before(
    monkeypatch: pytest.MonkeyPatch,
):
    async def silent(*_: Any) -> None:
        raise ClusterSilent("west")

    monkeypatch.setattr(mend, "_mend_site", silent)
    claim, noted = bound_claim(), list[Any]()
    api = Home(claim, labelled(claim))
    tools = tools_of(Writing(claim, api.calls), {LEASE: WEST}, {LEASE: api})

    with pytest.raises(ClusterSilent):
        await mending(ClusterUID(CLUSTER), tools, lambda *said: noted.append(said))(
            claim, lambda: None
        )
    assert noted == []
