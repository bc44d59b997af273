"""Mending against a cluster that answers as a test says: what is asked, in which order, and what is left alone."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api import bound_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.gpuclass import HostShare
from sublet.api.ids import ClusterUID
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.binder.access import renewal_ms
from sublet.binder.binder import Binder
from sublet.binder.ports import ClusterSilent
from sublet.binder.secret import SecretState
from sublet.binder.sites import reachable_sites
from sublet.drift import mend
from sublet.drift.compare import Difference, Observed, What
from sublet.drift.finding import Reason
from sublet.drift.mend import drifted, mending
from sublet.fleet.isolation import TENANT_ACCOUNT
from tests.builders.api import NOW, as_claim, as_class, gpu_class
from tests.builders.clusters import CLUSTER, Hub, NotedApi, tools_of
from tests.builders.earlier import earlier_claim
from tests.builders.fleet import bound, held
from tests.builders.mending import LEASE, NODES, WEST, Home, Writing, bound_claim, labelled, run
from tests.builders.moves import leased
from tests.builders.renewals import Setup
from tests.builders.wire import wire_node


async def no_quota(_: Any) -> None: ...


async def no_tokens(claim: GpuClaim, _: Any) -> GpuClaim:
    return claim


@pytest.fixture
def _no_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "_new_tokens", no_tokens)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mend, "_see_quota", no_quota)


async def test_nothing_is_written_into_a_namespace_that_is_going():
    claim = bound_claim()
    api = Home(claim, {**labelled(claim), "deletionTimestamp": "2026-11-22T10:00:00Z"})

    found = await run(claim, api)

    assert [f.reason for f in found] == [Reason.NAMESPACE_TERMINATING]
    assert api.calls == []


async def test_nothing_is_written_into_a_namespace_without_the_claims_label():
    claim = bound_claim()
    api = Home(claim, {"labels": {}})

    found = await run(claim, api)

    assert [f.reason for f in found] == [Reason.ISOLATION_DEGRADED]
    assert api.calls == []


@pytest.mark.parametrize("nonsense", [{"labels": "text"}, {"annotations": 7}])
async def test_a_namespace_of_another_shape_is_said_and_nothing_is_written_into_it(
    nonsense: dict[str, Any],
):
    claim = bound_claim()
    api = Home(claim, {**labelled(claim), **nonsense})

    (found,) = await run(claim, api)

    assert "isn't what a Kubernetes API server answers" in found.message
    assert api.calls == []


async def test_what_has_our_names_and_isnt_ours_is_left_alone():
    claim = bound_claim()
    api = Home(claim, labelled(claim), taken=True)

    found = await run(claim, api)

    assert {f.reason for f in found} == {Reason.ISOLATION_DEGRADED}
    assert api.sent("APPLY", "DELETE", "HUB") == []


@pytest.mark.parametrize(
    ("shown", "changed"), [({}, False), ({"nvidia.com/gpu": "8"}, True)], ids=["restarts", "whole"]
)
def test_a_quota_keeps_its_limits_while_nobody_knows_whether_the_claim_has_a_part_of_a_node(
    shown: dict[str, str], changed: bool
):
    claim = bound(held(as_claim(), WEST, NODES, gpus=4))
    tools = tools_of(Hub(claim), {LEASE: WEST}, {LEASE: NotedApi(claim.metadata.uid)})
    share = {"cpuPerGpu": 8, "memoryMiBPerGpu": 1024}
    tools.class_ = lambda _: as_class(gpu_class(hostShare=share))
    node = wire_node()
    node.metadata.labels.pop("nvidia.com/gpu.count", None)
    node.status.allocatable = shown
    tools.cluster(LEASE).node = lambda _: node
    ((site,), _) = reachable_sites(claim, tools, allocation_of(claim).placements)
    quota = {
        "metadata": {"labels": labelled(claim)["labels"]},
        "spec": {"hard": {"limits.cpu": "1"}},
    }

    found = drifted(claim, site, Observed(None, {("resourcequotas", "sublet"): quota}), tools)

    assert (Difference("resourcequotas", "sublet", What.CHANGED) in found) is changed


SHARE = {"cpuPerGpu": 8, "memoryMiBPerGpu": 1024}
DEARER = as_class(gpu_class(hostShare={"cpuPerGpu": 64, "memoryMiBPerGpu": 1024}))


class Loosened(Home):
    """A cluster in which the quota of the claim's namespace lets in more than it should."""

    def __init__(self, claim: GpuClaim, hard: dict[str, str]) -> None:
        super().__init__(claim, labelled(claim))
        self.hard, self.limits = hard, list[Any]()

    async def get(self, path: str, **params: str) -> dict[str, Any]:
        if not path.endswith("/resourcequotas"):
            return await super().get(path, **params)
        meta = {"name": "sublet", "labels": labelled(bound_claim())["labels"]}
        return {"metadata": {}, "items": [{"metadata": meta, "spec": {"hard": self.hard}}]}

    async def apply(self, path: str, body: Any) -> None:
        await super().apply(path, body)
        if path.endswith("/resourcequotas/sublet"):
            self.hard = body["spec"]["hard"]

    async def request(self, method: str, path: str, **fields: Any) -> None:
        await super().request(method, path, **fields)
        if path.endswith("/limitranges"):
            self.limits.append(json.loads(fields["body"])["spec"]["limits"][0]["default"])


