"""Claims whose nodes are replaced, or that come from one cluster to another, and what stands for the hub then."""

from dataclasses import replace
from typing import Any

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.relocation import Move, MoveCause, PlacedNode
from sublet.binder.relocate import move_for
from sublet.book.decisions import Relocate
from sublet.book.failures import REPLACE_AFTER_MS
from sublet.book.plan import plan
from sublet.kube.wire import Meta, Node, NodeSpec, Taint
from tests.builders.api import NOW, uid_of, with_status
from tests.builders.clusters import CLUSTER, Hub, NotedApi, tools_of
from tests.builders.fleet import after, view
from tests.builders.moves import CLASSES, decided, leased, on_sick_node, running
from tests.builders.windows import at

EASTERN = "00000000-0000-4000-8000-00000000ea57"


def known(pair, cluster_uid: str | None = CLUSTER):
    """Return a lease whose cluster is pinned."""
    each, found = pair
    return each.model_copy(
        update={"status": each.status.model_copy(update={"cluster_uid": cluster_uid})}
    ), found


WEST = known(leased("west", count=10))
LEASES = {WEST[0].metadata.uid: WEST[0]}


def replacing() -> tuple[GpuClaim, GpuClaim, Relocate]:
    """Return a claim of two nodes with another ready for one that failed, and the same once that took its place."""
    busy = running(WEST, count=2, replacement="OnFailure")
    seen = view([busy], [on_sick_node(WEST)], classes=CLASSES)
    seen = replace(after(seen, plan(seen)), now_ms=NOW + REPLACE_AFTER_MS)
    (decision,) = decided(seen)
    (told,) = seen.claims
    move = move_for(told, decision, tools_of(Hub(None), LEASES, {}))
    ready = with_status(told, move_status.moving(told, move, NOW))
    ready = with_status(ready, move_status.ready_to_move(ready, None, NOW))
    return ready, with_status(ready, move_status.cut_over(ready, at(1), at(1))), decision


def holding(claim: GpuClaim, *places: PlacedNode, label: str) -> dict[str, Node]:
    """Return nodes that a claim has, by path, with a label that says "true"."""
    uid = claim.metadata.uid
    labels = {f"claim.sublet.dev/{uid}": "true", label: "true"}
    return {
        f"/api/v1/nodes/{place.node}": Node(
            metadata=Meta(
                name=place.node,
                uid=place.node_uid,
                labels=labels,
                annotations={"sublet.dev/allocation": f"{uid}={place.gpus}"},
            ),
            spec=NodeSpec(taints=[Taint("sublet.dev/pool", place.lease_uid, "NoSchedule")]),
        )
        for place in places
    }


class Eastward:
    """A claim on its way from west to east, whose cluster is known or not, with a namespace of that number there."""

    def __init__(self, east_uid: str | None, home: int) -> None:
        west, east = known(leased("west", 40)), known(leased("east"), east_uid)
        self.leases = {each.metadata.uid: each for each, _ in (west, east)}
        busy = running(west, end=40)
        (self.here,) = allocation_of(busy).placements
        there = {"lease": "east", "lease_uid": east[0].metadata.uid, "node": "e-0"}
        there |= {"node_uid": uid_of("e-0"), "home": home}
        self.there = self.here.model_copy(update=there)
        move = Move(
            sequence=2,
            cause=MoveCause.LEASE_ENDS,
            decided_time=at(20),
            cutover_time=at(40),
            placements=(self.there,),
        )
        self.moving = with_status(busy, move_status.moving(busy, move, at(20)))
        ready = with_status(self.moving, move_status.ready_to_move(self.moving, None, at(21)))
        self.over = with_status(ready, move_status.cut_over(ready, at(40), at(40)))
        self.given_up = with_status(busy, move_status.abandoning(self.moving, "lost", at(21)))

    def tools(self, claim: GpuClaim, api: NotedApi, place: PlacedNode) -> Any:
        """Return the tools of an operator for which only the lease of one node answers."""
        found = tools_of(Written(claim), self.leases, {place.lease_uid: api})
        found.cluster(place.lease_uid).facts.cluster_uid = CLUSTER
        return found


class Written(Hub):
    """The hub, which keeps what is written."""

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        self.live = await super().write_status(claim, status)
        return self.live
