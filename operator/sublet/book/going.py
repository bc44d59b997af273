"""Claims that are told to go at once: what they hold counts against its commitment until it has rested.

Their release is decided by the next pass, which counts them so; what this one sells must be there beside them.
"""

from collections.abc import Iterable, Mapping

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID
from sublet.api.move_status import held_nodes
from sublet.api.times import Millis
from sublet.book.decisions import Extend
from sublet.book.holdings import RELEASE_MS, Holdings
from sublet.book.supply import LeaseSupply


def count_rests(
    told: Iterable[Extend],
    holders: Iterable[GpuClaim],
    holdings: Holdings,
    supplies: Mapping[LeaseUID, LeaseSupply],
    now_ms: Millis,
) -> None:
    """Count the rest after its release of each claim whose end was moved to now."""
    going = {d.claim_uid for d in told if d.until_ms is not None and d.until_ms <= now_ms}
    for claim in holders if going else ():
        held = claim.status.allocation
        if claim.metadata.uid not in going or held is None:
            continue
        gone_ms = Millis(now_ms + RELEASE_MS)
        rested_ms = Millis(gone_ms + holdings.rest_ms(claim, held))
        for place in held_nodes(claim):
            supply = supplies.get(LeaseUID(place.lease_uid))
            if supply is None:
                continue  # a claim on its way to a lease that isn't there
            supply.lend(place.gpus, gone_ms)
            supply.lend(-place.gpus, rested_ms)