@pytest.mark.parametrize("class_", [None, DEARER], ids=["gone", "edited"])
@pytest.mark.usefixtures("_no_tokens")
async def test_a_part_of_a_node_keeps_what_was_sold_whatever_became_of_its_class(class_: Any):
    claim = bound_claim()
    allocation = held(as_claim(), WEST, NODES, gpus=4).status.allocation
    assert allocation is not None
    sold = {"host_share": HostShare.model_validate(SHARE), "bound_time": NOW}
    status = {"allocation": allocation.model_copy(update=sold)}
    claim = claim.model_copy(update={"status": claim.status.model_copy(update=status)})
    api = Loosened(claim, {"requests.nvidia.com/gpu": "64", "limits.cpu": "1000"})
    hub = Writing(claim, api.calls)
    tools = tools_of(hub, {LEASE: WEST}, {LEASE: api})
    tools.hub, tools.class_ = hub, lambda _: class_
    node = wire_node()
    node.status.allocatable = {"nvidia.com/gpu": "8"}
    tools.cluster(LEASE).node = lambda _: node

    await mending(ClusterUID(CLUSTER), tools, lambda *_: None)(claim, lambda: None)

    kept = ("requests.nvidia.com/gpu", "limits.cpu", "limits.memory")
    assert [api.hard.get(k) for k in kept] == ["4", "32", "4096Mi"]
    assert api.limits == [{"cpu": "8", "memory": "1024Mi"}]


@pytest.mark.usefixtures("_no_tokens")
async def test_a_claim_of_an_older_version_keeps_its_limits_though_it_notes_none():
    claim, agreed = earlier_claim()
    west, _ = leased("west")
    uid = west.metadata.uid
    api = Loosened(claim, dict(agreed))
    hub = Writing(claim, api.calls)
    tools = tools_of(hub, {uid: west}, {uid: api})
    share = {"cpuPerGpu": 8, "memoryMiBPerGpu": 65_536}
    tools.hub, tools.class_ = hub, lambda _: as_class(gpu_class(hostShare=share))
    tools.cluster(uid).node = wire_node

    await mending(ClusterUID(CLUSTER), tools, lambda *_: None)(claim, lambda: None)

    assert {k: api.hard.get(k) for k in agreed} == agreed


async def test_tokens_of_an_account_that_is_gone_are_due_on_the_hub_before_it_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
):
    claim = bound_claim()
    api = Home(claim, labelled(claim))
    hub = Writing(claim, api.calls)

    async def ends_here(_: Any) -> None:
        raise ClusterSilent("west")

    monkeypatch.setattr(mend, "_see_quota", ends_here)
    with pytest.raises(ClusterSilent):
        await run(claim, api, hub)

    assert api.calls[0] == ("HUB", "")
    assert renewal_ms(hub.live or claim, 3_600) == NOW + 10**9


