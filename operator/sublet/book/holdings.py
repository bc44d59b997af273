"""Who holds which GPUs: the union of what nodes say and what the hub says.

Possession is the node's own book, intention is a claim's allocation; where they differ, capacity stays held. So a
claim's allocation counts even while its node can't be seen, and an entry of a node's book counts even if the hub
knows no such claim. Changed by the pass as it hands out GPUs; thrown away with it.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from types import MappingProxyType
from typing import Final, NamedTuple

from sublet.api.common import Status, find_condition, is_true
from sublet.api.gpuclaim import Allocation, Booking, GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID, NodeUID, TenantUID
from sublet.api.move_status import all_nodes, end_there
from sublet.api.relocation import Leaving, PlacedNode
from sublet.api.times import Millis
from sublet.book.inventory import LeaseInventory, NodeState, Unfit
from sublet.book.steps import FOREVER
from sublet.book.tenant_holdings import TenantHoldings
from sublet.book.unread import UnreadHolder, given_by_books, still_booked


def holds(claim: GpuClaim) -> bool:
    """Say whether a claim holds GPUs: from its reservation until its release is done."""
    conditions = claim.status.conditions
    return claim.status.allocation is not None and (
        is_true(conditions, "Reserved") or is_true(conditions, "Releasing")
    )


def asks(claim: GpuClaim) -> bool:
    """Say whether a claim that holds nothing is to be served: it isn't going and hasn't ended for good."""
    return claim.metadata.deletion_timestamp is None and not is_true(
        claim.status.conditions, "Ended"
    )


def is_billed(claim: GpuClaim) -> bool:
    """Say whether a claim's meter runs: it is bound, and isn't going."""
    conditions = claim.status.conditions
    return is_true(conditions, "Bound") and not is_true(conditions, "Releasing")


def held_by(claim: GpuClaim) -> Allocation | None:
    """Return what a claim holds: its status keeps what it held last, too."""
    return claim.status.allocation if holds(claim) else None


_NEVER: Final = Millis(0)
RELEASE_MS: Final = 120_000
"""How long a release is given until the last pod is gone; one that takes longer ends when it is seen to."""


def held_until(allocation: Allocation, now_ms: Millis) -> Millis:
    """Return when an allocation that holds GPUs now ends.

    Past its end it holds until its release is done, and nobody knows when that will be.
    """
    until = allocation.until_time
    return until if until is not None and until > now_ms else FOREVER


def left_ms(claim: GpuClaim, allocation: Allocation, now_ms: Millis, rest_ms: int) -> Millis:
    """Return when a claim that holds nodes is expected to have left them: what windows to come are planned with.

    Whoever is leaving still holds them now, so nothing is given away by this. FOREVER if it is open-ended, or if its
    release takes longer than one should. `rest_ms`: how long its nodes rest afterwards.
    """
    release, leaving = claim.status.release, find_condition(claim.status.conditions, "Releasing")
    if release is None or leaving is None or leaving.status is not Status.TRUE:
        until = allocation.until_time if allocation.until_time is not None else FOREVER
        return until if until > now_ms else Millis(now_ms + RELEASE_MS)
    since = release.vacated_time or leaving.last_transition_time
    # one that lies ahead was noted by a clock that was wrong
    expected = Millis(min(since, now_ms) + RELEASE_MS)
    return expected if expected + rest_ms > now_ms else FOREVER


@dataclass(slots=True)
class NodeHold:
    """What is held of one node."""

    gpus: int = 0
    ends: dict[ClaimUID, Millis] = field(default_factory=dict)
    """claim -> when it will be left by it; FOREVER where nobody knows"""
    tenants: set[TenantUID] = field(default_factory=set)
    has_strangers: bool = False
    """A claim is on it of which neither the hub nor the node says whose it is."""

    @property
    def until_ms(self) -> Millis:
        """Return when the last claim leaves it."""
        return max(self.ends.values(), default=_NEVER)

    @property
    def sole_tenant(self) -> TenantUID | None:
        """Return the tenant that holds all that is held, None if it is several or nobody knows."""
        if self.has_strangers or len(self.tenants) != 1:
            return None
        return next(iter(self.tenants))


class Term(NamedTuple):
    """GPUs of one lease that are held from now on, or from a start that they were promised for."""

    until_ms: Millis
    gpus: int
    from_ms: Millis | None = None
    """None: now."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a claim was promised ahead, and hasn't got yet."""

    claim: GpuClaim
    allocation: Allocation
    start_ms: Millis
    until_ms: Millis


