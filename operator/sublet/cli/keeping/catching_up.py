"""What the ledger has beyond a backup of times beside a claim's bill: silences and downtimes go on from there. Pure.

Of one that the backup shows open and the ledger has closed, the end is known; one that began after the backup is taken
over. So nothing is disputed twice, and what is still open is closed by whoever sees it over.
"""

from collections.abc import Sequence
from typing import TypeVar

from sublet.api.downtime import MOST_DOWNTIMES, Downtime
from sublet.api.gpuclaim import ClaimStatus
from sublet.api.outage import MOST_OUTAGES, Outage
from sublet.api.times import Millis

T = TypeVar("T", bound=Outage | Downtime)


def caught_up(
    status: ClaimStatus, outages: Sequence[Outage], downtimes: Sequence[Downtime]
) -> ClaimStatus:
    """Return a restored claim's status with what the ledger has of its reservation."""
    allocation = status.allocation
    if allocation is None:
        return status
    return status.model_copy(
        update={
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
