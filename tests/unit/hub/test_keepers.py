"""Before what a claim left is destroyed, the hub is asked live: what was seen of it may be old, and an absence shows nothing."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import CLAIMS, LEASES
from sublet.book.inventory import Reach
from sublet.hub.aftermath import Aftermath
from sublet.hub.keepers import Keepers
from sublet.hub.state import HubState
from sublet.kube.errors import NotFound
from sublet.kube.hub_lists import PAGE_SIZE
from sublet.kube.lists import ListPage, page_of
from sublet.kube.wire import Meta, Node
from tests.builders.api import NOW, uid_of
from tests.builders.clusters import CLUSTER, Hub, NotedApi, tools_of
from tests.builders.moves import leased, running
from tests.builders.restored import Body, newborn, on_the_wire, restored
from tests.builders.unread import holds_by_newer
from tests.harness.fake_api import SteppedClock
from tests.unit.hub.test_leftovers import left, lost

EAST = leased("east")
HOLDER = running(EAST)
GONE = left()


def at(cluster_uid: str | None, lease: GpuLease) -> GpuLease:
    return lease.model_copy(
        update={"status": lease.status.model_copy(update={"cluster_uid": cluster_uid})}
    )


WEST = at(CLUSTER, lost("ann", (left(claim_uid=HOLDER.metadata.uid),)))
HERE, ELSEWHERE = at(CLUSTER, EAST[0]), at(uid_of("elsewhere"), EAST[0])


def awaiting(claim: GpuClaim) -> Body:
    return restored(on_the_wire(claim))


def half_restored(claim: GpuClaim) -> Body:
    """Return one whose status wasn't written yet: what it holds isn't known."""
    return newborn(awaiting(claim))


def ended(claim: GpuClaim) -> Body:
    body = on_the_wire(claim)
    gone = {"type": "Reserved", "status": "False", "reason": "Released"}
    gone |= {"message": "", "lastTransitionTime": "2026-11-22T10:00:00Z"}
    return {**body, "status": {**body["status"], "conditions": [gone]}}


class LiveHub:
    """The hub as it is, which no watch has told; `asked` notes what it is asked."""

    def __init__(self, lease: GpuLease, *claims: Body) -> None:
        self.lease: Body | None = on_the_wire(lease, "GpuLease")
        self.claims = list(claims)
        self.asked: list[str] = []

    async def get(self, path: str, **params: str) -> Body:
        self.asked.append(path)
        if path == LEASES.path():
            assert params == {"fieldSelector": "metadata.name=west"}
            return {"items": [] if self.lease is None else [self.lease]}
        known = {
            CLAIMS.path(c["metadata"]["namespace"], c["metadata"]["name"]): c for c in self.claims
        }
        if path not in known:
            raise NotFound(404, "NotFound", path)
        return known[path]

    async def list_page(self, path: str, params: Body, *, limit: int, **_: Any) -> ListPage:
        begin = int(params.get("continue", 0))
        if not begin:
            self.asked.append(path)
        await asyncio.sleep(0)
        rest = str(begin + limit) if begin + limit < len(self.claims) else ""
        meta = {"resourceVersion": "99", "continue": rest}
        body = {"metadata": meta, "items": self.claims[begin : begin + limit]}
        return page_of(msgspec.json.encode(body), limit, path)


class Lists:
    """Notes what goes off the list."""

    def __init__(self) -> None:
        self.changed: list[str] = []

    async def change(self, _: Any, before: Any, into: Any) -> None:
        assert into is None
        self.changed.append(before.claim_uid)


class Back(NotedApi):
    """A cluster that is back, with a pod and a node's entry of the claim; `meanwhile` happens with the first request about a path."""

    meanwhile: tuple[str, Callable[[], object]] | None = None

    def listed(self, path: str, params: Mapping[str, str]) -> Iterable[object]:
        self._note(path)
        return super().listed(path, params)

    async def delete(self, path: str, **more: Any) -> None:
        await super().delete(path, **more)
        self._note(path)

    async def request(self, method: str, path: str, **more: Any) -> None:
        await super().request(method, path, **more)
        self._pods = 0

    def _note(self, path: str) -> None:
        if self.meanwhile is not None and path.endswith(self.meanwhile[0]):
            self.meanwhile[1]()