NodeKey = tuple[str, NodeUID]
"""(cluster, node): a landlord may show nodes with the UIDs of another's, and nothing of theirs is held by that."""
Shares = dict[tuple[ClaimUID, NodeKey], int]
"""(claim, node) -> GPUs"""


class Holdings:
    """The GPUs that are held: by node, by lease in time, and by tenant and class."""

    def __init__(
        self,
        holders: Iterable[GpuClaim],
        inventories: Iterable[LeaseInventory],
        now_ms: Millis,
        rests: Mapping[LeaseUID, int] = MappingProxyType({}),
        unread: Collection[UnreadHolder] = (),
    ) -> None:
        """Read claims and nodes; `rests`: lease UID -> milliseconds that its nodes rest between claims.

        `unread`: claims of which nothing is planned, which hold without end.
        """
        self._now_ms = now_ms
        self._rests = {uid: rest_ms for uid, rest_ms in rests.items() if rest_ms}
        known = tuple(inventories)
        self._clusters = {x.lease_uid: cluster_of(x) for x in known}
        self._nodes: dict[NodeKey, NodeHold] = {}
        self.named: set[ClaimUID] = set()
        """Claims that stand on any node."""
        self._terms: dict[LeaseUID, list[Term]] = defaultdict(list)
        self.promises: list[Promise] = []
        """Windows to come, in the holders' order."""
        self.by_tenant = TenantHoldings(now_ms)
        self.leaving: dict[ClaimUID, Millis] = {}
        """claim that is leaving its nodes -> until when they count as used, their rest included"""
        self._allocated = allocated = defaultdict[tuple[ClaimUID, NodeKey], int](int)
        """What the hub says, and what the pass gave."""
        for claim in holders:
            if claim.status.allocation is not None:
                self._add_claim(claim, claim.status.allocation, allocated)
        self.unread_leases: set[LeaseUID] = set()
        """UIDs of leases that claims which can't be read hold something of."""
        self.unread_bookings: dict[LeaseUID, list[tuple[UnreadHolder, Booking]]] = defaultdict(list)
        """What claims that are only held were promised of each lease; what was read of the same claim before is a promise of its own."""
        self._unread: dict[tuple[TenantUID, str], list[UnreadHolder]] = defaultdict(list)
        """(tenant, class) -> claims"""
        beyond: Shares = {}  # what nodes say beyond that
        for inventory in known:
            self._add_books(inventory, allocated, beyond)
        mine = self.promises if unread else ()
        read = {(p.claim.metadata.key, uid) for p in mine for uid in p.allocation.lease_uids}
        given = given_by_books(unread, known, self._clusters)
        for each in unread:
            self._add_unread(each, read, still_booked(each, given))

    def at(self, lease_uid: LeaseUID) -> "HoldingsAt":
        """Return what is held in the cluster of a lease."""
        cluster = self._clusters.get(lease_uid, lease_uid)
        return HoldingsAt(cluster, self._nodes, self._allocated, self._hold, self.leaving)

    def terms(self, uid: LeaseUID) -> list[Term]:
        """Return the GPUs of a lease that were held when the pass began, each with its end."""
        return self._terms[uid]

    def unread_of(self, uid: TenantUID, class_name: str, until_ms: Millis) -> UnreadHolder | None:
        """Return a claim that is only held and counts towards a tenant's quota before an instant, None if there is none."""
        mine = self._unread.get((uid, class_name), ())
        return next((each for each in mine if each.from_ms < until_ms), None)

    def rest_ms(self, claim: GpuClaim, allocation: Allocation) -> int:
        """Return for how long after its release what a claim held counts as used: the longest rest of all its nodes."""
        rests = self._rests
        if not rests:
            return 0
        leases = allocation.lease_uids
        if claim.status.move is not None or claim.status.leaving:
            leases = {place.lease_uid for place in all_nodes(claim)}
        return max((rests.get(LeaseUID(x), 0) for x in leases), default=0)

    def _hold(
        self, node_uid: NodeKey, claim_uid: ClaimUID, gpus: int, until_ms: Millis
    ) -> NodeHold:
        hold = self._nodes.get(node_uid)
        if hold is None:
            hold = self._nodes[node_uid] = NodeHold()
        self.named.add(claim_uid)
        hold.gpus += gpus
        hold.ends[claim_uid] = max(hold.ends.get(claim_uid, _NEVER), until_ms)
        return hold

    def _add_claim(self, claim: GpuClaim, allocation: Allocation, allocated: Shares) -> None:
        uid, tenant = ClaimUID(claim.metadata.uid), TenantUID(allocation.tenant_uid)
        start = claim.spec.schedule.start_time
        if allocation.is_ahead and start is not None:
            self._add_promise(claim, allocation, start)
            return
        rest_ms = self.rest_ms(claim, allocation)
        end = left_ms(claim, allocation, self._now_ms, rest_ms)
        # what a claim is leaving counts as used until its nodes have rested, and always now
        used_until = end
        if end not in (FOREVER, allocation.until_time):
            used_until = self.leaving[uid] = Millis(end + rest_ms)
        for place, until, used in self._places(claim, allocation, end, used_until):
            lease_uid = LeaseUID(place.lease_uid)
            node_uid = (self._clusters.get(lease_uid, lease_uid), NodeUID(place.node_uid))
            self._hold(node_uid, uid, place.gpus, until).tenants.add(tenant)
            self._terms[lease_uid].append(Term(used, place.gpus))
            allocated[uid, node_uid] += place.gpus
            used_until = max(used_until, used) if claim.status.move is not None else used_until
        self.by_tenant.note(
            tenant, claim.spec.class_name, allocation.gpus, self._now_ms, used_until
        )

    def _places(
        self, claim: GpuClaim, allocation: Allocation, end: Millis, used_until: Millis
    ) -> Iterator[tuple[PlacedNode, Millis, Millis]]:
        """Yield every node that a claim has, will have or leaves: until when, and until when it counts as used."""
        move = claim.status.move
        if move is None and not claim.status.leaving:  # nearly every claim, in every pass
            yield from ((place, end, used_until) for place in allocation.placements)
            return
        to_come = {p.node_uid: p for p in (move.placements if move is not None else ())}
        there = end_there(allocation, move) if move is not None else allocation.end
        moved = there[0] if there[0] is not None else FOREVER
        if there == allocation.end or is_true(claim.status.conditions, "Releasing"):
            moved = end
        for place in allocation.placements:
            if to_come.pop(place.node_uid, None) is not None:
                yield place, max(end, moved), max(used_until, moved)
            else:
                yield place, end, used_until
        for place in to_come.values():
            yield place, moved, max(moved, used_until) if moved == end else moved
        known = {p.node_uid for p in allocation.placements}
        for left in claim.status.leaving:
            for place in left.placements if left.freed_time is None else ():
                if place.node_uid not in known:
                    yield place, *self._gone_by(left, place)

    def _gone_by(self, left: Leaving, place: PlacedNode) -> tuple[Millis, Millis]:
        """Return when a node that was left is expected to be free, and rested; FOREVER if it takes longer than it should."""
        rest_ms = self._rests.get(LeaseUID(place.lease_uid), 0)
        since = min(left.vacated_time or left.release_time, self._now_ms)
        free = Millis(since + RELEASE_MS)
        rested = Millis(free + rest_ms)
        return (free, rested) if rested > self._now_ms else (FOREVER, FOREVER)

    def _add_promise(self, claim: GpuClaim, allocation: Allocation, start: Millis) -> None:
        """Add a window to come; one that is given up has no nodes that anybody still holds."""
        if is_true(claim.status.conditions, "Releasing"):
            return
        until = allocation.until_time if allocation.until_time is not None else FOREVER
        self.promises.append(Promise(claim, allocation, start, until))
        tenant = TenantUID(allocation.tenant_uid)
        self.by_tenant.note(
            tenant, claim.spec.class_name, allocation.gpus, start, max(start, until)
        )

    def _add_unread(
        self,
        each: UnreadHolder,
        read: Collection[tuple[str, str]],
        bookings: Iterable[Booking],
    ) -> None:
        self.unread_leases |= each.leases
        for booking in bookings:
            lease_uid = LeaseUID(booking.lease_uid)
            if (each.key, lease_uid) not in read:
                self.unread_bookings[lease_uid].append((each, booking))
        for tenant, class_name in product(each.tenants, each.classes) if each.gpus else ():
            self._unread[tenant, class_name].append(each)
            self.by_tenant.note(tenant, class_name, each.gpus, each.from_ms, FOREVER)

    def _add_books(self, inventory: LeaseInventory, allocated: Shares, beyond: Shares) -> None:
        """Add what nodes say beyond the hub; of a node in two inventories the larger entry counts, once."""
        cluster = cluster_of(inventory)
        for node in inventory.nodes.values():
            node_uid = (cluster, node.uid)
            for entry in node.holdings:
                key = (entry.claim_uid, node_uid)
                more = entry.gpus - allocated.get(key, 0)
                known = beyond.get(key, 0)
                beyond[key] = max(more, known)
                # what the hub says too ends as the hub says, which may have passed while the node rests
                end = FOREVER if more > 0 else _NEVER
                hold = self._hold(node_uid, entry.claim_uid, max(0, more - known), end)
                if node.tenant_uid is not None:
                    hold.tenants.add(node.tenant_uid)
                elif key not in allocated:
                    hold.has_strangers = True
                # a node under another lease's label uses nothing of this one's commitment
                if more > 0 and node.unfit is not Unfit.NODE_OVERLAP:
                    self._terms[inventory.lease_uid].append(Term(FOREVER, more))


