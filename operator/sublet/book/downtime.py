"""GPUs of bound claims that are known not to work: their nodes are gone, not ready, or show fewer GPUs than they have.

Evidence, from which nothing else is decided: `status.downtimes`, from which the ledger gets its lines. An interval begins
with the pass that saw it first and ends with the pass that saw it over, or with the meter; another number of GPUs is
another interval, without a gap. Of a cluster that doesn't answer nothing is known: what lasts goes on, nothing begins.
Of a node that several claims share it isn't known whose GPUs are missing: a claim lacks what the node can't show for it.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from sublet.api.downtime import MOST_DOWNTIMES, Downtime, DowntimeCause
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID
from sublet.api.relocation import PlacedNode
from sublet.api.times import Millis
from sublet.book.decisions import Fail
from sublet.book.inventory import LeaseInventory, Reach
from sublet.book.room import fitted

_GRAVEST: Mapping[DowntimeCause, int] = {cause: rank for rank, cause in enumerate(DowntimeCause)}


class Lack(NamedTuple):
    """GPUs of one lease that a claim has and that don't work."""

    gpus: int
    cause: DowntimeCause


class Downtimes:
    """The clusters of one pass that show how their nodes are."""

    def __init__(
        self,
        leases: Iterable[GpuLease],
        inventories: Mapping[LeaseUID, LeaseInventory],
        now_ms: Millis,
    ) -> None:
        self._known = dict(_answering(leases, inventories))
        self._now_ms = now_ms

    def of(self, claim: GpuClaim, allocation: Allocation) -> Fail | None:
        """Return the downtimes of a bound claim if another one begins or ends now."""
        found, unsettled = _now(claim, allocation, self._known, self._now_ms)
        if found == claim.status.downtimes:
            return None
        return Fail(ClaimUID(claim.metadata.uid), found, unsettled)


def _answering(
    leases: Iterable[GpuLease], inventories: Mapping[LeaseUID, LeaseInventory]
) -> Iterator[tuple[str, LeaseInventory]]:
    """Yield the leases whose clusters show their nodes now."""
    for lease in leases:
        found = inventories.get(LeaseUID(lease.metadata.uid))
        if found is None or lease.is_lost or lease.status.last_seen_time is not None:
            continue
        if found.synced and found.reach is Reach.REACHABLE:
            yield lease.metadata.uid, found


def _now(
    claim: GpuClaim, allocation: Allocation, known: Mapping[str, LeaseInventory], now_ms: Millis
) -> tuple[tuple[Downtime, ...], tuple[Downtime, ...]]:
    """Return the claim's downtimes, what is over closed, what began opened; and those while its lines aren't written."""
    lacks = {
        uid: _lack(allocation, uid, known[uid]) for uid in allocation.lease_uids & known.keys()
    }
    found: list[Downtime] = []
    lasting: set[str] = set()
    free: dict[str, Millis] = {}  # lease UID -> until when a downtime of it is listed
    for each in claim.status.downtimes:
        entry = each
        if _is_open(each, allocation):
            lack = lacks.get(each.lease_uid)
            if each.lease_uid not in lacks or lack == Lack(each.gpus, each.cause):
                lasting.add(each.lease_uid)
            else:
                # never empty, so that no two share a line of the ledger, whatever our clock did
                until = Millis(max(now_ms, each.from_time + 1))
                entry = each.model_copy(update={"until_time": until})
        if entry.sequence == allocation.sequence and entry.until_time is not None:
            free[entry.lease_uid] = max(entry.until_time, free.get(entry.lease_uid, Millis(0)))
        found.append(entry)
    for uid, lack in sorted(lacks.items()):
        if lack is not None and uid not in lasting:
            begun = (now_ms, allocation.bound_time or now_ms, free.get(uid, now_ms))
            found.append(
                Downtime(
                    sequence=allocation.sequence,
                    lease_uid=uid,
                    gpus=lack.gpus,
                    cause=lack.cause,
                    from_time=max(begun),
                )
            )
    is_open = partial(_is_open, allocation=allocation)
    return fitted(claim.status.downtimes, found, is_open, MOST_DOWNTIMES)


def _is_open(each: Downtime, allocation: Allocation) -> bool:
    return each.sequence == allocation.sequence and each.until_time is None


def _lack(allocation: Allocation, uid: str, inventory: LeaseInventory) -> Lack | None:
    """Return what a claim lacks of one lease, None if all works, or isn't known not to."""
    places = (p for p in allocation.placements if p.lease_uid == uid)
    found = [x for p in places if (x := _lack_at(p, inventory)) is not None]
    if not found:
        return None
    gravest = min((x.cause for x in found), key=_GRAVEST.__getitem__)
    return Lack(sum(x.gpus for x in found), gravest)


def _lack_at(place: PlacedNode, inventory: LeaseInventory) -> Lack | None:
    node = inventory.nodes.get(NodeName(place.node))
    if node is None or node.uid != place.node_uid:
        is_gone = NodeUID(place.node_uid) in inventory.gone
        return Lack(place.gpus, DowntimeCause.NODE_GONE) if is_gone else None
    if not node.is_ready:
        return Lack(place.gpus, DowntimeCause.NODE_NOT_READY)
    short = place.gpus - node.shows if node.shows is not None else 0
    return Lack(short, DowntimeCause.GPUS_MISSING) if short > 0 else None