class World:
    """An aftermath with an old view of the hub: it knows the lease and what is left there, and no claim."""

    def __init__(self, hub: LiveHub, west: GpuLease = WEST, *others: GpuLease) -> None:
        self.hub, self.west = hub, west
        uid = west.metadata.uid
        claim_uid = west.status.leftovers[0].claim_uid
        labels = {"sublet.dev/lease": uid, f"claim.sublet.dev/{claim_uid}": "true"}
        book = {"sublet.dev/allocation": f"{claim_uid}=8"}
        node = Node(Meta(name="n0", uid="n0-uid", labels=labels, annotations=book))
        self.api = Back(claim_uid, {"/api/v1/nodes/n0": node}, pods=1)
        leases = {x.metadata.uid: x for x in (west, *others)}
        self.tools = tools_of(Hub(None), leases, {uid: self.api})
        self.tools.hub, self.tools.lists, self.tools.clock = hub, Lists(), SteppedClock()
        cluster = self.tools.cluster(uid)
        cluster.writable, cluster.lease_uid = True, uid
        cluster.facts = SimpleNamespace(reach=Reach.REACHABLE, cluster_uid=CLUSTER)
        self.state = HubState(lambda: None)
        self.aftermath = Aftermath(self.tools, self.state.claims, self.tools.cluster, lambda: None)

    def tend(self) -> None:
        async def round_() -> None:
            self.aftermath.tend([self.west])
            for task in list(self.aftermath._tasks.values()):
                await asyncio.wait([task])

        with capture_logs():
            asyncio.run(asyncio.wait_for(round_(), 20))

    @property
    def destroyed(self) -> list[str]:
        return self.api.sent("DELETE", "PATCH")


@pytest.mark.parametrize("shown", [on_the_wire, holds_by_newer, awaiting, half_restored])
def test_a_claim_that_no_watch_has_told_of_keeps_what_it_holds_there(shown: Any):
    world = World(LiveHub(WEST, shown(HOLDER)), WEST, HERE)
    world.tend()

    assert (world.destroyed, world.tools.lists.changed) == ([], [])


@pytest.mark.parametrize(
    ("west", "others"),
    [(WEST, ()), (WEST, (at(None, EAST[0]),)), (at(None, WEST), (ELSEWHERE,))],
    ids=["no such lease", "a lease without a cluster", "the list's own without one"],
)
def test_a_claim_keeps_what_may_be_there_as_far_as_is_known(west, others):
    world = World(LiveHub(west, on_the_wire(HOLDER)), west, *others)
    world.tend()

    assert world.destroyed == []


@pytest.mark.parametrize("claims", [(), (ended(HOLDER),)], ids=["gone", "ended"])
def test_what_is_nobodys_by_a_live_look_is_taken_away(claims: tuple[Body, ...]):
    hub = LiveHub(WEST, *claims)
    world = World(hub, WEST, HERE)
    world.tend()

    assert CLAIMS.path() in hub.asked
    assert any("/namespaces/" in path for path in world.api.sent("DELETE"))
    assert world.api.sent("PATCH") == ["/api/v1/nodes/n0"]
    assert world.tools.lists.changed == [HOLDER.metadata.uid]


def test_what_a_claim_holds_in_another_cluster_is_none_of_this_ones():
    world = World(LiveHub(WEST, on_the_wire(HOLDER)), WEST, ELSEWHERE)
    world.tend()

    assert world.tools.lists.changed == [HOLDER.metadata.uid]


@pytest.mark.parametrize("gone", [True, False], ids=["lease gone", "off the list"])
def test_nothing_is_done_by_a_list_that_the_hub_has_no_more(gone: bool):
    hub = LiveHub(lost("ann"))
    hub.lease = None if gone else hub.lease
    world = World(hub)
    world.tend()

    assert world.destroyed == []


@pytest.mark.parametrize(
    ("meanwhile", "kept"),
    [("/serviceaccounts/tenant", ["/pods", "/nodes/n0"]), ("/pods", ["/nodes/n0"])],
)
def test_a_claim_that_holds_nodes_there_meanwhile_keeps_what_isnt_taken_yet(meanwhile, kept):
    hub = LiveHub(WEST, ended(HOLDER))
    world = World(hub, WEST, HERE)
    world.api.meanwhile = (meanwhile, lambda: hub.claims.__setitem__(0, on_the_wire(HOLDER)))
    world.tend()

    assert world.destroyed != []
    assert not [path for path in world.destroyed if path.endswith(tuple(kept))]
    assert world.tools.lists.changed == []