class HoldingsAt:
    """The holdings on the nodes of one cluster."""

    def __init__(
        self,
        cluster: str,
        nodes: Mapping[NodeKey, NodeHold],
        allocated: Shares,
        hold: Callable[[NodeKey, ClaimUID, int, Millis], NodeHold],
        leaving: Mapping[ClaimUID, Millis],
    ) -> None:
        self._cluster = cluster
        self.leaving = leaving
        """claim that is leaving its nodes, here or elsewhere -> until when they count as used"""
        self._nodes, self._allocated, self._hold = nodes, allocated, hold

    def node(self, uid: NodeUID) -> NodeHold | None:
        """Return what is held of a node, None if it is free."""
        return self._nodes.get((self._cluster, uid))

    def knows(self, node: NodeState) -> bool:
        """Say whether all that a node's own book says is counted already."""
        if not node.holdings:
            return True
        hold, key = self.node(node.uid), (self._cluster, node.uid)
        known = node.tenant_uid is None or (hold is not None and node.tenant_uid in hold.tenants)
        return known and all(
            self._allocated.get((entry.claim_uid, key), 0) >= entry.gpus for entry in node.holdings
        )

    def take(
        self,
        claim_uid: ClaimUID,
        tenant_uid: TenantUID,
        node_uid: NodeUID,
        gpus: int,
        until_ms: Millis,
    ) -> None:
        """Add GPUs of one node to what a claim holds until then."""
        key = (self._cluster, node_uid)
        self._allocated[claim_uid, key] += gpus
        self._hold(key, claim_uid, gpus, until_ms).tenants.add(tenant_uid)


def cluster_of(inventory: LeaseInventory) -> str:
    """Return what tells a lease's nodes from others': its cluster, or the lease itself while that isn't known."""
    return inventory.cluster_uid or inventory.lease_uid
