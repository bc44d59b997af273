"""A release that hangs, ended by a person's word: the claim goes, its GPUs don't become free by it.

The word is the claim's spec.forceRelease and names the claim by UID. It counts only where a release is under way that is
the claim's last (it was deleted, or ended for good) and that can't be done: a cluster doesn't answer or refuses, pods or
a rest hold a node. What the claim leaves is listed in the status of each lease first; its entries in the nodes' books
stand, so that nothing is sold until a live look has shown the nodes clean (`sublet.binder.leftovers`).
"""

from typing import Final

from sublet.api.claim_status import allocation_of
from sublet.api.common import is_true
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID
from sublet.api.kinds import LEASES
from sublet.api.last_word import Leftover
from sublet.api.move_status import all_nodes
from sublet.api.origin import former_uid
from sublet.api.times import Millis
from sublet.api.wording import how_many
from sublet.binder.ports import ClusterRefuses, ClusterSilent, StillThere, Tools
from sublet.binder.release import conclude, release
from sublet.binder.sites import successors_of
from sublet.book.inventory import Reach

_HUNG: Final = (ClusterSilent, ClusterRefuses, StillThere)


def is_forced(claim: GpuClaim) -> bool:
    """Say whether a person's word ends this claim's release, whatever its clusters say."""
    word, decided = claim.spec.force_release, claim.status.release
    if word is None or word.claim_uid != claim.metadata.own_uid or decided is None:
        return False
    last = decided.cause.is_final or claim.metadata.deletion_timestamp is not None
    return last and is_true(claim.status.conditions, "Releasing")


def leftover_of(claim: GpuClaim, lease_uid: str, by: str, now_ms: Millis) -> Leftover:
    """Return what a claim leaves on one lease."""
    places = [p for p in all_nodes(claim) if p.lease_uid == lease_uid]
    sequence, decided = allocation_of(claim).sequence, claim.status.release
    return Leftover(
        claim_uid=claim.metadata.uid,
        homes=tuple(sorted({p.home or sequence for p in places})),
        gpus=sum(p.gpus for p in places),
        since_time=decided.release_time if decided is not None else now_ms,
        by=by,
        vacated_time=decided.vacated_time if decided is not None else None,
    )


async def release_by_all_means(claim: GpuClaim, tools: Tools) -> GpuClaim | None:
    """Release a claim as `release` does; where that hangs and a person has given the word, let it go.

    ClusterSilent, ClusterRefuses, StillThere and the hub's errors: try again later.
    """
    try:
        if is_forced(claim) and (alias := _known_silent(claim, tools)):
            raise ClusterSilent(alias)  # no need to wait for what won't answer
        return await release(claim, tools)
    except _HUNG as reason:
        live = await tools.claims.get(claim)
        if live is None or not is_forced(live) or not _same(live, claim):
            raise
        return await _let_go(live, str(reason), tools)


def _known_silent(claim: GpuClaim, tools: Tools) -> str:
    """Return a lease of the claim whose cluster is known not to answer now, empty if there is none."""
    leases = {LeaseUID(p.lease_uid): p.lease for p in all_nodes(claim)}
    successors = successors_of(all_nodes(claim), tools)
    for uid, alias in sorted(leases.items()):
        cluster, lease = successors.get(uid, (tools.cluster(uid), tools.lease(uid)))
        known_lost = lease is not None and lease.is_lost
        if not known_lost and (cluster is None or cluster.facts.reach is not Reach.REACHABLE):
            return alias
    return ""


async def _let_go(claim: GpuClaim, why: str, tools: Tools) -> GpuClaim | None:
    word, now = claim.spec.force_release, tools.clock.now_ms()
    by = (word.by if word is not None else None) or "somebody"
    held = {p.lease_uid: p.lease for p in all_nodes(claim)}
    for uid in sorted(held):
        lease = tools.lease(LeaseUID(uid))
        if lease is not None:
            await tools.lists.leave(lease, leftover_of(claim, uid, by, now))
        elif await _is_on_hub(uid, tools):
            raise ClusterSilent(held[uid])
    tools.events.note(claim, EventReason.RELEASE_FORCED, _words(claim, by, why))
    return await conclude(claim, tools)


async def _is_on_hub(lease_uid: str, tools: Tools) -> bool:
    """Look live whether the hub has a lease that isn't served, as it waits to be adopted: it will list what is left.

    Of one that is gone nothing can be listed: its nodes keep its mark and the claim's entry, and nobody sells them.
    """
    found = (await tools.hub.get(LEASES.path()))["items"]
    return any(former_uid(each) == lease_uid for each in found)


def _words(claim: GpuClaim, by: str, why: str) -> str:
    gpus = sum(p.gpus for p in all_nodes(claim))
    return f"{by} ended a release that hung ({why[:400]}); its {how_many(gpus, 'GPU', 'is', 'are')} sold again only when seen free"


def _same(live: GpuClaim, claim: GpuClaim) -> bool:
    return allocation_of(live).sequence == allocation_of(claim).sequence
