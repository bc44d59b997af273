"""The protocol by which a bound claim comes to other nodes: grow, cut over, leave. Every step may be repeated.

0. ledger: a claim that is over by it comes nowhere; asked again before the locks of 2 and before the cutover
1. hub: compare-and-set `status.move` with all nodes that the claim will have; the book holds them from then on
2. say on the hub that the new nodes are open; lock them; make or widen the namespace in each of their clusters; prove it;
   hand over the kubeconfig. Only where the claim has no namespace in their clusters and leaves none they are locked first
3. hub: compare-and-set `readyTime`; at the cutover, which the book decides, the move becomes the allocation in one write
4. what it leaves is given back: `sublet.binder.leave`

In a cluster where the claim has nodes already its namespace is kept, with quota for both if all of them are whole; elsewhere
a new one is made.
Until step 3 the tenant has lost nothing, and a move that can't be had is given up, said on the hub first: undone if it
wasn't open yet, else its new nodes are left like old ones, as pods of the tenant may have run there from then on: with the
lock a node gets the label that they ask for, and the quota that a namespace has is often not used up.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClusterUID, LeaseUID
from sublet.api.move_status import fresh_nodes, held_nodes, is_outstayed, move_of
from sublet.api.relocation import Move, PlacedNode
from sublet.api.times import Millis
from sublet.binder import namespace, proof
from sublet.binder.access import leads_into
from sublet.binder.bind import Checkpoint, hand_out, lock_all, prove, settle_in
from sublet.binder.claims import Outrun
from sublet.binder.dropped import FieldDropped
from sublet.binder.leave import split, vacate
from sublet.binder.outlived import refuse_outlived
from sublet.binder.ports import ClusterSilent, LostRace, Overtaken, Tools
from sublet.binder.release import free
from sublet.binder.secret import see_lost
from sublet.binder.sites import Site, may_lead_to, reachable_sites, refuse_lost
from sublet.binder.slots import Urgency
from sublet.binder.together import all_of
from sublet.binder.waits import WAITS_FOR
from sublet.book.decisions import Relocate
from sublet.kube.errors import KubeError
from sublet.logs import log_about


def move_for(claim: GpuClaim, decision: Relocate, tools: Tools) -> Move:
    """Return a decided move as the claim's status says it, with each node's namespace."""
    allocation = allocation_of(claim)
    homes: dict[str, int] = {}  # cluster UID -> reservation that made the claim's namespace there
    for place in allocation.placements:
        homes[_cluster_of(place, tools)] = place.home or allocation.sequence
    known = {p.key for p in allocation.placements}
    placements = tuple(
        place.model_copy(
            update={
                "home": (place.home or allocation.sequence)
                if place.key in known
                else homes.get(_cluster_of(place, tools), decision.sequence)
            }
        )
        for place in decision.placements
    )
    return Move(
        sequence=decision.sequence,
        cause=decision.cause,
        decided_time=decision.decided_ms,
        cutover_time=decision.cutover_ms,
        until_time=decision.until_ms,
        until_cause=decision.until_cause,
        placements=placements,
    )


def is_same_move(live: GpuClaim | None, claim: GpuClaim) -> bool:
    """Say whether the claim, on the hub, is still bound and on the way that `claim` shows."""
    return (
        live is not None
        and is_true(live.status.conditions, "Bound")
        and live.status.move is not None
        and live.status.move.sequence == move_of(claim).sequence
        and live.status.move.abandoned == move_of(claim).abandoned
    )


async def grow(claim: GpuClaim, tools: Tools, checkpoint: Checkpoint) -> GpuClaim:
    """Make a move's new nodes usable beside the old ones; returns the claim as written.

    LostRace: a new node can't be had, or nobody needs it any more. Overtaken: the claim was decided otherwise meanwhile. The others: try again later;
    what the move waits for, the claim is told.
    """
    async with _telling(claim, tools):
        return await _grow(claim, tools, checkpoint)


async def see_due(claim: GpuClaim, tools: Tools) -> None:
    """Raise what a cutover must wait for, which the claim is told."""
    async with _telling(claim, tools):
        await refuse_outlived(claim, tools)


@asynccontextmanager
async def _telling(claim: GpuClaim, tools: Tools) -> AsyncIterator[None]:
    try:
        yield
    except WAITS_FOR as reason:
        await _say(claim, reason, tools)
        raise


async def _say(claim: GpuClaim, reason: Exception, tools: Tools) -> None:
    """Put what a move waits for into the claim's Ready condition, if it isn't there yet."""
    try:
        live = await tools.claims.get(claim)
        if live is None or not is_same_move(live, claim):
            return
        if move_of(live).ready_time != move_of(claim).ready_time:
            return
        status = move_status.held_up(live, str(reason), tools.clock.now_ms())
        await tools.claims.write_status(live, status)
    except (Outrun, KubeError) as error:  # it is only a message; the move itself is tried again
        log_about(claim=claim).debug("not said", error=str(error))


async def _grow(claim: GpuClaim, tools: Tools, checkpoint: Checkpoint) -> GpuClaim:
    allocation, move = allocation_of(claim), move_of(claim)
    fresh = {p.key for p in fresh_nodes(allocation, move)}
    if not move.is_open and _is_within_reach(claim, tools):
        claim = await _open(claim, tools)
    refuse_lost(tools, fresh_nodes(allocation, move))
    if is_outstayed(allocation, move):
        # made ready now, they would take the old ones' place at once, though nobody takes those back
        raise LostRace("its lease goes on, and it stays where it is")
    await refuse_outlived(claim, tools)
    _, grown, _ = _where_it_grows(claim, tools)
    await lock_all(claim, [(s, b) for s in grown for b in s.berths if b.place.key in fresh])
    checkpoint()
    claim = await _open(claim, tools)
    sites, grown, silent = _where_it_grows(claim, tools)  # the locks have shown the nodes
    # a namespace that takes a deleted one's place is proven here too, or its new nodes would be of no use
    new = [s for s in grown if not leads_into(claim.status.access, s.home.name)]
    wanted = [(s, b) for s in grown for b in s.berths if b.place.key in fresh]
    await settle_in(grown, wanted)
    checkpoint()
    await all_of(_see_quota(site) for site in grown if site not in new)
    grants = await all_of(prove(site, tools) for site in new)
    checkpoint()
    live = await tools.claims.get(claim)
    if live is None or not is_same_move(live, claim):
        raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
    if move_of(live).ready_time is not None:
        return live
    access = None
    if grants:
        others = [site for site in sites if site not in new]
        live = await see_lost(live, tools)
        may_wait = _is_early(move_of(live), tools.clock.now_ms())
        access, _ = await hand_out(live, grants, others, silent, tools, may_wait=may_wait)
    status = move_status.ready_to_move(live, access, tools.clock.now_ms())
    return await tools.claims.write_status(live, status)


def _is_early(move: Move, now_ms: Millis) -> bool:
    """Say whether more than half of the time until the cutover is left: the rest is for moving work, whoever is silent."""
    cutover_ms = move.cutover_time
    return cutover_ms is not None and now_ms < (move.decided_time + cutover_ms) // 2


def _where_it_grows(claim: GpuClaim, tools: Tools) -> tuple[list[Site], list[Site], list[str]]:
    """Return the sites of old and new nodes, those of them with new ones, and the aliases of silent leases.

    ClusterSilent if a new node is at a silent lease, or comes into a namespace in which one may have nodes.
    """
    sites, silent = reachable_sites(claim, tools, held_nodes(claim))
    fresh = {p.key: p.lease for p in fresh_nodes(allocation_of(claim), move_of(claim))}
    grown = [s for s in sites if any(b.place.key in fresh for b in s.berths)]
    beside = {s.silent_beside for s in grown if s.silent_beside is not None}
    if away := ({*fresh.values()} & {*silent}) | beside:
        raise ClusterSilent(min(away))
    return sites, grown, silent


def _is_within_reach(claim: GpuClaim, tools: Tools) -> bool:
    """Say whether the claim may have a namespace, or leave one, where its new nodes are: pods there run on them once they are locked."""
    allocation = allocation_of(claim)
    left = (p for x in claim.status.leaving for p in x.placements)
    mine = {LeaseUID(p.lease_uid) for p in (*allocation.placements, *left)}
    clusters = {_cluster_of(p, tools) for p in fresh_nodes(allocation, move_of(claim))}
    return any(may_lead_to(tools.lease(uid), ClusterUID(at)) for uid in mine for at in clusters)


async def _open(claim: GpuClaim, tools: Tools) -> GpuClaim:
    """Say on the hub that pods may come to the new nodes, before a lock or a quota lets them; returns the claim as written."""
    live = await tools.claims.get(claim)
    if live is None or not is_same_move(live, claim):
        raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
    if move_of(live).opened_time is not None:
        return live
    status = move_status.opened(live, tools.clock.now_ms())
    written = await tools.claims.write_status(live, status)
    if move_of(written).opened_time is None:
        # given up later, its nodes would be sold at once, with the tenant's pods on them
        raise FieldDropped("move.openedTime")
    return written


async def undo(claim: GpuClaim, tools: Tools) -> GpuClaim:
    """Give back what an abandoned move took, before any pod could use it; returns the claim as written, where it was before."""
    move = move_of(claim)

    async def still_undoing() -> GpuClaim:
        live = await tools.claims.get(claim)
        if live is None or not is_same_move(live, claim):
            raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
        return live

    if _is_within_reach(claim, tools):  # an older version locks before it opens
        live = await still_undoing()
        return await tools.claims.write_status(
            live, move_status.dropped(live, tools.clock.now_ms())
        )
    fresh = fresh_nodes(allocation_of(claim), move)
    sites, kept, silent = split(claim, tools, fresh, allocation_of(claim).placements)
    if silent:
        raise ClusterSilent(silent[0])
    await vacate(sites, kept, still_undoing)
    await still_undoing()
    await all_of(free(site, claim, berth) for site in sites for berth in site.berths)
    live = await still_undoing()
    return await tools.claims.write_status(live, move_status.unmoved(live, tools.clock.now_ms()))


async def _see_quota(site: Site) -> None:
    async with site.asking(Urgency.SETUP):
        hard = namespace.quota_hard(site.home)
        await proof.see_quota(site.cluster.api, site.home.name, hard)


def _cluster_of(place: PlacedNode, tools: Tools) -> str:
    """Return a node's cluster as its lease's status has it, also while that cluster is silent."""
    lease = tools.lease(LeaseUID(place.lease_uid))
    return (lease.status.cluster_uid if lease is not None else None) or place.lease_uid