def test_a_namesake_of_the_claim_keeps_nothing_of_it():
    hub = LiveHub(WEST, ended(HOLDER))
    world = World(hub, WEST, HERE)
    namesake = on_the_wire(HOLDER)
    namesake["metadata"] = {**namesake["metadata"], "uid": uid_of("namesake")}
    world.api.meanwhile = ("/serviceaccounts/tenant", lambda: hub.claims.__setitem__(0, namesake))
    world.tend()

    assert world.tools.lists.changed == [HOLDER.metadata.uid]


def test_a_claim_that_is_on_a_later_page_keeps_what_it_holds_there():
    others = [
        {**on_the_wire(HOLDER), "metadata": {"namespace": "acme", "name": f"c{i}", "uid": uid_of(f"c{i}")}}
        for i in range(PAGE_SIZE)
    ]  # fmt: skip
    world = World(LiveHub(WEST, *others, on_the_wire(HOLDER)), WEST, HERE)
    world.tend()

    assert world.destroyed == []


@pytest.mark.parametrize("shown", [awaiting, half_restored])
def test_a_claim_that_was_restored_since_all_were_listed_keeps_what_it_holds_there(shown: Any):
    hub = LiveHub(WEST)
    world = World(hub, WEST, HERE)
    world.api.meanwhile = (
        "/serviceaccounts/tenant",
        lambda: world.state.claims.take(shown(HOLDER)),
    )
    world.tend()

    assert world.tools.lists.changed == []
    assert not [p for p in world.destroyed if p.endswith(("/pods", "/nodes/n0"))]


def test_while_a_restored_claim_doesnt_say_what_it_holds_the_hub_is_asked_nothing():
    hub = LiveHub(WEST, half_restored(HOLDER))
    world = World(hub, WEST, HERE)
    world.state.claims.take(half_restored(HOLDER))
    world.tend()

    assert hub.asked == []
    assert world.destroyed == []


def test_leases_that_are_cleaned_at_once_share_a_list_of_all_claims():
    hub = LiveHub(WEST)
    keepers = Keepers(World(hub).tools)

    async def both() -> None:
        await asyncio.gather(*(keepers.ask(WEST, WEST.status.leftovers[0]) for _ in range(5)))

    asyncio.run(both())

    assert hub.asked.count(CLAIMS.path()) == 1


def test_while_nodes_rest_the_hub_is_asked_nothing():
    spec = WEST.spec
    term = spec.term.model_copy(update={"quarantine_seconds": 3_600})
    resting = lost("ann", (left(claim_uid=HOLDER.metadata.uid, vacated_time=NOW),))
    resting = resting.model_copy(update={"spec": spec.model_copy(update={"term": term})})
    hub = LiveHub(resting)
    world = World(hub, at(CLUSTER, resting))
    world.tools.clock.seconds = NOW / 1_000 + 60
    world.tend()

    assert hub.asked == []
    assert world.destroyed == []


def test_all_claims_are_listed_once_for_many_leftovers_and_again_when_that_is_old():
    many = at(CLUSTER, lost("ann", tuple(left(number) for number in range(5))))
    hub = LiveHub(many)
    world = World(hub, many)
    world.tend()
    assert hub.asked.count(CLAIMS.path()) == 1
    assert len(world.tools.lists.changed) == 5

    world.tools.clock.seconds += 61
    world.tend()
    assert hub.asked.count(CLAIMS.path()) == 2


def test_a_claim_that_was_made_since_all_were_listed_keeps_what_it_holds_there():
    before = at(CLUSTER, lost("ann", (left(),)))
    hub = LiveHub(before)
    world = World(hub, before, HERE)
    world.tend()
    assert hub.asked.count(CLAIMS.path()) == 1
    world.api.calls.clear()

    hub.lease, hub.claims = on_the_wire(WEST, "GpuLease"), [on_the_wire(HOLDER)]
    world.west = WEST
    world.tools.clock.seconds += 10
    world.tend()

    assert world.destroyed == []
    assert HOLDER.metadata.uid not in world.tools.lists.changed
