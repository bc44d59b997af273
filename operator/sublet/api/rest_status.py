"""Since when the nodes that a claim gives back are empty: their quarantine counts from then. Part of `claim_status`.

Of a release it stands with the release; of a reservation that is given back before it was bound there is none, and it
stands with the allocation. Written by the binder, so that a restart doesn't begin the rest anew.
"""

from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.times import Millis


def vacated(claim: GpuClaim, now_ms: Millis) -> ClaimStatus:
    """The last pod was seen gone; the quarantine counts from now."""
    release = claim.status.release
    if release is None:
        allocation = allocation_of(claim).model_copy(update={"vacated_time": now_ms})
        return claim.status.model_copy(update={"allocation": allocation})
    return claim.status.model_copy(
        update={"release": release.model_copy(update={"vacated_time": now_ms})}
    )


def vacated_ms(claim: GpuClaim) -> Millis | None:
    """Return when the last pod of what is taken back was seen gone, None if that wasn't seen yet."""
    release = claim.status.release
    return release.vacated_time if release is not None else allocation_of(claim).vacated_time
