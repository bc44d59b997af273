"""A release whose GpuLease isn't on the hub any more: held, said, gone on with once the lease is made again."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import ReleaseCause
from sublet.binder.blockers import words
from sublet.binder.forced import release_by_all_means
from sublet.binder.ports import ClusterSilent
from sublet.book.decisions import Take
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from sublet.fleet.nodebook import LEASE_LABEL
from tests.builders.api import NOW, uid_of
from tests.builders.clusters import CLUSTER, Hub, NotedApi, tools_of
from tests.builders.fleet import view
from tests.builders.last_words import Lists
from tests.builders.moves import leased, running
from tests.builders.restored import on_the_wire, restored
from tests.builders.wire import wire_node
from tests.unit.binder.test_last_word import Freeing, going

WEST = leased("west")[0]
OLD = WEST.metadata.uid
AGAIN = WEST.model_copy(
    update={"metadata": WEST.metadata.model_copy(update={"uid": uid_of("again")})}
)


class Leases:
    """The hub's leases, as whoever lists them sees them."""

    def __init__(self, *items: dict[str, Any]) -> None:
        self.items = items

    async def get(self, _: str) -> dict[str, Any]:
        return {"items": list(self.items)}


def tools(hub: Hub, api: NotedApi | None = None, lease=AGAIN, node: Any = None) -> Any:
    """Return tools of a hub with this lease alone, whose cluster shows one node."""
    uid = lease.metadata.uid
    found = tools_of(hub, {uid: lease}, {uid: api} if api is not None else {})
    found.lists, found.hub = Lists(), Leases()
    if api is not None:
        found.cluster(uid).facts = SimpleNamespace(cluster_uid=CLUSTER, reach=Reach.REACHABLE)
        found.cluster(uid).node = lambda name: node if name == node.metadata.name else None
    return found


def marked(claim: GpuClaim, **meta: Any) -> Any:
    """Return the claim's node as the old lease marked it."""
    (place,) = claim.status.allocation.placements if claim.status.allocation else ()
    return wire_node(place.node, **{"uid": place.node_uid, "labels": {LEASE_LABEL: OLD}, **meta})


def test_a_release_without_its_lease_frees_nothing_and_says_what_to_do():
    each = going(word=None)
    hub = Freeing(each)
    with_ = tools(hub)

    with pytest.raises(ClusterSilent) as silent:
        asyncio.run(release_by_all_means(each, with_))
    assert hub.freed == 0
    said = words(each, silent.value, with_)
    assert f"its GpuLease, {OLD}, isn't on the hub" in said
    assert "the meter stopped at 2026-11-22T10:00:00Z" in said
    assert "makes a lease with alias west for the same cluster" in said
    assert "declares the lease lost" not in said


def test_it_goes_on_by_itself_once_the_lease_is_made_again_for_the_same_cluster():
    each = going(word=None)
    hub, api = Freeing(each), NotedApi(each.metadata.uid)

    assert asyncio.run(release_by_all_means(each, tools(hub, api, node=marked(each)))) is None
    assert any("/namespaces/sublet-" in path for path in api.sent("DELETE"))
    assert hub.freed == 1


def renamed(alias: str) -> Any:
    return AGAIN.model_copy(update={"spec": AGAIN.spec.model_copy(update={"tenant_alias": alias})})


@pytest.mark.parametrize(
    ("lease", "meta"),
    [
        (AGAIN, {"uid": uid_of("another node")}),
        (AGAIN, {"labels": {LEASE_LABEL: uid_of("another lease")}}),
        (renamed("east"), {}),
    ],
    ids=["another cluster's node", "another lease's mark", "another landlord's alias"],
)
def test_nothing_is_done_through_a_lease_that_may_lead_elsewhere(lease: Any, meta: dict[str, Any]):
    each = going(word=None)
    hub, api = Freeing(each), NotedApi(each.metadata.uid)

    with pytest.raises(ClusterSilent):
        asyncio.run(release_by_all_means(each, tools(hub, api, lease, marked(each, **meta))))
    assert (api.calls, hub.freed) == ([], 0)


def test_a_persons_word_lets_the_claim_go_and_its_nodes_keep_what_they_say():
    each = going()
    hub = Freeing(each)
    with_ = tools(hub)

    assert asyncio.run(release_by_all_means(each, with_)) is None
    assert (with_.lists.left, hub.freed) == ([], 1)


def test_a_word_waits_for_a_lease_that_was_restored_and_can_list_what_is_left():
    each = going()
    hub = Freeing(each)
    with_ = tools(hub)
    with_.hub = Leases(restored(on_the_wire(WEST, "GpuLease")))

    with pytest.raises(ClusterSilent):
        asyncio.run(release_by_all_means(each, with_))
    assert hub.freed == 0


def test_a_deletion_without_the_lease_stops_the_meter_as_any_deletion_does():
    each = running(leased("west"))
    meta = {"deletion_timestamp": NOW, "finalizers": (RELEASE_FINALIZER,)}
    each = each.model_copy(update={"metadata": each.metadata.model_copy(update=meta)})

    (taken,) = plan(view([each], [])).decisions
    assert isinstance(taken, Take)
    assert (taken.claim_uid, taken.cause, taken.release_ms) == (
        ClaimUID(each.metadata.uid),
        ReleaseCause.DELETED,
        NOW,
    )