async def test_a_token_of_an_account_that_is_gone_ends_and_is_written_nowhere_again(
    monkeypatch: pytest.MonkeyPatch,
):
    setup = Setup("west", "east")
    await setup.renew()
    claim = setup.hub.live
    assert claim is not None
    sites, _ = reachable_sites(claim, setup.tools, allocation_of(claim).placements)
    (west,) = (site for site in sites if site.alias == "west")
    wrong = [Difference("serviceaccounts", TENANT_ACCOUNT, What.MISSING)]

    async def ends_here(*_: Any) -> None:
        raise ClusterSilent("west")

    async def is_gone(*_: Any) -> None: ...

    monkeypatch.setattr(mend, "_put_back", ends_here)
    monkeypatch.setattr(mend, "find_named", is_gone)
    with pytest.raises(ClusterSilent):
        await mend._put_all_back(claim, west, Observed(None, {}), wrong, setup.tools, [])

    access = setup.hub.live.status.access if setup.hub.live is not None else None
    assert access is not None
    ended = {c.alias for c in access.clusters if c.expiration_time <= setup.now}
    assert ended == {"west"}
    assert {alias for _, alias in setup.grants} == {"east"}


@pytest.mark.parametrize("begun", [False, True])
async def test_a_successor_is_said_on_the_hub_before_it_is_made_and_only_once(
    begun: bool, monkeypatch: pytest.MonkeyPatch
):
    claim = bound_claim()
    if begun:  # an operator that ended in the middle
        status = bound_status.rehomed(claim, {(LEASE, NODES[0].uid)})
        claim = claim.model_copy(update={"status": status})
    api = Home(claim, labelled(claim) if begun else None)
    made: list[str] = []

    async def furnish(site: Any) -> None:
        api.calls.append(("FURNISH", site.home.name))

    async def prove(site: Any, _: Any) -> Any:
        return SimpleNamespace()

    async def hand_out(live: GpuClaim, new: Any, *_: Any) -> tuple[Access, set[str]]:
        made.append("kubeconfig")
        clusters = (ClusterAccess(alias="west", namespace="new", expiration_time=NOW + 10**7),)
        return Access(secret_name="train-kubeconfig", clusters=clusters), set()

    for name, stand_in in (("furnish", furnish), ("prove", prove), ("hand_out", hand_out)):
        monkeypatch.setattr(mend, name, stand_in)
    await run(claim, api)

    new = ("FURNISH", f"sublet-{claim.metadata.uid}-2")
    assert api.calls[:2] == ([new, ("HUB", "")] if begun else [("HUB", ""), new])
    assert made == ["kubeconfig"]


async def test_a_mending_that_must_wait_is_looked_at_when_it_is_due_and_then_forgotten():
    claim, idle = bound_claim(), asyncio.Event()
    kept = claim.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    claim = claim.model_copy(update={"metadata": kept})
    tools = tools_of(Hub(claim), {LEASE: WEST}, {})
    binder = Binder(
        tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: idle.set()
    )

    async def silent(*_: Any) -> None:
        raise ClusterSilent("west")

    tools.clock.now_ms = lambda: NOW
    assert binder.mend(claim, silent)
    await idle.wait()
    assert binder.is_asked_for(claim)
    assert not binder.tend(claim)

    tools.clock.monotonic = lambda: 60.0
    assert not binder.tend(claim)
    assert binder.due_ms is None
    assert not binder.is_asked_for(claim)


@pytest.mark.parametrize(
    ("state", "is_revoked"), [(SecretState.GONE, True), (SecretState.CHANGED, False)]
)
async def test_a_kubeconfig_that_is_gone_takes_its_tokens_along_and_one_that_was_changed_doesnt(
    monkeypatch: pytest.MonkeyPatch, state: SecretState, is_revoked: bool
):
    claim = bound_claim()
    hub = Writing(claim, [])

    async def is_so(*_: Any) -> SecretState:
        return state

    async def due(live: GpuClaim, _: Any) -> GpuClaim:
        return live

    monkeypatch.setattr(mend, "look_at_secret", is_so)
    monkeypatch.setattr(mend, "renew", due)
    tools = tools_of(hub, {LEASE: WEST}, {})
    tools.hub, tools.grants = hub, {}
    await mend._mend_access(claim, tools, [])

    access = hub.live.status.access if hub.live is not None else None
    assert access is not None
    assert access.renewal_time == NOW + 10**9
    assert (access.lost_time is not None) is is_revoked
