"""What the ledger has beyond a backup of the reservation that a claim has there: it goes on from there. Pure.

One that was being bound was handed over, if the ledger bills it for the very same. Of a silence or a downtime that the backup
shows open and the ledger has closed, the end is known; one that began after the backup is taken over. So nothing is disputed
twice, and what is still open is closed by whoever sees it over. What of a window was given up too late after the backup is
charged: it is taken over, so that no hour of it is charged twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from sublet.api import claim_status
from sublet.api.cancellation import GivenUp
from sublet.api.downtime import MOST_DOWNTIMES, Downtime
from sublet.api.gpuclaim import Access, Allocation, ClaimStatus, ClusterAccess, GpuClaim
from sublet.api.move_status import metered
from sublet.api.outage import MOST_OUTAGES, Outage
from sublet.api.relocation import LeaseGpus
from sublet.api.times import Millis
from sublet.binder.access import secret_name
from sublet.binder.namespace import namespace_name
from sublet.book.cancellation import MAX_ENTRIES
from sublet.ledger.terms import content_hash, tags_text

T = TypeVar("T", bound=Outage | Downtime)


@dataclass(frozen=True, slots=True)
class Begun:
    """How the ledger has the beginning of a bill."""

    at_ms: Millis
    leases: tuple[LeaseGpus, ...]
    """In the order of their UIDs."""
    price_hash: str
    tags_hash: str

    def is_of(self, allocation: Allocation) -> bool:
        """Say whether the lines are those that a reservation calls for if it was bound then."""
        tags_hash = content_hash(tags_text(allocation.tags))
        theirs = (metered(allocation), allocation.price_hash, tags_hash)
        return theirs == (self.leases, self.price_hash, self.tags_hash)


def caught_bound(claim: GpuClaim, uid: str, begun: Begun | None) -> GpuClaim:
    """Return a claim that was being bound as the ledger has it bound; as it is where that isn't known to be the same.

    `uid`: by which its namespaces were made. They were proven before it was billed, so new tokens of them are due, and nothing else.
    """
    allocation = claim.status.allocation
    if allocation is None or begun is None or not begun.is_of(allocation):
        return claim
    homes = {
        place.lease: namespace_name(uid, place.home or allocation.sequence)
        for place in allocation.placements
    }
    clusters = tuple(
        ClusterAccess(alias=alias, namespace=home, expiration_time=begun.at_ms)
        for alias, home in sorted(homes.items())
    )
    access = Access(secret_name=secret_name(claim), clusters=clusters)
    status = claim_status.bound(claim, begun.at_ms, access, begun.at_ms)
    return claim.model_copy(update={"status": status})


def caught_up(
    status: ClaimStatus,
    outages: Sequence[Outage],
    downtimes: Sequence[Downtime],
    given_up: Sequence[GivenUp],
) -> ClaimStatus:
    """Return a restored claim's status with what the ledger has of its reservation."""
    allocation = status.allocation
    if allocation is None:
        return status
    charged = (*allocation.given_up, *charged_since(allocation, given_up))[:MAX_ENTRIES]
    return status.model_copy(
        update={
            "allocation": allocation.model_copy(update={"given_up": charged}),
            "outages": _joined(
                status.outages,
                [x for x in outages if x.sequence == allocation.sequence],
                MOST_OUTAGES,
            ),
            "downtimes": _joined(
                status.downtimes,
                [x for x in downtimes if x.sequence == allocation.sequence],
                MOST_DOWNTIMES,
            ),
        }
    )


def charged_since(
    allocation: Allocation | None, given_up: Sequence[GivenUp]
) -> tuple[GivenUp, ...]:
    """Return what of a reservation's window was given up by the ledger, and not by its status."""
    if allocation is None:
        return ()
    ours = (each for each in given_up if each.sequence == allocation.sequence)
    return tuple(x for x in ours if not any(_has(whole, x) for whole in allocation.given_up))


def _has(whole: GivenUp, part: GivenUp) -> bool:
    is_within = whole.from_time <= part.from_time and part.until_time <= whole.until_time
    return is_within and (whole.sequence, whole.lease_uid) == (part.sequence, part.lease_uid)


def _joined(ours: Sequence[T], ledgers: Sequence[T], most: int) -> tuple[T, ...]:
    known: dict[tuple[int, str, Millis], T] = {
        (x.sequence, x.lease_uid, x.from_time): x for x in ledgers
    }
    joined: list[T] = []
    for each in ours:
        theirs = known.pop((each.sequence, each.lease_uid, each.from_time), None)
        is_over = theirs is not None and theirs.until_time is not None
        joined.append(theirs if theirs is not None and is_over else each)
    found: list[T] = sorted([*joined, *known.values()], key=lambda x: x.from_time)
    closed = [i for i, each in enumerate(found) if each.until_time is not None]
    dropped = set(closed[: max(0, len(found) - most)])
    return tuple(each for i, each in enumerate(found) if i not in dropped)
